"""The way of MCP clients to managed servers: ``/servers/{name}/mcp``, streamable HTTP, whatever the server speaks.

Law: what a client and its server say to one another is passed on as it is. Every session has an upstream of its
own (of a stdio server: a process), so nothing of one can reach another; an end on either side is told to the other.
"""

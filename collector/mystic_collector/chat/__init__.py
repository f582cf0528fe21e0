"""The MCP surface. Law: arguments → query of the API → reply; nothing is known here that the API does not say.

The same server speaks in two places: at ``/mcp`` of a collector, and on stdio (``mystic mcp``) in front of one. What
lies between it and the collector is :class:`mystic_collector.chat.collector.Collector`, and only that differs.
"""

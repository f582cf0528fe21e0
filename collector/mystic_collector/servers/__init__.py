"""Managed MCP servers: somebody else's programs, run in a box of their own.

Law: what a caller sends becomes a frozen :class:`~mystic_collector.servers.spec.ServerSpec` or is refused by
:mod:`~mystic_collector.servers.validation`; nothing here ever builds a command line for a shell; no secret's value is
in a label, a log, a reply or an error; errors of Docker and Kubernetes end here, and leave as
:class:`~mystic_collector.servers.errors.ServersError` in plain language.
"""

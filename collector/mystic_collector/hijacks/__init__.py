"""Hijacks in force: a versioned, persistent set, pushed to agents, and what agents report about it.

Law: a hijack enters the set only through :meth:`mystic_collector.hijacks.registry.Registry.put`, validated, owned
and written to the audit; callbacks run outside the lock.
"""

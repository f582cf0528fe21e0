"""What was heard, kept: spans, cumulative function figures, their history, and foreign points.

Law: callers see :class:`mystic_collector.store.protocol.Store` and records only; SQL stays in this package.
"""

"""One call becomes an exact histogram entry and, when sampled, a span with the right parent.

The fast path lives in ``templates``: two clock readings and three list operations. Everything rarer —
a new extreme, an error, a sampled call — leaves through ``Meter.note`` or ``Meter.fail``, which are
never on the path of an ordinary call. Law: an ordinary call takes no lock and runs no function of ours but the clock.
"""

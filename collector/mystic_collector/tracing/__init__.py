"""The collector's own work as traces, joined to those of whoever caused it.

Law: nothing here may fail or delay what it watches; telemetry that comes in, and health, are never traced.
"""

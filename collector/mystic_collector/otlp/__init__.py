"""OTLP messages ↔ records. Law: pure; bad input is refused with ``RefusedError`` or rejected point by point."""

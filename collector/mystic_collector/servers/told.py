"""Values as engines tell them, times and numbers; pure."""

from __future__ import annotations

from datetime import datetime


def seconds(text: object) -> float:
    """Return Unix seconds of an engine's RFC 3339 time; 0 for none."""
    if not isinstance(text, str) or text.startswith("0001-"):
        return 0.0
    whole, dot, rest = text.partition(".")
    digits = "".join(char for char in rest if char.isdigit())[:6] if dot else "0"
    try:
        return datetime.fromisoformat(f"{whole.rstrip('Z')}.{digits.ljust(6, '0')}+00:00").timestamp()
    except ValueError:
        return 0.0


def whole(value: object) -> int:
    """Return a number, which may be told as text; 0 for none."""
    try:
        return int(str(value))
    except ValueError:
        return 0

"""One recorded outcome of one call, on its way between agents and collector: data, checked on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mystic_agent.contract.codec import decode
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.option import name as read_name
from mystic_agent.contract.pattern import pattern

LONGEST_VALUE = 256 * 1024
LONGEST_TEXT = 1000
_KEY = pattern(r"[0-9a-f]{32,128}")


class Recorded(NamedTuple):
    """One outcome.

    Attributes:
        function: ``module:qualname``.
        key: of the call's arguments, in hexadecimal; the same in every process.
        value: what it returned, as ``contract.codec`` writes it; empty when it raised.
        error: the class of what it raised, e.g. ``TimeoutError`` or ``app.errors.Refused``; empty when it returned.
        message: of that exception, redacted.
        call: the arguments for people, redacted.
        at: Unix seconds.
    """

    function: str
    key: str
    value: bytes = b""
    error: str = ""
    message: str = ""
    call: str = ""
    at: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {**self._asdict(), "value": self.value.decode("ascii")}


def parse_recording(value: object, field: str = "recording") -> str:
    """Read the name of a recording.

    Raises:
        Invalid: when it is none.
    """
    return read_name(value, field) or _missing(field)


def _missing(field: str) -> str:
    raise Invalid(field, "", "give the name of a recording")


def parse_recorded(value: object, field: str) -> Recorded:
    """Read the wire form.

    Raises:
        Invalid: naming the first field that is wrong; also when the value cannot be read back.
    """
    if not isinstance(value, Mapping):
        raise Invalid(field, value, "give an object")
    texts = {}
    for name in ("function", "key", "value", "error", "message", "call"):
        text, most = value.get(name, ""), LONGEST_VALUE if name == "value" else LONGEST_TEXT
        if not isinstance(text, str) or len(text) > most or not text.isprintable():
            raise Invalid(f"{field}.{name}", text, f"give printable text of at most {most} characters")
        texts[name] = text
    if ":" not in texts["function"]:
        raise Invalid(f"{field}.function", texts["function"], "give 'module:qualname'")
    if not _KEY.fullmatch(texts["key"]):
        raise Invalid(f"{field}.key", texts["key"], "give the key in hexadecimal")
    if bool(texts["value"]) == bool(texts["error"]):
        raise Invalid(field, texts["error"], "give either a value or an error")
    at = value.get("at", 0.0)
    if isinstance(at, bool) or not isinstance(at, (int, float)) or not 0 <= at < 1e12:
        raise Invalid(f"{field}.at", at, "give Unix seconds")
    data = texts.pop("value").encode("ascii", "replace")
    if data:
        decode(data)
    return Recorded(value=data, at=float(at), **texts)

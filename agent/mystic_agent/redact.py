"""What may be shown of a value: bounded, without secrets, and without running a line of the application.

No ``__repr__``, ``__str__``, ``__eq__``, ``__hash__`` or property of a foreign type is ever called. Values are
secret by the name they stand under (NAMES, matched inside snake_case, camelCase and header names) or by
their own look (PATTERNS). Redaction comes before truncation, so that no secret survives by being cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "[redacted]"
LONGEST_SCANNED = 20_000
MOST_ITEMS = 20

_NAMES = """
    password passwd passphrase pwd secret token apikey api_key accesskey access_key private_key credential authorization
    authentication auth_header cookie session_id csrf xsrf jwt bearer signature otp pin_code ssn social_security
    card_number credit_card cvv cvc iban x-mystic-key client_secret
"""
NAMES = tuple(_NAMES.split())

# Each pattern is linear: no nested repetition, bounded repeats, so that no input can make it slow.
PATTERNS = (
    re.compile(r"eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}(?:\.[A-Za-z0-9_-]{0,4096})?"),  # JSON Web Token
    re.compile(r"(?i)\b(?:bearer|basic|digest|negotiate)\s{1,4}[A-Za-z0-9._~+/=-]{6,4096}"),
    re.compile(r"(?<=://)[^\s/@:]{0,256}:[^\s/@]{1,256}(?=@)"),  # user:password in a URL
    re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{0,16000}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)[-_][A-Za-z0-9_-]{8,256}"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,255}"),
    re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}"),
)
_ASSIGNMENT = re.compile(
    r"(?i)([A-Za-z0-9_-]{0,40}(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|credential|authorization|cookie|signature)"
    r"[A-Za-z0-9_-]{0,40}[\"']{0,1}\s{0,4}[=:]\s{0,4})(\"[^\"]{0,4096}\"?|'[^']{0,4096}'?|[^\s,;&}\])]{1,4096})"
)
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])")
_SQUEEZE = re.compile(r"[^a-z0-9]")
_SQUEEZED = tuple({_SQUEEZE.sub("", name) for name in NAMES})


def secret_name(name: str, further: Iterable[str] = ()) -> bool:
    """True when a value under ``name`` must not be shown."""
    flat = _SQUEEZE.sub("", name[:200].lower())
    return any(word in flat for word in _SQUEEZED) or name in further


def clean(text: str) -> str:
    """Return ``text`` without anything that looks like a secret; control characters become escapes."""
    rest = len(text) - LONGEST_SCANNED
    if rest > 0:
        text = text[:LONGEST_SCANNED]
    for pattern in PATTERNS:
        text = pattern.sub(HIDDEN, text)
    text = _ASSIGNMENT.sub(r"\1" + HIDDEN, text)
    text = _CARD.sub(_hide_card, text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
    return f"{text}… ({rest} more)" if rest > 0 else text


def _hide_card(match: re.Match[str]) -> str:
    """Hide digits that pass the Luhn check (ISO/IEC 7812-1, annex B), as card numbers do."""
    digits = [int(c) for c in match[0] if c.isdigit()]
    total = sum(d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits)))
    return HIDDEN if total % 10 == 0 else match[0]


def describe(error: BaseException | None) -> tuple[str, str] | None:
    """Return (type name, message) of an exception, redacted; only text and numbers among its args are shown."""
    if error is None:
        return None
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    args = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    parts = [str(a) for a in args[:5] if type(a) in (str, int, float, bool)]
    return name, cut(clean(", ".join(parts)), 500)


def cut(text: str, length: int) -> str:
    """Return at most ``length`` characters of ``text``."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def show(value: Any, *, depth: int = 3, length: int = 500, names: Iterable[str] = ()) -> str:
    """Return a redacted picture of ``value`` of at most ``length`` characters.

    Args:
        depth: how deep containers are opened.
        length: characters at most.
        names: further names whose values are hidden.
    """
    return cut(_show(value, depth, length, tuple(names), set()), length)


def _show(value: Any, depth: int, budget: int, names: tuple[str, ...], above: set[int]) -> str:
    kind = type(value)
    if value is None or kind in (bool, int, float, complex):
        return _hide_number(value) if kind is int else repr(value)
    if kind is str:
        return repr(cut(clean(value[: LONGEST_SCANNED + 1]), budget))
    if kind in (bytes, bytearray, memoryview):
        return f"<{kind.__name__} of {value.nbytes if kind is memoryview else len(value)} bytes>"
    if id(value) in above:
        return "…"
    if kind is dict or kind in (list, tuple, set, frozenset):
        if depth <= 0:
            return f"<{kind.__name__} of {len(value)}>"
        above.add(id(value))
        try:
            return _show_container(value, depth - 1, budget, names, above)
        finally:
            above.discard(id(value))
    fields = kind.__dict__.get("__dataclass_fields__")
    state = _instance_dict(value)
    if isinstance(fields, Mapping) and state is not None and depth > 0:
        shown = {name: state[name] for name in tuple(fields)[:MOST_ITEMS] if name in state}
        above.add(id(value))
        try:
            return f"{kind.__name__}({_pairs(shown, depth - 1, budget, names, above, '=')})"
        finally:
            above.discard(id(value))
    return f"<{kind.__module__}.{kind.__qualname__}>"


_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("{", "}"),
}


def _show_container(value: Any, depth: int, budget: int, names: tuple[str, ...], above: set[int]) -> str:
    if type(value) is dict:
        return "{" + _pairs(value, depth, budget, names, above, ": ") + "}"
    left, right = _BRACKETS[type(value)]
    out, room = [], budget
    for count, item in enumerate(tuple(value) if len(value) <= 10_000 else list(_first(value))):
        if count >= MOST_ITEMS or room <= 0:
            out.append(f"… {len(value) - count} more")
            break
        out.append(_show(item, depth, room, names, above))
        room -= len(out[-1])
    return left + ", ".join(out) + right


def _first(value: Iterable[Any]) -> Iterable[Any]:
    for count, item in enumerate(value):
        if count > MOST_ITEMS:
            return
        yield item


def _pairs(
    value: Mapping[Any, Any], depth: int, budget: int, names: tuple[str, ...], above: set[int], joint: str
) -> str:
    out, room = [], budget
    for count, key in enumerate(list(_first(value)) if len(value) > 10_000 else tuple(value)):
        if count >= MOST_ITEMS or room <= 0:
            out.append(f"… {len(value) - count} more")
            break
        label = (
            (key if joint == "=" else repr(cut(clean(key), 80))) if type(key) is str else _show(key, 0, 80, (), above)
        )
        hidden = type(key) is str and secret_name(key, names)
        item = dict.get(value, key) if type(value) is dict else value[key]
        out.append(f"{label}{joint}{HIDDEN if hidden else _show(item, depth, room, names, above)}")
        room -= len(out[-1])
    return ", ".join(out)


def _hide_number(value: int) -> str:
    if value.bit_length() > 4096:
        return f"<int of {value.bit_length()} bits>"
    return clean(repr(value))


def _instance_dict(value: Any) -> dict[str, Any] | None:
    try:
        state = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return state if type(state) is dict else None

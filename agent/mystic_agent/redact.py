"""What may be shown of a value: bounded, without secrets, and without running a line of the application.

No ``__repr__``, ``__str__``, ``__eq__``, ``__hash__`` or property of a foreign type is ever called. Values are
secret by the name they stand under (NAMES, matched inside snake_case, camelCase and header names) or by
their own look (PATTERNS). Redaction comes before truncation, so that no secret survives by being cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from types import GetSetDescriptorType
from typing import Any

from mystic_agent.contract.pattern import pattern

HIDDEN = "[redacted]"
LONGEST_SCANNED = 20_000
MOST_ITEMS = 20
WORK = 30_000
"""Characters and items looked at for one picture at most; what is beyond is named by type and size."""

_MARGIN = 600
"""What is left out at the end of a text that is cut before it is scanned: half a secret has no look."""

_NAMES = """
    password passwd passphrase pwd secret token apikey api_key accesskey access_key private_key credential authorization
    authentication auth_header cookie session_id csrf xsrf jwt bearer signature otp pin_code ssn social_security
    card_number credit_card cvv cvc iban x-mystic-key client_secret
"""
NAMES = tuple(_NAMES.split())

# Each pattern is linear: no nested repetition, bounded repeats, so that no input can make it slow. In front of each is
# a part of everything it matches; looking that up first takes a tenth of the time.
PATTERNS = (
    ("://", pattern(r"(?<=://)[^\s/?#]{1,512}(?=@)")),  # user:password in a URL, and a token that stands for both
    ("-----BEGIN", pattern(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{0,16000}")),
    ("IA", pattern(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("k", pattern(r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)[-_][A-Za-z0-9_-]{8,256}")),
    ("gh", pattern(r"\bgh[pousr]_[A-Za-z0-9]{20,255}")),
    ("xox", pattern(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}")),
)
# JSON Web Token, or a part of one: base64 of what begins with {"
_JWT = pattern(r"eyJ[A-Za-z0-9_-]{12,}+(?:\.[A-Za-z0-9_-]*+){0,4}")
_SCHEME = pattern(r"(?i)\b(?:bearer|basic|digest|negotiate)(?:\s|%20|\+){1,4}[A-Za-z0-9._~+/=-]{6,}+")
# Quotes that are escaped themselves, as in JSON inside of a text, end at the next one.
_QUOTED = r"""\"(?:[^\"\\]|\\[\s\S])*+|'(?:[^'\\]|\\[\s\S])*+|\\{1,3}[\"'][^\"']*+"""
_BETWEEN = r"""(?:\\{0,3}["']?\s{0,4}(?:[=:]|%3[AaDd])\s{0,4}|["'],\s{0,4}(?=["']))"""
# Values of headers are whole lines, with blanks and separators inside.
_HEADER = pattern(rf"(?i)((?:authorization|cookie2?){_BETWEEN})(?:{_QUOTED}|[^\r\n]++)")
_ASSIGNMENT = pattern(
    r"(?i)((?:passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|private)[_-]?key|credential|authentication|"
    r"signature|session[_-]?id|csrf|xsrf|card[_-]?number|cvv|cvc|ssn|jwt)"
    rf"[A-Za-z0-9_-]{{0,40}}{_BETWEEN})(?:{_QUOTED}|[^\s&]++)"
)
# Searching with such patterns takes ten times as long as looking up parts of all that they match, in lower case.
_SCHEMES = ("bearer", "basic", "digest", "negotiate")
_NAMED = (
    *("authorization", "cookie", "pass", "pwd", "secret", "token", "key", "credential", "authentication"),
    *("signature", "session", "csrf", "xsrf", "card", "cvv", "cvc", "ssn", "jwt"),
)
_JOINT = pattern("[=:%,]")
_SHORTEST = 12
"""Characters of the shortest secret, but for one that stands behind its name, which takes a JOINT."""
_CARD = pattern(r"(?<!\d)(?<!\d\.)\d(?:[ -]?\d){12,18}(?!\d|\.\d)")
_SQUEEZE = pattern(r"[^a-z0-9]")
_SQUEEZED = tuple({"".join(filter(str.isalnum, name)) for name in NAMES})


def secret_name(name: str, further: Iterable[str] = ()) -> bool:
    """True when a value under ``name`` must not be shown."""
    return _secret(name[:200]) or name in further


@lru_cache(maxsize=1024)  # names come again and again
def _secret(name: str) -> bool:
    flat = _SQUEEZE.sub("", name.lower())
    return any(word in flat for word in _SQUEEZED)


def clean(text: str) -> str:
    """Return ``text`` without anything that looks like a secret; control characters become escapes."""
    if len(text) < _SHORTEST and text.isprintable() and not _JOINT.search(text):
        return text
    rest = len(text) - LONGEST_SCANNED
    if rest > 0:
        text = text[:LONGEST_SCANNED]
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    if _may_hold(text, _SCHEMES):
        text = _SCHEME.sub(HIDDEN, text)
    for part, look in PATTERNS:
        if part in text:
            text = look.sub(HIDDEN, text)
    if _JOINT.search(text) and _may_hold(text, _NAMED):
        text = _HEADER.sub(r"\1" + HIDDEN, text)
        text = _ASSIGNMENT.sub(r"\1" + HIDDEN, text)
    text = _CARD.sub(_hide_card, text)
    if rest > 0:
        text = text[:-_MARGIN]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
    return f"{text}… ({rest + _MARGIN} more)" if rest > 0 else text


def _may_hold(text: str, words: tuple[str, ...]) -> bool:
    """False when none of the words is in the text, in any case of letters; beyond ASCII that is not said."""
    if not text.isascii():
        return True
    low = text.lower()
    return any([word in low for word in words])  # noqa: C419 -- a generator takes twice as long


def _hide_card(match: re.Match[str]) -> str:
    """Hide digits that pass the Luhn check (ISO/IEC 7812-1, annex B), as card numbers do."""
    digits = [int(c) for c in match[0] if c.isdigit()]
    total = sum(d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits)))
    return HIDDEN if total % 10 == 0 else match[0]


def describe(error: BaseException | None) -> tuple[str, str] | None:
    """Return (type name, message) of an exception, redacted; only text and numbers among its args are shown."""
    if error is None:
        return None
    args = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    parts: list[str] = []
    before: object = None
    for one in args[:5]:
        if type(one) in (str, int, float, bool):
            hidden = type(before) is str and len(before) < LONGEST_LABEL and secret_name(before)
            parts.append(HIDDEN if hidden else _plain(one))
        before = one
    return kind_name(type(error)), cut(clean(", ".join(parts)), 500)


def kind_name(kind: type) -> str:
    """Return ``module.qualname`` of a class, of a builtin one only its name."""
    module = _module_of(kind)
    return class_name(kind) if module == "builtins" else f"{module}.{class_name(kind)}"


def instance_dict(value: object) -> dict[str, Any] | None:
    """Return the attributes that an object itself holds, or None; a ``__dict__`` of its class's own is passed by."""
    for kind in type.__dict__["__mro__"].__get__(type(value)):
        found = type.__dict__["__dict__"].__get__(kind).get("__dict__")
        if found is not None:
            state = found.__get__(value) if type(found) is GetSetDescriptorType else None
            return state if type(state) is dict else None
    return None


def class_name(kind: type) -> str:
    """Return the qualname of a class, whatever its metaclass would say."""
    return type.__dict__["__qualname__"].__get__(kind)  # type: ignore[no-any-return]


def _plain(value: str | int | float | bool) -> str:
    if type(value) is str:
        return value[: LONGEST_SCANNED + 1]
    return _big(value) if type(value) is int and value.bit_length() > _MOST_BITS else str(value)


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
    return Picture(depth=depth, length=length, names=names).show(value)


class Picture:
    """Shows values that belong together, within one budget of work.

    Args:
        depth: how deep containers are opened.
        length: characters of one value at most.
        names: further names whose values are hidden.
        items: of one container that are shown.
        room: characters of all values together.
        work: characters and items looked at in all.
    """

    __slots__ = ("_above", "_depth", "_left", "_length", "_names", "_room", "items")

    def __init__(
        self,
        *,
        depth: int = 3,
        length: int = 500,
        names: Iterable[str] = (),
        items: int = MOST_ITEMS,
        room: int = 1_000_000,
        work: int = WORK,
    ) -> None:
        self._depth, self._length, self._names = depth, length, tuple(names)
        self.items = items
        self._above: set[int] = set()
        self._left, self._room = work, room

    def show(self, value: Any, name: str = "") -> str:
        """Return ``value``, which stands under ``name``, as text."""
        if name and secret_name(name, self._names):
            return HIDDEN
        length = min(self._length, self._room)
        return self._out(self._show(value, self._depth, length)) if length > 0 else "…"

    def clean(self, text: str) -> str:
        """Return a text without quotes."""
        return self._out(self._text(text)) if self._room > 0 else "…"

    def _out(self, shown: str) -> str:
        shown = cut(shown, min(self._length, self._room))
        self._room -= len(shown)
        return shown

    def _text(self, text: str) -> str:
        size = min(len(text), LONGEST_SCANNED)
        if size > self._left:
            return f"<str of {len(text)} characters>"
        self._left -= size
        return clean(text)

    def _show(self, value: Any, depth: int, budget: int) -> str:
        kind = type(value)
        self._left -= 1
        if value is None or kind in (bool, float, complex):
            return repr(value)
        if kind is int:
            return _big(value) if value.bit_length() > _MOST_BITS else clean(repr(value))
        if kind is str:
            return repr(cut(self._text(value), budget))
        if kind in (bytes, bytearray, memoryview):
            return f"<{kind.__name__} of {value.nbytes if kind is memoryview else len(value)} bytes>"
        if id(value) in self._above:
            return "…"
        boxed = kind is dict or kind in _BRACKETS
        if boxed and (depth <= 0 or self._left <= 0):
            return f"<{kind.__name__} of {len(value)}>"
        fields = None if boxed or depth <= 0 or self._left <= 0 else _fields(kind, value, self.items)
        if not boxed and fields is None:
            return f"<{_module_of(kind)}.{class_name(kind)}>"
        self._above.add(id(value))
        try:
            if fields is not None:
                return f"{class_name(kind)}({self._pairs(fields, depth - 1, budget, '=')})"
            if kind is dict:
                return "{" + self._pairs(value, depth - 1, budget, ": ") + "}"
            return self._items(value, depth - 1, budget)
        finally:
            self._above.discard(id(value))

    def _items(self, value: Any, depth: int, budget: int) -> str:
        left, right = _BRACKETS[type(value)]
        out, room = [], budget
        items = tuple(value) if len(value) <= _MANY else list(_first(value, self.items))
        named = len(items) == 2 and type(items[0]) is str and len(items[0]) < LONGEST_LABEL
        pair = named and secret_name(items[0], self._names)  # headers are often listed in pairs
        for count, item in enumerate(items):
            if count >= self.items or room <= 0 or self._left <= 0:
                out.append(f"… {len(value) - count} more")
                break
            out.append(HIDDEN if pair and count else self._show(item, depth, room))
            room -= len(out[-1])
        return left + ", ".join(out) + right

    def _pairs(self, value: dict[Any, Any], depth: int, budget: int, joint: str) -> str:
        out, room = [], budget
        # Items, not keys: looking a key up would run its __hash__.
        items = value.items()
        for count, (key, item) in enumerate(list(_first(items, self.items)) if len(value) > _MANY else tuple(items)):
            if count >= self.items or room <= 0 or self._left <= 0:
                out.append(f"… {len(value) - count} more")
                break
            if type(key) is str:
                label = key if joint == "=" else repr(cut(self._text(key), LONGEST_LABEL))
                hidden = secret_name(key, self._names)
            else:
                label, hidden = cut(self._show(key, 0, LONGEST_LABEL), LONGEST_LABEL), False
            out.append(f"{label}{joint}{HIDDEN if hidden else self._show(item, depth, room)}")
            room -= len(out[-1])
        return ", ".join(out)


LONGEST_LABEL = 80
_MANY = 10_000
_MOST_BITS = 4096
_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("{", "}"),
}
# A metaclass may put code of its own in front of these.
_module_of = type.__dict__["__module__"].__get__


def _big(value: int) -> str:
    return f"<int of {value.bit_length()} bits>"


def _first(value: Iterable[Any], most: int) -> Iterable[Any]:
    for count, item in enumerate(value):
        if count > most:
            return
        yield item


def _fields(kind: type, value: Any, most: int) -> dict[str, Any] | None:
    """Return the fields that an instance of a dataclass holds, or None for anything else."""
    fields = type.__dict__["__dict__"].__get__(kind).get("__dataclass_fields__")
    if type(fields) is not dict:
        return None
    state = instance_dict(value)
    if state is None:
        return None
    return {name: state[name] for name in tuple(fields)[: most + 1] if type(name) is str and name in state}

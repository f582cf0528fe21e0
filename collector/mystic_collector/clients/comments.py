"""JSON with comments, edited so that all else of the text stays; pure.

What editors read as JSON also has comments and commas behind a last member. They are read as spaces, so that the
standard library reads the rest, and every place it tells is a place in the text as it was.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[}\]])')
_DECODER = json.JSONDecoder()


class Member(NamedTuple):
    """One member of an object, by places in the text.

    Attributes:
        start: of its key.
        value: where its value starts.
        end: behind its value.
    """

    key: str
    start: int
    value: int
    end: int


def strict(text: str) -> str:
    """Return ``text`` as JSON in which everything is where it was: comments and last commas are spaces."""
    return _LAST_COMMA.sub(_blank, _TOKEN.sub(_blank, text))


def commented(text: str) -> bool:
    """True when ``text`` is more than JSON."""
    return strict(text) != text


def of(text: str) -> list[str]:
    """Return the comments in ``text``."""
    return [found[0] for found in _TOKEN.finditer(text) if not found[0].startswith('"')]


def put(text: str, path: tuple[str, ...], value: Any, indent: str) -> str:
    """Return ``text`` with ``value`` at ``path``; objects on the way are made where there are none.

    Args:
        text: an object, maybe with comments, that can be read; its lines end with a line feed.
        indent: of one level.
    """
    bare, start = strict(text), _past(strict(text), 0)
    for depth, key in enumerate(path):
        members = _members(bare, start)
        found = next((one for one in members if one.key == key), None)
        margin = indent * (depth + 1)
        if found is None:
            for outer in reversed(path[depth + 1 :]):
                value = {outer: value}
            added = f"\n{margin}{json.dumps(key, ensure_ascii=False)}: {_shown(value, margin, indent)}"
            return _added(text, start, members, added, indent * depth)
        there, start = found, found.value
    return text[: there.value] + _shown(value, margin, indent) + text[there.end :]


def taken_out(text: str, path: tuple[str, ...]) -> str:
    """Return ``text`` without the member at ``path``, which is there; the comments around it stay."""
    bare = strict(text)
    start = _past(bare, 0)
    for key in path[:-1]:
        start = next(one.value for one in _members(bare, start) if one.key == key)
    members = _members(bare, start)
    at = next(index for index, one in enumerate(members) if one.key == path[-1])
    gone, comma = members[at], _comma(text, members[at].end)
    before, behind = text[: gone.start], text[gone.end :]
    if comma is not None:
        behind = text[gone.end : comma] + text[comma + 1 :]
    elif at and (comma := _comma(text, members[at - 1].end)) is not None:  # the last one's comma stands before it
        before = text[:comma] + text[comma + 1 : gone.start]
    return _joined(before, behind)


def _blank(found: re.Match[str]) -> str:
    token = found[0]
    return token if token.startswith('"') else re.sub(r"[^\r\n]", " ", token)


def _past(bare: str, at: int) -> int:
    """Return the place of what comes after spaces."""
    while bare[at : at + 1].isspace():
        at += 1
    return at


def _members(bare: str, start: int) -> list[Member]:
    """Return the members of the object that starts there."""
    found = []
    at = _past(bare, start + 1)
    while bare[at] != "}":
        key, end = _DECODER.raw_decode(bare, at)
        value = _past(bare, _past(bare, end) + 1)
        _, end = _DECODER.raw_decode(bare, value)
        found.append(Member(key, at, value, end))
        at = _past(bare, end)
        at = _past(bare, at + 1) if bare[at] == "," else at
    return found


def _comma(text: str, end: int) -> int | None:
    """Return the place of the comma behind a member that ends there, or None."""
    bare = _TOKEN.sub(_blank, text)
    at = _past(bare, end)
    return at if bare[at] == "," else None


def _added(text: str, start: int, members: list[Member], added: str, margin: str) -> str:
    """Return ``text`` with a member behind the others of the object that starts there."""
    end = start + 1
    if members:
        end, comma = members[-1].end, _comma(text, members[-1].end)
        if comma is None:
            text = f"{text[:end]},{text[end:]}"
            end += 1
        else:
            end, added = comma + 1, f"{added},"
    close = _past(_TOKEN.sub(_blank, text), end)
    return f"{text[:close].rstrip()}{added}\n{margin}{text[close:]}"


def _shown(value: Any, margin: str, indent: str) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", f"\n{margin}")


def _joined(before: str, behind: str) -> str:
    """Return both without the line on which nothing is left."""
    start, rest = before.rstrip(" \t"), behind.lstrip(" \t")
    return start + rest[1:] if start.endswith("\n") and rest.startswith("\n") else before + behind

"""A client's configuration file as text and as JSON; pure.

It is read strictly: a key that occurs twice and what is no number would not come back as they were, nor would comments
in the file of a client that knows none; in the files of others only the places that change are written.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from mystic_collector.clients import comments

_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_BOM = "\ufeff"


class Unreadable(Exception):
    """A file is not what can be changed safely.

    Args:
        line: where, from 1; 0 when it is no single line.
        what: is there.
        remedy: what to do.
    """

    def __init__(self, line: int, what: str, remedy: str) -> None:
        self.line = line
        self.what = what
        self.remedy = remedy
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Document:
    """What is in a file.

    Attributes:
        text: as it is; empty when there is no file or nothing in it.
        value: the JSON object.
        commented: there is more in it than JSON.
    """

    text: str
    value: dict[str, Any]
    commented: bool = False


def read(text: str, commented: bool = False) -> Document:
    """Return what is in a file.

    Args:
        commented: its client takes comments, and commas behind a last member.

    Raises:
        Unreadable: when it is not JSON that comes back as it was.
    """
    bare = text.removeprefix(_BOM)
    if not bare.strip():
        return Document(text, {})
    try:
        strict = comments.strict(bare) if commented else bare
        value = json.loads(strict, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise _not_json("" if commented else bare, error) from error
    except RecursionError as error:
        raise Unreadable(0, "it is nested too deeply", "put it right by hand") from error
    if not isinstance(value, dict):
        raise Unreadable(1, f"it is a JSON {type(value).__name__}, not an object", "make it one, such as {}")
    return Document(text, value, commented and comments.commented(bare))


def entry(document: Document, section: str, name: str) -> dict[str, Any] | None:
    """Return the server called ``name``, or None.

    Raises:
        Unreadable: when the section or the entry is no object.
    """
    servers = document.value.get(section, {})
    if not isinstance(servers, dict):
        raise _no_object(document, section)
    found = servers.get(name)
    if found is not None and not isinstance(found, dict):
        raise _no_object(document, name)
    return found


def changed(document: Document, section: str, name: str, put: dict[str, Any] | None) -> str:
    """Return the file's text with the server ``name`` put in, or taken out where ``put`` is None.

    All else keeps its value and order; line ends, indentation and a byte order mark stay those of the file.

    Raises:
        Unreadable: when the section or the entry is no object.
    """
    there = entry(document, section, name)
    servers = dict(document.value.get(section, {}))
    if put is None:
        servers.pop(name, None)
    else:
        servers[name] = put
    value = {**document.value, section: servers}
    indent = _INDENT.search(document.text)
    if document.commented:
        edited = _edited(document.text, (section, name), there, put, indent.group(1) if indent else "  ")
        return _same(edited, document.text, value)
    minified = bool(document.value) and "\n" not in document.text.strip()
    width = None if minified else indent.group(1) if indent else 2
    text = json.dumps(value, indent=width, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, escaped in the file
        text = json.dumps(value, indent=width)
    end = "" if document.text and not document.text.endswith("\n") else "\n"
    text = (text + end).replace("\n", "\r\n" if "\r\n" in document.text else "\n")
    return (_BOM if document.text.startswith(_BOM) else "") + text


def _edited(
    text: str, path: tuple[str, str], there: dict[str, Any] | None, put: dict[str, Any] | None, indent: str
) -> str:
    """Return ``text`` with only the members of one entry changed."""
    mark, bare = (_BOM if text.startswith(_BOM) else ""), text.removeprefix(_BOM)
    end = "\r\n" if "\r\n" in bare else "\n"
    bare = bare.replace("\r\n", "\n")
    if put is None:
        bare = comments.taken_out(bare, path)
    elif there is None:
        bare = comments.put(bare, path, put, indent)
    else:
        for key in there.keys() - put.keys():
            bare = comments.taken_out(bare, (*path, key))
        for key in [key for key, wanted in put.items() if there.get(key) != wanted]:
            bare = comments.put(bare, (*path, key), put[key], indent)
    return mark + bare.replace("\n", end)


def _same(edited: str, before: str, value: dict[str, Any]) -> str:
    """Return ``edited`` when it says ``value`` and has every comment that was there: a mistake would cost settings."""
    if read(edited, True).value == value and comments.of(edited) == comments.of(before):
        return edited
    raise Unreadable(0, "a comment in the entry itself would be lost", "change the entry by hand")


def _not_json(text: str, error: json.JSONDecodeError) -> Unreadable:
    """Say what is wrong there, and whether it is a comment, where none may be, in ``text``."""
    line = text.splitlines()[error.lineno - 1] if error.lineno <= len(text.splitlines()) else ""
    if line.lstrip().startswith(("//", "/*")) or line[error.colno - 1 :].lstrip().startswith(("//", "/*")):
        return Unreadable(error.lineno, "a comment, which would be lost", "add the entry by hand")
    return Unreadable(
        error.lineno, f"no JSON: {error.msg} (column {error.colno})", "put it right, or add the entry by hand"
    )


def _no_object(document: Document, key: str) -> Unreadable:
    before = document.text.partition(json.dumps(key))[0]
    return Unreadable(before.count("\n") + 1, f"{key!r} is not an object", "make it one, such as {}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    raise Unreadable(0, f"{twice!r} occurs twice in one object", "keep one of them")


def _no_number(name: str) -> Any:
    raise Unreadable(0, f"{name} is no JSON", "give a number")

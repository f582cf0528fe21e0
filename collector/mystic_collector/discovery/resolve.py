"""What people write for a function → the ``module:qualname`` that is meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.target import parse_target

_MOST_SHOWN = 8


def resolve(text: object, running: Iterable[str], written: Iterable[str] = (), field: str = "target") -> str:
    """Return the target meant by ``text``.

    ``module:qualname`` with globs is taken as it is. A dotted path or a bare name must mean exactly one function;
    a dotted path that means none is read as ``module.function``.

    Args:
        text: from a person.
        running: ``module:qualname`` of every function that runs. What runs goes before what is only written: a
            program's main file is in both, under different names.
        written: of every function found in source.
        field: named in errors.

    Raises:
        Invalid: when it is ambiguous (the remedy lists the candidates) or unknown (it lists close names).
    """
    if not isinstance(text, str) or not text.strip():
        raise Invalid(field, text, "name a function as 'package.module:qualname'")
    text = text.strip()
    if ":" in text or set("*?[") & set(text):
        return str(parse_target(text, field))
    running, written = list(running), list(written)
    found = _meant(text, running) or _meant(text, written)
    if len(found) == 1:
        return found[0]
    if found:
        raise Invalid(field, text, f"say which one: {_listed(sorted(found))}")
    close = _close(text, {function: function.replace(":", ".") for function in (*running, *written)})
    if "." in text and not close:
        return str(parse_target(text, field))
    hint = f"did you mean {_listed(close)}?" if close else "'mystic discover' and GET /api/functions list them"
    raise Invalid(field, text, f"no such function is known; {hint}")


def _meant(text: str, known: list[str]) -> list[str]:
    """Return the functions whose dotted path is ``text``, or else those whose path ends with it."""
    dotted = {function: function.replace(":", ".") for function in known}
    exact = [function for function, path in dotted.items() if path == text]
    return exact or [function for function, path in dotted.items() if path.endswith("." + text)]


def _close(text: str, dotted: dict[str, str]) -> list[str]:
    last = text.rpartition(".")[2].lower()
    by_name: dict[str, list[str]] = {}
    for function, path in dotted.items():
        by_name.setdefault(path.rpartition(".")[2].lower(), []).append(function)
    names = difflib.get_close_matches(last, by_name, n=_MOST_SHOWN, cutoff=0.6)
    names += [name for name in sorted(by_name) if last in name and name not in names]
    return [function for name in names for function in sorted(by_name[name])][:_MOST_SHOWN]


def _listed(functions: list[str]) -> str:
    shown = ", ".join(functions[:_MOST_SHOWN])
    return shown if len(functions) <= _MOST_SHOWN else f"{shown} and {len(functions) - _MOST_SHOWN} more"

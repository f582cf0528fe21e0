"""Whether one function takes every call that another one takes, and how the call is made. Pure."""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import Any

from mystic_agent.trampoline import VARARGS, VARKEYWORDS, count_parameters, kind_of


def difference(mine: CodeType, function: FunctionType) -> str:
    """Return the first reason why ``function`` cannot take all calls of code ``mine``; empty when it can.

    Parameters taken by position must have the same names in the same order: two functions that merely take as many
    would run, and mix up what they are given.
    """
    other = function.__code__
    if kind_of(mine) != kind_of(other):
        return f"it is a {_kind(other)} and this is a {_kind(mine)}"
    return _by_position(mine, other, function) or _by_keyword(mine, other, function) or _stars(mine, other)


def arrangement(mine: CodeType) -> Any:
    """Return a function from all values of a call of ``mine``, by position, to (args, kwargs) of the same call."""
    count = mine.co_argcount
    keywords = mine.co_varnames[count : count + mine.co_kwonlyargcount]
    after = count + len(keywords)
    star = after if mine.co_flags & VARARGS else -1
    stars = after + (star >= 0) if mine.co_flags & VARKEYWORDS else -1

    def as_they_are(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return values, {}

    def arrange(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args = values[:count] if star < 0 else values[:count] + values[star]
        kwargs = dict(zip(keywords, values[count:after], strict=True))
        if stars >= 0:
            kwargs.update(values[stars])
        return args, kwargs

    return as_they_are if count == count_parameters(mine) else arrange


def _kind(code: CodeType) -> str:
    kind = kind_of(code)
    return "plain function" if kind == "function" else kind.replace("_", " ") + " function"


def _by_position(mine: CodeType, other: CodeType, function: FunctionType) -> str:
    names, theirs = mine.co_varnames[: mine.co_argcount], other.co_varnames[: other.co_argcount]
    for i, (name, their) in enumerate(zip(names, theirs, strict=False)):
        if name != their:
            return f"its parameter {i + 1} is {their} and here it is {name}"
        if mine.co_flags & VARKEYWORDS and other.co_posonlyargcount <= i < mine.co_posonlyargcount:
            return f"its parameter {name} is not by position only, so a keyword of that name would clash"
    if len(names) > len(theirs) and not other.co_flags & VARARGS:
        return f"it has no parameter {names[len(theirs)]}"
    further = theirs[len(names) :]
    if further and mine.co_flags & VARARGS:
        return f"its parameter {further[0]} would take what is in *{mine.co_varnames[_star(mine)]} here"
    needed = theirs[len(names) : len(theirs) - len(function.__defaults__ or ())]
    given = _keywords(mine)
    missing = [name for i, name in enumerate(needed) if name not in given or len(names) + i < other.co_posonlyargcount]
    return f"its parameter {missing[0]} has no default" if missing else ""


def _by_keyword(mine: CodeType, other: CodeType, function: FunctionType) -> str:
    theirs = _keywords(other)
    named = other.co_varnames[max(mine.co_argcount, other.co_posonlyargcount) : other.co_argcount]
    for name in _keywords(mine):
        if name not in theirs and name not in named and not other.co_flags & VARKEYWORDS:
            return f"it has no keyword {name}"
    for name in theirs:
        if name not in _keywords(mine) and name not in (function.__kwdefaults__ or {}):
            return f"its keyword {name} has no default"
    return ""


def _stars(mine: CodeType, other: CodeType) -> str:
    if mine.co_flags & VARARGS and not other.co_flags & VARARGS:
        return f"it takes no *{mine.co_varnames[_star(mine)]}"
    if mine.co_flags & VARKEYWORDS and not other.co_flags & VARKEYWORDS:
        return f"it takes no **{mine.co_varnames[_star(mine) + bool(mine.co_flags & VARARGS)]}"
    return ""


def _keywords(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]


def _star(code: CodeType) -> int:
    return code.co_argcount + code.co_kwonlyargcount

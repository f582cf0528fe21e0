"""What a cached result depends on besides the arguments, as further parts of the key.

A function that reads context-local state is refused, unless each such thing is either named in ``vary_by``, and so in
the key, or named in ``ignore`` by somebody who knows that the result does not hang on it. Otherwise one user would be
served another one's result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from mystic_agent.cache.ambient import Ambient, ambient, kind_of
from mystic_agent.cache.key import Unkeyable
from mystic_agent.contract.place import ARGUMENT, CONTEXTVAR, Place, parse_place
from mystic_agent.strategies import Subject
from mystic_agent.strategies.named import holder_of
from mystic_agent.strategies.reading import Reading, Unreadable, follow

_MOST_NAMED = 6
Part = Callable[[tuple[Any, ...]], Any]
"""Takes the values of a call and returns one further part of its key."""


class Unset:
    """Stands for a context variable that has no value."""


def problem(subject: Subject, options: Mapping[str, Any]) -> str:
    """Return why the function cannot be cached with these options, or an empty text."""
    named = [parse_place(text, "vary_by") for text in options["vary_by"]]
    ignored = [parse_place(text, "ignore") for text in options["ignore"] if ":" in text]
    known = []
    for place in (*named, *ignored):
        if place.kind == ARGUMENT:
            trouble = Reading(subject, (place.name, *place.steps), place.text).problem
        else:
            thing, trouble = _thing(place, of_a_context=place in named)
            known.append(thing)
        if trouble:
            return f"cache.{'vary_by' if place in named else 'ignore'}: {place.text} {trouble}"
    missing = [one for one in _ambient(subject) if all(one.thing is not thing for thing in known)]
    return _refusal(missing) if missing else ""


def parts(subject: Subject, options: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return what reads the further parts of a key; each raises Unkeyable when there is nothing to read."""
    return tuple(_part(subject, parse_place(text, "vary_by")) for text in options["vary_by"])


def _part(subject: Subject, place: Place) -> Part:
    if place.kind == ARGUMENT:
        reading = Reading(subject, (place.name, *place.steps), place.text)
        find: Part = reading.read
    else:

        def find(values: tuple[Any, ...]) -> Any:
            thing, trouble = _thing(place, of_a_context=True)
            if trouble:
                raise Unreadable(f"{place.text} {trouble}")
            if place.kind == CONTEXTVAR:
                thing = thing.get(Unset)
            if thing is Unset:
                return thing
            return follow(thing, place.steps, place.text)

    def read(values: tuple[Any, ...]) -> Any:
        try:
            return find(values)
        except Unreadable as why:
            raise Unkeyable(why.reason) from None

    return read


def _thing(place: Place, *, of_a_context: bool) -> tuple[Any, str]:
    """Return what a place names, and why it is not what it should be."""
    module = sys.modules.get(place.module)
    if module is None or not isinstance(module, ModuleType):
        return None, "names a module that is not loaded in this process"
    if place.name not in vars(module):
        return None, "names nothing that its module has"
    thing = vars(module)[place.name]
    kind = kind_of(thing)
    if of_a_context and kind != place.kind:
        return thing, f"is a {type(thing).__qualname__}, and no " + (
            "context variable" if place.kind == CONTEXTVAR else "thread-local, nor a context's proxy"
        )
    return thing, ""


def _ambient(subject: Subject) -> list[Ambient]:
    module, _, qualname = subject.name.partition(":")
    top = module.partition(".")[0]

    def ours(name: str) -> bool:
        return name.partition(".")[0] == top or subject.allowed(name)

    function: Any = subject.function
    return ambient(function, holder_of(module, qualname), ours)


def _refusal(missing: Sequence[Ambient]) -> str:
    """Name the first with its reader, and whatever has to be named, so that nobody has to try once for each."""
    first = missing[0]
    places = list(dict.fromkeys(f"{one.kind}:{one.name}" for one in missing))
    named = ", ".join(map(repr, places[:_MOST_NAMED])) + f", … ({len(places)} in all)" * (len(places) > _MOST_NAMED)
    return (
        f"a cache could serve one caller's result to another: {first.reader} reads {first.name}, which each context "
        f"has for itself; name what the result depends on in cache.vary_by, and the rest in cache.ignore: {named}"
    )

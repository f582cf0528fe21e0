"""What of its object the result of a method can depend on, as far as the code tells it; nothing of it runs.

A method that does nothing with ``self`` but read attributes and call methods of which the same is true depends on
those attributes alone, and a cache may tell objects apart by them. Whatever else is done with ``self`` (it is handed
on, assigned to, captured, asked by name) leaves it open.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from types import CodeType, FunctionType, MemberDescriptorType
from typing import Any

from mystic_agent.cache.ambient import SILENT, behind, looked_up
from mystic_agent.contract.named import NamedTuple

MOST_METHODS = 50
MOST_NAMES = 20
_READING = ("LOAD_ATTR", "LOAD_METHOD")
_PLAIN = ("__getattr__", "__getattribute__")


class OwnState(NamedTuple):
    """What a method depends on.

    Attributes:
        names: attributes that it reads, itself or through other methods; none: the object makes no difference.
        methods: names of the methods that it calls on its object.
        asked: (name, what the class has under it) of all that was looked up.
    """

    names: tuple[str, ...]
    methods: frozenset[str]
    asked: tuple[tuple[str, Any], ...]

    def holds_for(self, kind: type) -> bool:
        """True when a class has the same under all names that were looked up."""
        return all(looked_up(kind, name) is found for name, found in self.asked)


def own_state(function: FunctionType, holder: type | None) -> OwnState | None:
    """Return what a method depends on, or None when its code does not tell.

    Args:
        function: the original, not a trampoline.
        holder: the class that it is looked up on.
    """
    if holder is None:
        return None
    nothing = looked_up(type, "no attribute of a class")
    asked = {name: looked_up(holder, name) for name in _PLAIN}
    if asked["__getattr__"] is not nothing or asked["__getattribute__"] is not looked_up(object, "__getattribute__"):
        return None
    names: dict[str, None] = {}
    methods: set[str] = set()
    waiting, seen = [behind(function)], set[int]()
    while waiting:
        code = waiting.pop().__code__
        if id(code) in seen:
            continue
        seen.add(id(code))
        read = attributes(code)
        if read is None or len(seen) > MOST_METHODS:
            return None
        for name in read:
            asked[name] = found = looked_up(holder, name)
            made = found.fget if type(found) is property else found
            if type(made) is FunctionType:
                methods.add(name)
                waiting.append(behind(made))
            elif type(found) in (staticmethod, classmethod):
                methods.add(name)
            elif found is nothing or type(found) is MemberDescriptorType or not hasattr(type(found), "__get__"):
                names[name] = None
            else:
                return None
    return OwnState(tuple(names), frozenset(methods), tuple(asked.items())) if len(names) <= MOST_NAMES else None


def attributes(code: CodeType) -> list[str] | None:
    """Return the attributes of its first parameter that code reads; None when it does anything else with that."""
    if not code.co_argcount or code.co_varnames[0] in code.co_cellvars or "__class__" in code.co_freevars:
        return None  # a function inside of it has it, or super() reaches it without its being named
    import dis

    steps = [one for one in dis.get_instructions(code) if one.opname not in SILENT]
    return _read(steps, code.co_varnames[0])


def _read(steps: Sequence[Any], me: str) -> list[str] | None:
    """Return the names, where every instruction that names ``me`` loads it last, for an attribute to be read."""
    found = []
    for step, following in zip_longest(steps, steps[1:]):
        named = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        if "FAST" not in step.opname or me not in named:
            continue
        loads = step.opname.startswith("LOAD_FAST") or "_LOAD_FAST" in step.opname
        if not loads or named.index(me) != len(named) - 1 or getattr(following, "opname", "") not in _READING:
            return None
        found.append(str(following.argval))
    return found

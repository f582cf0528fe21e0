"""Named tuples as ``typing.NamedTuple`` makes them, in a tenth of its time.

``typing`` compiles the annotation of every field to see whether it may be a type. The agent makes dozens of them while
an application starts, and its type checker has looked already.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    _NOT_TAKEN_OVER = frozenset({"__annotations__", "__dict__", "__module__", "__qualname__", "__weakref__"})

    class _Maker(type):
        def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, space)
            fields = tuple(space.get("__annotations__", ()))
            defaults = [space[field] for field in fields if field in space]
            made = namedtuple(name, fields, defaults=defaults, module=space["__module__"])
            made.__qualname__ = space["__qualname__"]
            for key, value in space.items():
                if key not in _NOT_TAKEN_OVER and key not in fields:
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """Base of a class whose annotated names are the fields of a tuple."""

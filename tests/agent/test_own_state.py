"""What a method depends on of its object is told from its code, or left open."""

from __future__ import annotations

import functools
from typing import Any, cast

import pytest
from mystic_agent.cache.own_state import own_state


class Base:
    __slots__ = ("__dict__", "slot")
    rate = 3

    def factor(self) -> int:
        return self.rate * self.scale  # type: ignore[attr-defined,no-any-return]

    def hidden(self, n: int) -> int:
        return n


class Shop(Base):
    def unused(self, n: int) -> int:
        return n + 1

    def reads(self, n: int) -> Any:
        if n > self.limit:
            return self.names[n], self.slot  # type: ignore[attr-defined]
        return self.rate

    def calls(self, n: int) -> Any:
        return self.factor() + self.twice(n) + self.double

    @staticmethod
    def twice(n: int) -> int:
        return 2 * n

    @property
    def double(self) -> int:
        return self.half * 4  # type: ignore[attr-defined,no-any-return]

    @functools.cached_property
    def once(self) -> int:
        return 1

    def recursive(self, n: int) -> int:
        return n if n < self.least else self.recursive(n - 1)  # type: ignore[attr-defined]

    def hands_on(self, n: int) -> str:
        return str(self)

    def assigns(self, n: int) -> None:
        self.limit = n

    def adds(self, n: int) -> None:
        self.limit += n

    def captures(self, n: int) -> Any:
        return lambda: self.limit

    def compares(self, other: Any) -> bool:
        return other is self

    def returns(self) -> Any:
        return self

    def base(self, n: int) -> int:
        return super().hidden(n)

    def by_name(self, name: str) -> Any:
        return getattr(self, name)

    def keeps(self) -> int:
        return self.once

    def into_another(self) -> Any:
        return self.returns()

    def renames(self) -> Any:
        me = self
        return me.limit

    def two(self, n: int) -> Any:
        return n, self.limit, n, self.names  # type: ignore[attr-defined]


class ByName(Shop):
    def __getattr__(self, name: str) -> Any:
        return name


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("unused", []),
        ("hidden", []),
        ("reads", ["limit", "names", "rate", "slot"]),
        ("calls", ["half", "rate", "scale"]),
        ("recursive", ["least"]),
        ("two", ["limit", "names"]),
    ],
)
def test_a_method_depends_on_the_attributes_that_it_and_those_it_calls_read(method: str, names: list[str]) -> None:
    found = own_state(getattr(Shop, method), Shop)
    assert found is not None
    assert sorted(found.names) == names
    assert found.holds_for(type("Heir", (Shop,), {}))
    assert not found.holds_for(ByName)


@pytest.mark.parametrize(
    "method",
    ["hands_on", "assigns", "adds", "captures", "compares", "returns", "base", "by_name", "keeps", "into_another",
     "renames"],
)  # fmt: skip
def test_whatever_else_is_done_with_the_object_leaves_it_open(method: str) -> None:
    assert own_state(getattr(Shop, method), Shop) is None


def test_another_class_must_have_the_same_where_the_method_looks() -> None:
    found = own_state(cast(Any, Shop.calls), Shop)
    assert found is not None
    assert not found.holds_for(type("Heir", (Shop,), {"factor": lambda self: id(self)}))
    assert not found.holds_for(type("Heir", (Shop,), {"rate": 4}))
    assert own_state(cast(Any, Shop.unused), None) is None
    assert own_state(cast(Any, Shop.unused), ByName) is None

"""Figures are divided, exact to the call, where the hijacks in force on a function change."""

from __future__ import annotations

import json

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.mark import MOST_MARKS, Mark, parse_marks
from mystic_agent.observe.marks import Marks
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.trace import Tracer


def counted(meter: Meter, *durations: int, failed: bool = False) -> None:
    for one in durations:
        meter.count(one, failed)


def test_a_mark_holds_what_was_counted_until_the_change() -> None:
    meter = Meter("m:f", Tracer(0))
    marks = Marks(meter, iter([7, 8]).__next__)
    counted(meter, 1, 5, 5)
    counted(meter, 9, failed=True)
    meter.h[meter.cell("cache", "hit", untimed=True)] += 2
    meter.h[meter.cell("cache", "bypass", "why")] += 1
    standing = marks.standing(True)
    assert standing is not None
    counted(meter, 100)
    assert marks.changed(("h1",), ("spec",), ("cache",), 3, standing)
    [mark] = marks.all()
    assert mark == Mark(0, 7, 3, ("h1",), ("cache",), (0, 1, 0, 2, 1), 2, 1, 20, {"cache/hit": 2, "cache/bypass": 1})
    assert parse_marks(json.loads(json.dumps([mark.to_json()])), "marks") == (mark,)


def test_what_stays_as_it_was_leaves_no_mark_and_costs_no_copy() -> None:
    marks = Marks(Meter("m:f", Tracer(0)))
    assert marks.standing(False) is None
    standing = marks.standing(True)
    assert standing is not None
    assert marks.changed(("h1",), ("spec",), ("log",), 1, standing)
    assert not marks.changed(("h1",), ("spec",), ("log",), 2, standing)
    assert marks.changed(("h1",), ("other options",), ("log",), 3, standing)
    assert marks.standing(False) is not None
    assert marks.changed((), (), (), 4, standing)
    assert [(one.number, one.version, one.hijacks) for one in marks.all()] == [
        (0, 1, ("h1",)),
        (1, 3, ("h1",)),
        (2, 4, ()),
    ]


def test_only_the_newest_marks_are_kept_and_their_numbers_tell_of_the_others() -> None:
    marks = Marks(Meter("m:f", Tracer(0)))
    standing = marks.standing(True)
    assert standing is not None
    for turn in range(MOST_MARKS + 5):
        marks.changed((f"h{turn}",), (), (), turn, standing)
    assert [one.number for one in marks.all()] == list(range(5, MOST_MARKS + 5))


def test_a_forked_child_begins_with_what_is_in_force_and_figures_of_zero() -> None:
    meter = Meter("m:f", Tracer(0))
    marks = Marks(meter)
    counted(meter, 3)
    standing = marks.standing(True)
    assert standing is not None
    marks.changed(("h1",), ("spec",), ("log",), 5, standing)
    meter.reset()
    marks.reset()
    [mark] = marks.all()
    assert (mark.number, mark.hijacks, mark.strategies, mark.buckets, mark.version) == (0, ("h1",), ("log",), (), 5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", -1), ("at_ns", True), ("version", "1"), ("buckets", [1.5]), ("buckets", [0] * 65), ("errors", 2**63),
     ("hijacks", ["a\n"]), ("strategies", "log"), ("decisions", {"a": -1}), ("decisions", {"": 1}), ("decisions", [])],
)  # fmt: skip
def test_a_mark_from_the_network_is_refused_with_the_field_that_is_wrong(field: str, value: object) -> None:
    sent = {**Mark(0, 1, 1).to_json(), field: value}
    with pytest.raises(Invalid, match=f"marks\\[0\\].{field}"):
        parse_marks([sent], "marks")

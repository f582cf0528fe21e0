"""Which functions a pattern means; whatever a person writes is matched at once, or refused before it is kept."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.target import parse_target

MOMENT = 20.0
SLOW = """
from mystic_agent.contract.target import parse_target

stars = parse_target("m:" + "*a" * 200 + "*b")
assert not stars.matches("m", "a" * 1000)
assert stars.matches("m", "a" * 1000 + "b")
"""


def test_many_stars_over_a_long_name_are_matched_at_once() -> None:
    # In a process of its own: a regular expression that tries everything holds all threads of one up, for years.
    subprocess.run([sys.executable, "-c", SLOW], check=True, timeout=MOMENT)


@given(glob=st.text("ab*?", min_size=1, max_size=12), name=st.text("ab", max_size=12))
def test_stars_and_question_marks_mean_what_they_mean_in_a_shell(glob: str, name: str) -> None:
    assert parse_target(f"m:{glob}").matches("m", name) == fnmatchcase(name, glob)


@given(inside=st.text("abc-!", min_size=1, max_size=6), name=st.sampled_from("abc"))
def test_brackets_mean_what_they_mean_in_a_shell_or_are_refused(inside: str, name: str) -> None:
    try:
        target = parse_target(f"m:[{inside}]x")
    except Invalid:
        return
    assert target.matches("m", f"{name}x") == fnmatchcase(f"{name}x", f"[{inside}]x")


@given(glob=st.text("a-![]*?<>.", min_size=1, max_size=10))
def test_no_pattern_that_is_taken_fails_or_warns_when_it_is_matched(glob: str) -> None:
    try:
        target = parse_target(f"{glob}:{glob}")
    except Invalid:
        return
    assert target.matches("a", "a") in (True, False)


def test_a_range_that_cannot_be_is_refused_with_what_is_wrong() -> None:
    with pytest.raises(Invalid, match=r"put what stands in brackets right \(bad character range z-a\)"):
        parse_target("shop:[z-a]*")

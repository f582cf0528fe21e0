"""The results on disk: JSON for programs, and the table on the page that explains the method."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figure import Figure, short
from bench.settings import PROJECT
from bench.table import markdown

PAGE = PROJECT / "docs" / "bench.md"
BEGIN, END = "<!-- table: written by make bench -->", "<!-- end of table -->"


def write_json(path: Path, facts: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Write every figure with its target and verdict."""
    path.parent.mkdir(exist_ok=True)
    whole = {"machine": dict(facts), "figures": [figure.to_json() for figure in figures]}
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(facts: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Replace the table on the page.

    Raises:
        ValueError: when the page has lost the marks the table stands between.
    """
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} has no table to replace: put {BEGIN!r} and {END!r} on lines of their own")
    PAGE.write_text(f"{before}{BEGIN}\n\n{_table(facts, figures)}\n{END}{after}", encoding="utf-8")


def _table(facts: Mapping[str, str], figures: Sequence[Figure]) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in facts.items() if name not in _SENTENCE)
    head = "Measured {date} on {python}, {system}; load before the end {load}.".format(**facts)
    judged, missed = [figure for figure in figures if figure.target], short(figures)
    verdict = f"{len(judged) - len(missed)} of {len(judged)} targets met."
    return f"{head} With {versions}. {verdict}\n\n{markdown(figures)}"


_SENTENCE = ("date", "python", "system", "load")

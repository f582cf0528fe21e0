"""Run the sections, print the table, write the results.

Usage: ``python -m bench [section ...]``; without sections all of them, and the page in ``docs`` is written too.
"""

from __future__ import annotations

import importlib
import sys
import time

from bench import machine, page
from bench.figure import Figure, short
from bench.settings import BUILD
from bench.table import text

SECTIONS = ("calls", "attach", "start", "encode", "ingest", "requests")


def main(chosen: list[str]) -> int:
    """Measure ``chosen`` sections; return the exit code, 0 also when targets are missed."""
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        print(f"bench: unknown section {unknown[0]!r}; known are {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    began = time.monotonic()
    for name in chosen or SECTIONS:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"bench.{name}").figures()
    facts = machine.facts()
    print(text(figures))
    missed = short(figures)
    print(f"\n{len(missed)} of {sum(bool(f.target) for f in figures)} targets short, {time.monotonic() - began:.0f} s")
    page.write_json(BUILD / ("bench.json" if not chosen else f"bench-{'-'.join(chosen)}.json"), facts, figures)
    if not chosen:
        page.write_table(facts, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run the sections, print the table, write the results.

Usage: ``python -m bench [section ...]``; without sections all of them, and the page in ``docs`` is written too.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time

from bench import machine, page
from bench.figure import Figure, short
from bench.settings import BUILD
from bench.table import text

SECTIONS = ("calls", "strategies", "caches", "shared", "attach", "start", "encode", "ingest", "requests", "servers")


def main(chosen: list[str]) -> int:
    """Measure ``chosen`` sections; return the exit code: 0 also when targets are missed, 1 when a section broke."""
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        print(f"bench: unknown section {unknown[0]!r}; known are {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    broken: list[str] = []
    began = time.monotonic()
    for name in chosen or SECTIONS:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        try:
            figures += importlib.import_module(f"bench.{name}").figures()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"bench: {name} could not be measured: {error}", file=sys.stderr)
            broken.append(name)
    facts = machine.facts()
    print(text(figures))
    missed = short(figures)
    print(f"\n{len(missed)} of {sum(bool(f.target) for f in figures)} targets short, {time.monotonic() - began:.0f} s")
    page.write_json(BUILD / ("bench.json" if not chosen else f"bench-{'-'.join(chosen)}.json"), facts, figures)
    if not chosen and not broken:
        page.write_table(facts, figures)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

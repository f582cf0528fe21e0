"""The bench's own parts; what it measures is asserted nowhere."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def python(*arguments):
    env = os.environ | {"PYTHONPATH": str(TESTS)}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=60)


def test_an_unknown_section_is_refused_with_the_known_ones():
    done = python("-m", "bench", "nonsense")
    assert done.returncode == 2
    assert "'nonsense'" in done.stderr
    assert "calls, attach, start, encode, ingest, requests" in done.stderr


def test_a_figure_is_judged_by_what_is_compared_and_shown_as_met_or_short():
    done = python(
        "-c",
        "from bench.figure import Figure, Target, short\n"
        "from bench.table import markdown, text\n"
        "most, least = Target(6, '× closure'), Target(90, '% of bare', at_least=True)\n"
        "figures = [Figure('call', 'span', 700.0, 'ns', most, 6.5, '×'), Figure('call', 'rate', 91.0, '/s', least)]\n"
        "print(text(figures)); print(markdown(figures)); print([figure.variant for figure in short(figures)])\n",
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["span", "700", "ns", "6.50", "×", "≤", "6", "×", "closure", "short"]
    assert lines[2].split() == ["rate", "91", "/s", "≥", "90", "%", "of", "bare", "met"]
    assert "| span | 700 ns | 6.50 × | ≤ 6 × closure | short |" in lines
    assert lines[-1] == "['span']"


def test_the_loop_measures_only_the_calls_it_makes():
    done = python(
        "-c",
        "from bench.rounds import Variant, measure\n"
        "made, kept = [], []\n"
        "def f(a, b): made.append(a + b)\n"
        "figures = measure('function', [Variant('one', f, calls=40, after=lambda: kept.append(len(made)))], 2)\n"
        "assert figures['one'] > 0\n"
        "print(kept, set(made))\n",
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[40, 80, 120] {3}"

"""What is predicted of a cache is what the cache then does, in a real process; and what must not be cached is named."""

from __future__ import annotations

import json
import subprocess

import pytest
from lab import BIN, BOOTSTRAP, PATIENCE, Lab, until

from tests.collector.cacheability_workloads import Call, bursts, drift, zipf

SECONDS, COUNT = 4.0, 8000
TTLS = {"short": 0.25, "middle": 1.0, "long": 60.0}
WORKLOADS = {
    "Zipf": zipf(COUNT, 4000, 1.0, SECONDS),
    "drift": drift(COUNT, 3000, 0.9, SECONDS),
    "bursts": [(at / 100, key) for at, key in bursts(COUNT, 2000, SECONDS * 100)],
}

PRICES = """
import itertools

def _price(item):
    total = 0
    for n in range(60):
        total += n * item
    return {"item": item, "total": total}

def price(item): return _price(item)
def short(item): return _price(item)
def middle(item): return _price(item)
def long(item): return _price(item)

class Shop:
    def __init__(self, rate): self.rate = rate
    def price(self, item): return _price(item * self.rate)

shops, turn = [Shop(2), Shop(2)], itertools.count()

def shop(item): return shops[next(turn) % 2].price(item)
"""

REPLAY = """
import json, sys, time
import prices

for line in sys.stdin:
    file, *names = line.split()
    called = [getattr(prices, name) for name in names]
    calls = json.load(open(file))
    began = time.perf_counter()
    for at, key in calls:
        wait = began + at - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        for one in called:
            one(key)
    print("done", flush=True)
"""


class Program:
    """A program under the agent that does something for each line it is given, and says so in a line of its own."""

    def __init__(self, lab: Lab, source: str, **environment: str) -> None:
        self.lab = lab
        (lab.folder / "program.py").write_text(source)
        self.process = subprocess.Popen(
            [str(BIN / "python"), "program.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=lab.folder,
            env=lab.environment(PYTHONPATH=str(BOOTSTRAP), **environment),
        )
        lab.stack.callback(self.close)
        until(lambda: lab.processes() == 1, "the process")

    def close(self) -> None:
        self.process.communicate(timeout=PATIENCE)

    def do(self, line: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


class Replayer(Program):
    """Replays recorded calls."""

    def __init__(self, lab: Lab) -> None:
        (lab.folder / "prices.py").write_text(PRICES)
        super().__init__(lab, REPLAY, MYSTIC_ANALYZE="off", MYSTIC_TRACES_PER_SECOND="0")

    def replay(self, calls: list[Call], *names: str) -> None:
        recording = self.lab.folder / "recording.json"
        recording.write_text(json.dumps(calls))
        self.do(" ".join((str(recording), *names)))
        for name in names:
            counted(self.lab, f"prices:{name}", len(calls))

    def decided(self, name: str) -> dict[str, int]:
        figures = self.lab.api("GET", f"/api/metrics/prices:{name}")[1]
        return {row["decision"]: row["count"] for row in figures["decisions"] if row["strategy"] == "cache"}

    def hits(self, name: str) -> float:
        figures = self.lab.api("GET", f"/api/metrics/prices:{name}")[1]
        decisions = {row["decision"]: row["count"] for row in figures["decisions"] if row["strategy"] == "cache"}
        return float(decisions["hit"] / figures["call_count"])


def counted(lab: Lab, function: str, calls: int) -> None:
    until(lambda: lab.count(function) >= calls, f"all calls of {function}")


def analyzed(lab: Lab, function: str, calls: int, query: str = "") -> dict:
    """Return the answer for a function once as many calls were looked at."""

    def told() -> dict | None:
        found = lab.api("GET", f"/api/analysis/cacheability/{function}?{query}")[1]
        return found if found["calls"] >= calls else None

    return until(told, f"the analysis of {function}")


def hijack(lab: Lab, target: str, strategy: dict) -> None:
    body = {"target": target, "stages": {"*": [strategy]}, "owner": "test"}
    status, made = lab.api("POST", "/api/hijacks", body)
    assert status == 201, made
    until(
        lambda: lab.api("GET", f"/api/hijacks/{made['id']}")[1]["progress"]["summary"].startswith("attached in 1 of 1"),
        target,
    )


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_hit_rate_predicted_from_a_sample_is_within_five_points_of_the_one_measured(lab: Lab, name: str) -> None:
    calls, replayer = WORKLOADS[name], Replayer(lab)
    hijack(lab, "prices:price", {"analyze": {"share": "100%", "accesses": 1000}})
    for function, ttl in TTLS.items():
        hijack(lab, f"prices:{function}", {"cache": {"ttl": ttl}})
    replayer.replay(calls, "price", *TTLS)  # at once, so that a machine that stalls does so for both

    found = analyzed(lab, "prices:price", len(calls), "&".join(f"ttl={ttl}" for ttl in TTLS.values()))
    predicted = {row["ttl"]: row for row in found["predictions"]}
    assert 0.05 < found["sampled_share_of_keys"] < 0.8
    for function, ttl in TTLS.items():
        measured = replayer.hits(function)
        assert predicted[ttl]["hit_rate"] == pytest.approx(measured, abs=0.05), (ttl, predicted[ttl])


def test_a_method_is_judged_by_what_it_reads_of_its_object_and_measured_as_predicted(lab: Lab) -> None:
    calls, replayer = WORKLOADS["Zipf"], Replayer(lab)
    hijack(lab, "prices:Shop.price", {"analyze": {"share": "100%", "accesses": 400}})
    replayer.replay(calls, "shop")
    found = analyzed(lab, "prices:Shop.price", len(calls))
    assert (found["verdict"], found["options"]) == ("yes", {"identity": ["rate"]}), found["reasons"]
    assert any("identity=rate" in note for note in found["notes"])
    hijack(lab, "prices:Shop.price", {"cache": {"ttl": found["ttl"], **found["options"]}})
    assert replayer.decided("Shop.price") == {}
    replayer.replay(calls, "shop")
    measured = replayer.decided("Shop.price")
    assert abs(measured["hit"] / len(calls) - found["hit_rate"]) <= 0.05


IMPURE = """
import contextvars, itertools, os, random, time

user = contextvars.ContextVar("user", default="nobody")
numbers = itertools.count()

def spin(): return sum(range(5_000))
def good(n): return {"n": n, "sum": spin()}
def by_time(n): return spin(), time.time_ns()
def by_date(n): return spin(), time.strftime("%Y")
def by_chance(n): return spin(), random.random()
def rarely_by_chance(n): return spin() if random.random() >= 0 else -1
def mutates(items): spin(); items.append(1); return len(items)
def for_user(n): spin(); return f"{n} of {user.get()}"
def through(n): return for_user(n)
def writes(n):
    with open(os.devnull, "w") as file: file.write(str(n))
    return spin()
def counts(n): return spin(), next(numbers)
def yields(n): yield n
def opens(n): spin(); return open(os.devnull)

class Till:
    def __init__(self): self.sum = 0
    def add(self, n): spin(); self.sum += n; return self.sum
    def peek(self, n): return n + spin() + len(str(self)[:0])
class Basket:
    def __init__(self, items): self.items = items
def of_basket(basket): spin(); return len(basket.items)

till = Till()
EACH = [good, by_time, by_date, by_chance, rarely_by_chance, for_user, through, writes, counts, till.add, till.peek]
def run():
    for i in range(300):
        for function in EACH: function(i % 10)
        mutates([i % 10]); list(yields(i % 10)); opens(i % 10).close(); of_basket(Basket([i % 10]))
"""

ANSWERS = {
    "good": ("yes", "same result"),
    "by_time": ("no", "its result changes for the same arguments"),
    "by_date": ("unknown", "it reads the time: time.strftime"),
    "by_chance": ("no", "its result changes for the same arguments"),
    "rarely_by_chance": ("unknown", "it uses chance: random.Random.random"),
    "mutates": ("no", "it changes its arguments"),
    "for_user": ("no", "it depends on a context or thread: impure:user"),
    "through": ("no", "impure:user (through impure:for_user)"),
    "writes": ("no", "it writes outside the process: open(…, 'w')"),
    "counts": ("no", "its result changes for the same arguments"),
    "yields": ("no", "it is a generator"),
    "opens": ("no", "it returns what only one caller can use"),
    "Till.add": ("no", "its result changes for the same arguments"),
    "Till.peek": ("unknown", "told apart by identity alone"),
    "of_basket": ("no", "impure.Basket"),
}


def test_nothing_that_must_not_be_cached_is_called_worth_it_and_each_has_its_reason(lab: Lab) -> None:
    (lab.folder / "impure.py").write_text(IMPURE)
    program = Program(
        lab,
        "import sys, impure\nfor line in sys.stdin:\n    impure.run()\n    print('done', flush=True)\n",
        MYSTIC_ANALYZE="off",
    )
    for name in ANSWERS:
        if name != "yields":
            hijack(lab, f"impure:{name}", {"analyze": {"share": "100%"}})
    program.do("run")
    counted(lab, "impure:of_basket", 300)
    for name, (verdict, reason) in ANSWERS.items():
        found = analyzed(lab, f"impure:{name}", 300 if name != "yields" else 0)
        text = "; ".join(found["reasons"])
        assert found["verdict"] == verdict, (name, text)
        assert reason in text, (name, text)
    listed = lab.api("GET", "/api/analysis/cacheability?limit=50")[1]["functions"]
    assert [one["function"] for one in listed if one["verdict"] == "yes"] == ["impure:good"]
    assert listed[0]["function"] == "impure:good"
    shown = lab.mystic("cacheability")
    assert shown.stdout.splitlines()[1].split()[:2] == ["impure:good", "yes"]
    one = lab.mystic("cacheability", "by_time", "--ttl", "5m")
    assert "impure:by_time of shop: no" in one.stdout
    assert "5 min" in one.stdout
    assert "impure:user" not in lab.mystic("logs", "--format", "json").stdout

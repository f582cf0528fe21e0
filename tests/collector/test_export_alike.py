"""What is exported does, call by call, what the hijack did while the service ran."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from mystic_agent.strategies.breaker import FAILED, NEITHER, SUCCEEDED, Breaker, Limits
from mystic_collector.export.module import module
from mystic_collector.export.plain.circuit_broken import _Breaker

from .applications import application
from .conftest import Running, until
from .test_export import applied, run

SHOP = '''"""A shop."""

import asyncio
import uuid


class Refused(Exception):
    class Politely(Exception):
        pass


def price(item, quantity=1, *more, unit="kg", **other):
    return ["old", item, quantity, more, unit, other]


def price_by_table(item, quantity=5, *more, unit="lb", **other):
    return ["new", price(item, quantity, *more, unit=unit, **other)]


async def quote(user, item="tea"):
    await asyncio.sleep(0)
    return ["old", user["id"], item]


async def quote_anew(user, item="mug"):
    started = asyncio.create_task(later(user))
    return ["new", await quote(user, item), started]


async def later(user):
    await asyncio.sleep(0.01)
    return await quote(user)


class Till:
    def add(self, user, n=1):
        return ["old", user, n]

    def add_anew(self, user, n=2):
        return ["new", self.add(user, n)]

    @classmethod
    def sum(cls, n):
        return ["old", cls.__name__, n]

    @classmethod
    def sum_anew(cls, n):
        return ["new", cls.__name__, n]

    @staticmethod
    def flip(n):
        return ["old", n]


def price_one(n):
    return n


def answer(outcome):
    if outcome == "fails":
        raise Refused.Politely(outcome)
    if outcome == "other":
        raise LookupError(outcome)
    return outcome


def ask(outcome):
    return answer(outcome)


async def ask_later(outcome):
    await asyncio.sleep(0)
    return answer(outcome)
'''

HIJACKS = {
    "price": {"redirect": {"to": "shop:price_by_table"}},
    "quote": {"rollout": {"to": "shop:quote_anew", "key": "user.id", "share": 0.5}},
    "Till.add": {"ab": {"to": "shop:Till.add_anew", "key": "user", "share": 0.4, "salt": "tills"}},
    "Till.sum": {"redirect": {"to": "shop:Till.sum_anew"}},
    "Till.flip": {"ab": {"to": "shop:price_one", "share": 0}},
    "ask": {"circuit_breaker": {"failure_count": 3, "open_for": "1h", "exceptions": ["shop:Refused.Politely"],
                                "exception": "shop:Refused", "message": "not now"}},
    "ask_later": {"circuit_breaker": {"minimum": 4, "open_for": "1h", "exclude": ["LookupError"]}},
}  # fmt: skip

CALLS = """
import asyncio, json, uuid
import shop
def outcome(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return [type(error).__name__, str(error)]
async def quoted(*args):
    found = await shop.quote(*args)
    return found[:2] + [(await found[2])[0]] if found[0] == "new" else found
async def told_later(outcome):
    try:
        return await shop.ask_later(outcome)
    except Exception as error:
        return [type(error).__name__, str(error)]
class Id(str):
    pass
told = [outcome(shop.price, "tea"), outcome(shop.price, item="tea", quantity=2, color="red"),
        outcome(shop.price, "tea", 1, 2, 3, unit="g"), outcome(shop.price), outcome(shop.price_by_table, "mug")]
ids = [*range(40), *map(str, range(40)), True, None, 1.5, b"one", uuid.UUID(int=7), Id("x"), [1]]
told += [asyncio.run(quoted({"id": one})) for one in ids] + [outcome(lambda: asyncio.run(quoted({})))]
told += [shop.Till().add(one) for one in ids] + [shop.Till().add(n=3, user=1)]
told += [shop.Till.sum(3), shop.Till().sum(n=4), shop.Till.flip(1)]
told += [outcome(shop.ask, one) for one in ["fails", "well", "fails", "other", "well", "fails", "well", "fails"]]
told += [asyncio.run(told_later(one)) for one in ["fails", "other", "other", "well", "fails", "well", "well", "well"]]
told = json.loads(json.dumps(told, default=repr))
"""


def attached(collector: Running, path: str) -> bool:
    return bool(collector.get(path)["progress"]["attached"] == 1)


def test_what_is_exported_gives_every_call_what_the_hijack_gave_it(start: Callable[..., Any], tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "shop.py").write_text(SHOP)
    with start(project_root=project) as collector:
        source = f"import shop\ninput()\n{CALLS}\nopen('told', 'w').write(json.dumps(told))"
        with application(collector.url, project, source):
            for name, strategy in HIJACKS.items():
                hijack = {"target": f"shop:{name}", "stages": {"*": [strategy]}}
                path = f"/api/hijacks/{collector.post('/api/hijacks', hijack, 201)['id']}"
                until(partial(attached, collector, path), f"the hijack on {name}")
            found = collector.get("/api/patch")
    assert (found["refused"], sorted(found["functions"])) == ([], sorted(f"shop:{name}" for name in HIJACKS))
    applied(project, found["patch"])
    hijacked = json.loads((project / "told").read_text())
    exported = run(project, f"{CALLS}\nprint(json.dumps(told))")
    for number, (old, new) in enumerate(zip(hijacked, exported, strict=True)):
        assert old == new, f"outcome {number}"
    text = json.dumps(hijacked)
    assert text.count('["new"') > 40
    assert text.count("not now") == 2
    assert text.count("is not called for 3600 s") == 2


def test_an_exported_division_by_lot_keeps_its_share(tmp_path: Path) -> None:
    (tmp_path / "mystic_exported.py").write_text(module(["divided"]))
    code = """
import json, random
random.seed(5)
import __main__
from mystic_exported import divided
def new(n): return 1
@divided("__main__:new", share=0.3)
def old(n): return 0
print(json.dumps(sum(old(1) for _ in range(4000))))
"""
    assert abs(run(tmp_path, code) - 1200) < 120


@pytest.mark.parametrize("seed", range(30))
def test_an_exported_breaker_decides_as_ours_does_whatever_comes(seed: int) -> None:
    chance = random.Random(seed)
    now = [chance.randrange(10**9, 10**12)]
    ratio, count = chance.choice([0.07, 0.3, 0.5, 1.0]), chance.choice([0, 0, 4])
    minimum, probes = chance.randint(1, 12), chance.randint(1, 3)
    window, open_for = chance.choice([1, 10, 30]) * 10**9, chance.choice([1, 5]) * 10**9
    ours = Breaker(Limits(ratio, count, minimum, window, open_for, probes), lambda: now[0])
    theirs: Any = cast(Any, _Breaker)(ratio, count, minimum, window, open_for, probes, lambda: now[0])
    outcomes = {SUCCEEDED: False, FAILED: True, NEITHER: None}
    under_way: list[tuple[int, int]] = []
    passed = 0
    for _ in range(3000):
        now[0] += chance.choice([0, 10**6, 10**8, 10**9, open_for])
        if len(under_way) < 4 and chance.random() < 0.6:
            mine, other = ours.ask().epoch, theirs.ask()
            assert (mine < 0) == (other is None)
            if other is not None:
                under_way.append((mine, other))
                passed += 1
        elif under_way:
            mine, other = under_way.pop(chance.randrange(len(under_way)))
            outcome = chance.choices(list(outcomes), [6, 3, 1])[0]
            ours.tell(mine, outcome)
            theirs.tell(other, outcomes[outcome])
        assert ours.state.replace("_", " ") == theirs.state
    assert passed > 100

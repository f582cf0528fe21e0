"""Recordings, drifts, differences and failures hold no secret, and values that fight back do no harm to them."""

from __future__ import annotations

import threading

import pytest
from canaries import CASES, found
from module_under_test import offer
from mystic_agent.guard import guard
from mystic_agent.strategies.background import background

SOURCE = """
    given = []

    def give(value, password=""):
        return {"given": value, "n": len(given)}

    def give_too(value, password=""):
        return {"given": [value], "n": value}

    def refuse(value, password=""):
        raise ValueError(*([value] if isinstance(value, str) else ["no", value]))

    def refuse_too(value, password=""):
        raise LookupError(value)
"""
OWN = """
    class Telling:
        def __init__(self, function, options): ...

        def call(self, call):
            raise RuntimeError(call.arguments["value"], call.arguments["password"])
"""


@pytest.fixture
def shop(app_of, tmp_path, monkeypatch):
    loaded = app_of(SOURCE)
    offer(tmp_path, loaded.module.__name__, OWN, telling="Telling")
    monkeypatch.syspath_prepend(tmp_path)
    yield loaded
    for fault in [fault for fault in guard.faults if fault.where.startswith("custom")]:
        del guard.faults[fault]


def run(shop, value, **strategies):
    """Call both functions under each of the strategies; return all that leaves the process."""
    secret = value if isinstance(value, str) else "hunter2"
    for qualname in ("give", "refuse"):
        for name, options in strategies.items():
            to = {"to": shop.name(f"{qualname}_too")} if name == "shadow" else {}
            report = shop.apply(qualname, {name: {**options, **to}})
            assert (report.state, report.reason) == ("attached", "")
            for _ in range(2):
                try:
                    shop.call(qualname, value, secret)
                except (ValueError, LookupError):
                    pass
                shop.module.given.append(1)
            done = threading.Event()
            assert background.put(done.set)
            assert done.wait(20)
    shop.attachments.take_off()
    left = [shop.archive.outcomes, shop.attachments.events.collect(), shop.attachments.reports()]
    return "\n".join(map(repr, left))


class Meta(type):
    def __getattribute__(cls, name):
        if name in ("__qualname__", "__module__", "__name__", "__dataclass_fields__"):
            raise SystemExit("application code ran")
        return super().__getattribute__(name)


def explode(*given):
    raise SystemExit("application code ran")


HOSTILE = {
    "of a hostile metaclass": Meta("Hostile", (), {}),
    "raising": type("Hostile", (), dict.fromkeys(("__repr__", "__eq__", "__hash__", "__reduce_ex__"), explode)),
    "lying dataclass": type("Lying", (), {"__dataclass_fields__": {"a": 1, 5: 2}}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_values_that_fight_back_go_in_and_come_out_untouched(shop, name):
    value, faults = HOSTILE[name](), dict(guard.faults)
    replay = {"recording": "real", "check": 1}
    for strategy in ({"record": {"name": "real"}}, {"replay": replay}, {"shadow": {"to": shop.name("give_too")}}):
        shop.apply("give", strategy)
        assert shop.module.give(value)["given"] is value
        assert shop.module.give(5, value)["given"] == 5
        done = threading.Event()
        assert background.put(done.set)
        assert done.wait(20)
    assert guard.faults == faults


@pytest.mark.parametrize("name", CASES)
def test_no_secret_leaves_with_what_is_recorded_compared_or_failed(shop, name):
    replay = {"recording": "real", "check": 1}
    custom = {"name": f"{shop.module.__name__}-telling"}
    told = run(shop, CASES[name], record={"name": "real"}, replay=replay, shadow={"window": 0}, custom=custom)
    assert "mystic.shadow" in told
    assert "custom was taken off" in told
    assert not found(told), found(told)

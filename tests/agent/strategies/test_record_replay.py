"""What a function really gave is kept without secrets, stands in for it elsewhere, and drift is told."""

from __future__ import annotations

import asyncio
import datetime
import decimal

import pytest
from mystic_agent.contract.codec import Unencodable, decode
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.recording import LONGEST_VALUE, Recorded, parse_recorded
from mystic_agent.redact import LONGEST_SCANNED
from mystic_agent.strategies.scrubbed import scrubbed

SOURCE = """
    import asyncio, datetime, decimal

    runs, now = [], {"rate": 2}

    class Refused(Exception):
        def __init__(self, text):
            super().__init__(text)

    class Needy(Exception):
        def __init__(self, one, two):
            super().__init__(one)

    class Basket:
        def __init__(self, owner, items):
            self.owner, self.items = owner, items

        def total(self, item):
            runs.append(item)
            return len(self.items)

    def quote(item, quantity=1):
        runs.append(item)
        if item == "refused":
            raise Refused("password=hunter2 for " + item)
        if item == "needy":
            raise Needy(1, 2)
        if item == "object":
            return object()
        if item == "late" or (item == "once late" and runs.count(item) == 1):
            raise TimeoutError
        return {"item": item, "total": quantity * now["rate"], "token": "hunter2", "at": datetime.date(2024, 5, 1)}

    async def later(item):
        runs.append(item)
        if item == "stuck" and runs.count(item) == 1:
            await asyncio.get_running_loop().create_future()
        return [item, now["rate"]]

    def stream(item):
        yield item
"""


@pytest.fixture
def shop(app_of):
    return app_of(SOURCE)


def put(shop, qualname="quote", **strategies):
    report = shop.apply(qualname, *({name: options} for name, options in strategies.items()))
    assert (report.state, report.reason) == ("attached", "")


def record(shop, *items, qualname="quote", **options):
    put(shop, qualname, record={"name": "real", **options})
    for item in items:
        try:
            shop.call(qualname, item)
        except Exception:
            continue
    shop.runs.clear()


def replay(shop, qualname="quote", **options):
    put(shop, qualname, replay={"recording": "real", **options})


def drifts(shop):
    return [event for event in shop.attachments.events.collect() if event.name == "mystic.drift"]


def test_the_first_outcome_of_each_call_is_kept_without_secrets(shop):
    record(shop, "pen", "pen", "cup", "refused")
    kept = {one.call: one for one in shop.archive.outcomes.values()}
    assert list(kept) == ["item='pen', quantity=1", "item='cup', quantity=1", "item='refused', quantity=1"]
    value = decode(kept["item='pen', quantity=1"].value)
    assert value == {"item": "pen", "total": 2, "token": "[redacted]", "at": datetime.date(2024, 5, 1)}
    refused = kept["item='refused', quantity=1"]
    assert (refused.error, refused.message) == (f"{shop.module.__name__}.Refused", "password=[redacted] for refused")
    assert "hunter2" not in str(shop.archive.outcomes)
    assert shop.decisions("quote") == {"recorded": 3, "known": 1}


def test_what_was_recorded_stands_in_for_the_function_and_every_caller_has_a_copy(shop):
    record(shop, "pen")
    replay(shop)
    for _ in range(3):
        result = shop.call("quote", "pen")
        assert result == {"item": "pen", "total": 2, "token": "[redacted]", "at": datetime.date(2024, 5, 1)}
        result.clear()
    assert shop.call("quote", quantity=1, item="pen")["total"] == 2
    assert shop.runs == []
    assert shop.decisions("quote", "replay") == {"replayed": 4}


def test_what_was_raised_is_raised_again_as_a_new_exception(shop):
    record(shop, "refused", "late")
    replay(shop)
    errors = []
    for item, kind in [("refused", shop.module.Refused), ("refused", shop.module.Refused), ("late", TimeoutError)]:
        with pytest.raises(kind) as caught:
            shop.call("quote", item)
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert errors[0].args == ("password=[redacted] for refused",)
    assert shop.runs == []


def test_an_exception_that_cannot_be_made_again_is_left_out_with_the_reason(shop):
    record(shop, "needy", "pen")
    replay(shop)
    with pytest.raises(shop.module.Needy):
        shop.call("quote", "needy")
    assert shop.runs == ["needy"]
    [note] = shop.attachments.reports()[shop.name("quote")].notes
    assert "replay: 1 outcomes of real are replayed" in note
    assert "cannot be made from its message alone" in note


def test_a_coroutine_is_replayed_to_whoever_awaits_it(shop):
    record(shop, "pen", qualname="later")
    replay(shop, "later")

    async def work():
        return await shop.module.later("pen"), await shop.module.later("cup")

    assert asyncio.run(work()) == (["pen", 2], ["cup", 2])
    assert shop.runs == ["cup"]
    assert shop.decisions("later", "replay") == {"replayed": 1, "missing": 1}


def test_calls_that_are_not_recorded_go_to_the_function_or_raise(shop):
    record(shop, "pen")
    replay(shop)
    assert shop.call("quote", "cup")["item"] == "cup"
    replay(shop, missing="raise")
    with pytest.raises(LookupError, match="no outcome of this call in real"):
        shop.call("quote", "cup")
    assert shop.runs == ["cup"]


def test_drift_is_counted_and_told_and_its_caller_gets_what_the_function_gives_now(shop):
    record(shop, "pen", "late")
    replay(shop, check=1)
    assert shop.call("quote", "pen")["total"] == 2
    shop.module.now["rate"] = 3
    assert shop.call("quote", "pen")["total"] == 3
    assert shop.decisions("quote", "replay") == {"same": 1, "drift": 1}
    [event] = drifts(shop)
    assert event.body == "total: 2 became 3"
    assert dict(event.attributes)["mystic.call"] == "item='pen', quantity=1"
    assert "drift, e.g. total: 2 became 3" in " ".join(shop.attachments.reports()[shop.name("quote")].notes)
    replay(shop, check=1, may_differ=["total"])
    shop.call("quote", "pen")
    assert shop.decisions("quote", "replay")["same"] == 2


def test_an_exception_where_there_was_none_is_drift(shop):
    record(shop, "late")
    key = next(iter(shop.archive.outcomes))
    shop.archive.outcomes[key] = shop.archive.outcomes[key]._replace(value=b"1", error="", message="")
    replay(shop, check=1)
    with pytest.raises(TimeoutError):
        shop.call("quote", "late")
    assert [event.body for event in drifts(shop)] == ["exception: none became TimeoutError"]


def test_until_it_is_loaded_the_function_is_called(shop):
    record(shop, "pen")
    takers = []
    shop.archive.load = lambda recording, function, most, take: takers.append(take)
    replay(shop)
    shop.call("quote", "pen")
    assert shop.decisions("quote", "replay") == {"passed not loaded yet": 1}
    assert shop.attachments.reports()[shop.name("quote")].notes == ("replay: loading",)
    [take] = takers
    take(list(shop.archive.outcomes.values()))
    shop.runs.clear()
    shop.call("quote", "pen")
    assert shop.runs == []


def test_a_forked_child_asks_for_the_recording_itself(shop):
    record(shop, "pen")
    asked = []
    shop.archive.load = lambda *given: asked.append(given)
    replay(shop)
    for state in shop.attachments.by_name[shop.name("quote")].keep.values():
        state.reset()
    shop.call("quote", "pen")
    shop.call("quote", "pen")
    assert len(asked) == 2


def test_what_cannot_be_kept_is_counted_with_the_reason(shop):
    record(shop, "object")
    put(shop, "Basket.total", record={"name": "real"})
    shop.module.Basket("ada", [1]).total("pen")
    assert shop.decisions("quote") == {"bypassed result: value of type builtins.object": 1}
    [reason] = shop.decisions("Basket.total")
    assert reason.startswith("bypassed argument of type")
    record(shop, "late", exceptions=False)
    assert shop.decisions("quote")["bypassed it raised"] == 1


def test_a_call_without_an_outcome_to_keep_leaves_its_place_to_the_next(shop):
    record(shop, "once late", "once late", "once late", exceptions=False)
    assert shop.decisions("quote") == {"bypassed it raised": 1, "recorded": 1, "known": 1}
    put(shop, "later", record={"name": "real"})

    async def main():
        call = asyncio.ensure_future(shop.module.later("stuck"))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled(), await shop.module.later("stuck")

    assert asyncio.run(main()) == (True, ["stuck", 2])
    assert shop.decisions("later") == {"recorded": 1}


def test_what_stands_for_an_object_may_be_named(shop):
    ada, bob = shop.module.Basket("ada", [1]), shop.module.Basket("bob", [1, 2])
    put(shop, "Basket.total", record={"name": "real", "identity": ["owner"]})
    assert (ada.total("pen"), bob.total("pen")) == (1, 2)
    put(shop, "Basket.total", replay={"recording": "real", "identity": ["owner"]})
    shop.runs.clear()
    assert (shop.module.Basket("ada", []).total("pen"), bob.total("pen")) == (1, 2)
    assert shop.runs == []


def test_no_more_is_kept_than_asked_for(shop):
    record(shop, *(f"item {n}" for n in range(10)), count=4)
    assert len(shop.archive.outcomes) == 4
    assert shop.decisions("quote") == {"recorded": 4, "full": 6}
    shop.archive.outcomes.clear()
    record(shop, *(f"other {n}" for n in range(40)), max_bytes=1024)
    assert 5 < len(shop.archive.outcomes) < 20


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ({"record": {"name": "r", "ignore": "nothing"}}, "record.ignore names nothing"),
        ({"replay": {"recording": "r", "identity": "owner"}}, "replay.identity is for methods"),
    ],
)
def test_what_cannot_be_recorded_or_replayed_is_refused_with_the_reason(shop, strategy, reason):
    assert reason in shop.apply("quote", strategy).reason
    [name] = strategy
    named = {"name": "r"} if name == "record" else {"recording": "r"}
    assert "generator functions" in shop.apply("stream", {name: named}).reason
    shop.attachments.archive = None
    assert "this process has no collector" in shop.apply("quote", {name: named}).reason


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"a": ["x", {"Password": "p"}]}, {"a": ["x", {"Password": "[redacted]"}]}),
        (("Bearer abcdefghijkl", 1, 2), ("[redacted]", 1, 2)),
        ({"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc": 1}, {"[redacted]": 1}),
        (b"token=abcdef", b"[redacted]"),
        ([("Cookie", "x"), [b"cookie", b"x"]], [("Cookie", "[redacted]"), [b"cookie", "[redacted]"]]),
        (4111111111111111, "[redacted]"),
        (1700000000003, 1700000000003),
        ("two\nlines\x1b", "two\nlines\x1b"),
        ({"number": 5, 2: {decimal.Decimal(1)}}, {"number": 5, 2: {decimal.Decimal(1)}}),
        ({"pet": "rex"}, {"pet": "[redacted]"}),
    ],
)
def test_a_value_loses_its_secrets_and_nothing_else(value, left):
    assert scrubbed(value, ("pet",)) == left


def test_text_too_long_to_be_looked_through_is_not_kept():
    with pytest.raises(Unencodable, match="too long"):
        scrubbed(["x" * (LONGEST_SCANNED + 1)])
    with pytest.raises(Unencodable, match="too many"):
        scrubbed([0] * 50_000)


GOOD = Recorded("app:f", "ab" * 32, b"[1]", call="n=1", at=5.0).to_json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"function": "f"}, "e.function"),
        ({"function": "a:\x1b"}, "e.function"),
        ({"key": "zz"}, "e.key"),
        ({"value": ""}, "e"),
        ({"error": "KeyError"}, "e"),
        ({"value": "[1"}, "data"),
        ({"value": '{"":["os.system","ls"]}'}, "data"),
        ({"value": "x" * (LONGEST_VALUE + 1)}, "e.value"),
        ({"at": "now"}, "e.at"),
        ({"at": float("nan")}, "e.at"),
        ({"call": 5}, "e.call"),
    ],
)
def test_an_outcome_from_outside_is_refused_at_its_first_wrong_field(change, field):
    assert parse_recorded(GOOD, "e") == Recorded("app:f", "ab" * 32, b"[1]", call="n=1", at=5.0)
    with pytest.raises(Invalid) as caught:
        parse_recorded({**GOOD, **change}, "e")
    assert caught.value.field == field

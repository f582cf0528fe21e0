"""Snapshots of single calls: the right ones, so many, with all there is to see, and without any effect on the call."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref

import pytest
from module_under_test import application, hijack
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.strategy import parse_strategy
from mystic_agent.guard import guard
from mystic_agent.observe.events import LONGEST_BODY

SOURCE = """
    import json as library

    class Refused(Exception):
        pass

    class Money:
        def __repr__(self):
            raise AssertionError("application code ran")

    def inner(amount, note):
        currency = "EUR"
        money = Money()
        if amount > 100:
            error = Refused("too much", amount)
            error.add_note("ask somebody")
            raise error
        return {"amount": amount}

    def pay(amount, user="bob", *rest, password=None, **more):
        share = amount / 2
        return inner(amount, user)

    def checkout(amount, **given):
        return pay(amount, **given)

    async def fetch(amount):
        return inner(amount, "async")

    async def outer(amount):
        return await fetch(amount)

    def broken(text):
        try:
            library.loads(text)
        except ValueError as cause:
            raise Refused("no json") from cause

    def spoil(items):
        items.clear()
        return len(items)

    def numbers():
        yield 1
"""


class Taken:
    """One snapshot as it was told."""

    def __init__(self, event):
        self.event = event
        self.told = dict(event.attributes)
        self.body = json.loads(event.body)

    def __getitem__(self, key):
        return self.body[key]


@pytest.fixture
def shop(tmp_path):
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        yield module, attachments


def put(shop, qualname, **options):
    module, attachments = shop
    attachments.apply([hijack(f"{module.__name__}:{qualname}", {"snapshot": {"rate": 1000, **options}})])
    report = attachments.reports()[f"{module.__name__}:{qualname}"]
    assert (report.state, report.reason) == ("attached", "")
    return module


def taken(shop):
    return [Taken(one) for one in shop[1].events.collect() if one.name == "mystic.snapshot"]


def decided(shop, qualname):
    module, attachments = shop
    counted = {}
    for count in attachments.by_name[f"{module.__name__}:{qualname}"].meter.counts():
        told = dict(count.attributes)
        if count.metric == "mystic.function.decisions":
            counted[told["mystic.decision"]] = counted.get(told["mystic.decision"], 0) + count.value
    return counted


def test_a_snapshot_shows_what_went_in_what_came_out_and_from_where(shop):
    module = put(shop, "pay")
    shop[1].tracer.arm(1)
    module.checkout(7, password="hunter2hunter2", colour="green")
    [one] = taken(shop)
    assert one["arguments"] == {
        "amount": "7",
        "user": "'bob'",
        "password": "[redacted]",
        "rest": "()",
        "more": "{'colour': 'green'}",
    }
    assert (one["arguments_at"], one["result"], one["exception"]) == ("call", "{'amount': 7}", None)
    callers = one["caller"]
    assert [frame["function"] for frame in callers[:2]] == [
        "checkout",
        "test_a_snapshot_shows_what_went_in_what_came_out_and_from_where",
    ]
    assert callers[0]["file"] == module.__file__
    assert callers[0]["line"] == 25
    assert len(callers) == 8
    assert (one.told["mystic.outcome"], one.told["thread.name"]) == ("returned", "MainThread")
    assert (one.told["mystic.snapshot.number"], one.told["mystic.snapshot.count"]) == (1, 10)
    assert one.told["mystic.seconds"] > 0
    assert one.told["mystic.hijack"] == "h1"
    assert "mystic.task" not in one.told
    [span] = [span for span in shop[1].tracer.collect() if span.function.endswith(":pay")]
    assert (one.event.trace_id, one.event.span_id) == (span.trace_id, span.span_id)
    assert dict(span.attributes)["mystic.decision"] == "snapshot:taken"


def test_an_exception_is_shown_with_the_local_variables_of_the_applications_frames(shop):
    module = put(shop, "pay")
    with pytest.raises(module.Refused) as caught:
        module.checkout(250)
    [one] = taken(shop)
    failed = one["exception"]
    assert failed["type"] == f"{module.__name__}.Refused"
    assert (failed["message"], failed["notes"]) == ("too much, 250", ["ask somebody"])
    outer, inner = failed["frames"]
    assert (outer["function"], inner["function"]) == ("pay", "inner")
    assert outer["locals"]["share"] == "125.0"
    assert inner["locals"]["currency"] == "'EUR'"
    assert inner["locals"]["money"] == f"<{module.__name__}.Money>"
    assert inner["locals"]["error"] == f"<{module.__name__}.Refused>"
    assert one["result"] is None
    assert one.told["mystic.outcome"] == "raised"
    assert one.event.severity == 17
    assert (caught.value.args, caught.value.__notes__) == (("too much", 250), ["ask somebody"])


def test_the_cause_of_an_exception_is_shown_and_locals_of_the_library_are_not(shop):
    module = put(shop, "broken")
    with pytest.raises(module.Refused):
        module.broken("{secret-looking but not json")
    [one] = taken(shop)
    cause = one["exception"]["cause"]
    assert cause["type"] == "json.decoder.JSONDecodeError"
    assert [("locals" in frame) for frame in cause["frames"]] == [True, False, False, False]
    assert cause["frames"][0]["locals"]["text"] == "'{secret-looking but not json'"


def test_locals_and_frames_can_be_left_out(shop):
    module = put(shop, "pay", locals=False, frames=1)
    with pytest.raises(module.Refused):
        module.checkout(250)
    [one] = taken(shop)
    assert [frame["function"] for frame in one["caller"]] == ["checkout"]
    [frame] = one["exception"]["frames"]
    assert frame["function"] == "inner"
    assert "locals" not in frame


def test_a_coroutine_is_shown_with_its_task_and_who_awaits_it(shop):
    module = put(shop, "fetch")

    async def main():
        return await asyncio.create_task(module.outer(3), name="payer")

    assert asyncio.run(main()) == {"amount": 3}
    [one] = taken(shop)
    assert one.told["mystic.task"] == "payer"
    assert one["caller"][0]["function"] == "outer"


def test_only_calls_that_meet_the_condition_are_taken(shop):
    module = put(shop, "inner", when="amount > 3 and note != 'x'")
    for amount in range(6):
        module.inner(amount, "n")
    assert [one["arguments"]["amount"] for one in taken(shop)] == ["4", "5"]
    assert decided(shop, "inner") == {"passed": 4, "taken": 2}


def test_a_condition_on_the_outcome_is_decided_after_the_call(shop):
    module = put(shop, "pay", when="exception == 'ZeroDivisionError' or result['amount'] == 2 or duration > 60")
    for amount in (1, 2, 3):
        module.pay(amount)
    [one] = taken(shop)
    assert (one["arguments"]["amount"], one["arguments_at"]) == ("2", "end")


def test_arguments_are_shown_as_they_were_before_a_call_that_changes_them(shop):
    module = put(shop, "spoil", when="len(items) == 2")
    items = [1, 2]
    assert module.spoil(items) == 0
    [one] = taken(shop)
    assert (one["arguments"]["items"], items) == ("[1, 2]", [])


def test_after_so_many_it_stops_and_says_so(shop):
    module = put(shop, "inner", count=3)
    for amount in range(8):
        module.inner(amount, "n")
    found = taken(shop)
    assert [one.told["mystic.snapshot.number"] for one in found] == [1, 2, 3]
    assert [one["arguments"]["amount"] for one in found] == ["0", "1", "2"]
    assert decided(shop, "inner") == {"taken": 3, "spent": 5}
    report = shop[1].reports()[f"{module.__name__}:inner"]
    assert any("all 3 snapshots are taken in this process" in note for note in report.notes)


def test_no_more_are_taken_than_the_rate_allows(shop, steps, tmp_path):
    from mystic_agent.strategies import Subject, snapshot

    module, attachments = shop
    attached = attachments.by_name[f"{module.__name__}:inner"]
    [swap] = attached.swaps
    subject = attachments._subject(attached, swap)
    assert isinstance(subject, Subject)
    clock = steps()
    chosen = parse_strategy({"snapshot": {"rate": 2, "count": 100}}, "s").options
    stage = snapshot.make(subject, chosen, swap.original, clock=clock)
    for second in range(3):
        clock.now = second * 10**9
        for _ in range(5):
            stage(1, "n")
    assert len(taken(shop)) == 6
    assert decided(shop, "inner") == {"taken": 6, "limited": 9}


def test_the_count_is_exact_under_threads_and_kept_when_another_strategy_comes(shop):
    module = put(shop, "inner", count=50, rate=1000)
    start = threading.Barrier(8)

    def work():
        start.wait(20)
        for _ in range(25):
            module.inner(1, "n")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(one.told["mystic.snapshot.number"] for one in taken(shop)) == list(range(1, 51))
    shop[1].apply([hijack(f"{module.__name__}:inner", {"snapshot": {"count": 50, "rate": 1000}}, "log")])
    module.inner(1, "n")
    assert taken(shop) == []


def test_a_snapshot_is_bounded_whatever_the_values_are(shop):
    module = put(shop, "pay", size=1000, length=300, fields=3)
    giant = dict.fromkeys((f"key{n}" for n in range(1000)), "v" * 10**6)
    with pytest.raises(TypeError):
        module.pay(giant, "u" * 10**7, *range(10**5), password="p", **{f"k{n}": giant for n in range(300)})
    [one] = taken(shop)
    assert len(one.event.body) < 12_000
    assert list(one["arguments"]) == ["amount", "user", "password", "…"]
    assert one["arguments"]["…"] == "2 more"


def test_the_largest_snapshot_there_can_be_is_still_json(shop):
    module = put(shop, "pay", size=32768, length=16384, depth=10, fields=200, frames=50)
    text = '"\\\n\u2028' * 40_000
    with pytest.raises(TypeError):
        module.pay([text] * 50, text, *[text] * 50, **{f"k{n}": text for n in range(200)})
    [one] = taken(shop)
    assert 30_000 < len(one.event.body) <= LONGEST_BODY


def test_generators_are_refused_and_so_is_a_condition_on_what_is_not_there(shop):
    module, attachments = shop
    for qualname, options, reason in (
        ("numbers", {}, "snapshot cannot show the result of generator functions"),
        ("inner", {"when": "total > 1"}, "snapshot.when asks for total, but the parameters are amount, note"),
    ):
        attachments.apply([hijack(f"{module.__name__}:{qualname}", {"snapshot": options})])
        report = attachments.reports()[f"{module.__name__}:{qualname}"]
        assert (report.state, report.reason) == ("failed", reason)
    with pytest.raises(Invalid, match="an attribute is not allowed"):
        parse_strategy({"snapshot": {"when": "a.b"}}, "s")


def test_nothing_of_a_call_is_held_on_to(shop):
    module = put(shop, "pay")

    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    with pytest.raises(TypeError):
        module.pay(thing)
    del thing
    gc.collect()
    assert gone() is None
    assert len(taken(shop)) == 1


def test_a_function_that_the_snapshot_itself_needs_is_not_looked_at_again(tmp_path):
    source = """
        def helper(text):
            return text
    """
    with application(tmp_path, source) as (module, attachments):
        attachments.apply(
            [
                hijack(f"{module.__name__}:*", {"snapshot": {}}),
                hijack("json.encoder:*", {"snapshot": {}}, identity="h2"),
            ]
        )
        attachments.events.collect()  # making the strategy used it
        faults = dict(guard.faults)
        module.helper("x")
        assert [one.name for one in attachments.events.collect()] == ["mystic.snapshot"]
        assert guard.faults == faults

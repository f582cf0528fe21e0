"""Logged calls: in the application's logging, on the span, and as events; sampled, bounded and counted."""

from __future__ import annotations

import logging

import pytest
from mystic_agent.contract.strategy import parse_strategy
from mystic_agent.strategies import log

SOURCE = """
    def buy(item, count=1, *rest, **more):
        if item == "none":
            raise LookupError("no such item")
        return {"item": item, "count": count}

    def spoil(items):
        items.clear()

    def main(item):
        return buy(item)

    def numbers():
        yield 1
"""


@pytest.fixture
def shop(app_of):
    return app_of(SOURCE)


def events(app):
    return [one for one in app.attachments.events.collect() if one.name == "mystic.log"]


def lines(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("mystic.calls")]


def test_a_call_is_one_line_one_event_and_two_attributes_of_its_span(shop, caplog):
    shop.apply("buy", {"log": {"result": True, "level": "warning"}})
    shop.tracer.arm(1)
    with caplog.at_level(logging.INFO):
        shop.module.buy("tea", 2)
    [line] = lines(caplog)
    assert line.startswith(
        f"{shop.name('buy')}(item='tea', count=2, rest=(), more={{}}) returned {{'item': 'tea', 'count': 2}} in "
    )
    [record] = [one for one in caplog.records if one.name == f"mystic.calls.{shop.module.__name__}"]
    assert (record.levelname, record.mystic_function) == ("WARNING", shop.name("buy"))
    [event] = events(shop)
    told = dict(event.attributes)
    assert (event.body, event.severity) == (line, 13)
    assert told["mystic.arguments"] == "item='tea', count=2, rest=(), more={}"
    assert told["mystic.outcome"] == "returned {'item': 'tea', 'count': 2}"
    assert told["mystic.seconds"] > 0
    [span] = shop.tracer.collect()
    attributes = dict(span.attributes)
    assert {key: attributes[key] for key in ("mystic.arguments", "mystic.outcome")} == {
        key: told[key] for key in ("mystic.arguments", "mystic.outcome")
    }
    assert attributes["mystic.decision"] == "log:logged"
    assert (event.trace_id, event.span_id) == (span.trace_id, span.span_id)
    assert shop.decisions("buy") == {"logged": 1}


def test_an_exception_is_the_outcome_and_passes(shop, caplog):
    shop.apply("buy", "log")
    with caplog.at_level(logging.INFO), pytest.raises(LookupError):
        shop.module.buy("none")
    assert "raised LookupError: no such item in " in lines(caplog)[0]
    assert dict(events(shop)[0].attributes)["mystic.outcome"] == "raised LookupError: no such item"


def test_events_come_also_where_the_applications_logging_says_nothing(shop, caplog):
    shop.apply("buy", {"log": {"level": "debug"}})
    with caplog.at_level(logging.ERROR):
        shop.module.buy("tea")
    assert lines(caplog) == []
    assert len(events(shop)) == 1


def test_arguments_are_logged_as_they_were_before_the_call_changed_them(shop):
    shop.apply("spoil", "log")
    shop.module.spoil([1, 2])
    assert dict(events(shop)[0].attributes)["mystic.arguments"] == "items=[1, 2]"


def test_what_is_shown_is_limited_in_depth_length_and_fields(shop):
    shop.apply("buy", {"log": {"depth": 1, "length": 16, "fields": 2}})
    shop.module.buy([[1], [2], [3], 4], "x" * 100, 1, 2, a=1)
    shown = dict(events(shop)[0].attributes)["mystic.arguments"]
    assert shown == "item=[<list of 1>, <…, count='xxxxxxxxxxxxxx…, …=2 more"
    shop.apply("buy", {"log": {"args": False}})
    shop.module.buy("tea")
    [event] = events(shop)
    assert "mystic.arguments" not in dict(event.attributes)
    assert event.body.startswith(f"{shop.name('buy')}() returned in ")


def test_further_names_are_hidden_when_asked(shop):
    shop.apply("buy", {"log": {"redact": ["item", "colour"]}})
    shop.module.buy("tea", 1, colour="green")
    assert dict(events(shop)[0].attributes)["mystic.arguments"] == (
        "item=[redacted], count=1, rest=(), more={'colour': [redacted]}"
    )


def test_a_sample_is_logged_and_the_others_are_counted(shop, steps):
    attached = shop.attachments.by_name[shop.name("buy")]
    [swap] = attached.swaps
    subject = shop.attachments._subject(attached, swap)
    chosen = parse_strategy({"log": {"sample": "25%"}}, "s").options
    stage = log.make(subject, chosen, swap.original, chance=steps(0.1, 0.25, 0.9, 0.2499))
    for item in "abcd":
        stage(item, 1, (), {})
    assert [dict(one.attributes)["mystic.arguments"][:8] for one in events(shop)] == ["item='a'", "item='d'"]
    assert shop.decisions("buy") == {"logged": 2, "skipped not in the sample": 2}


def test_the_attributes_go_to_the_calls_own_span_alone(shop):
    shop.apply("buy", "log")
    shop.tracer.arm(1)
    shop.module.main("tea")
    spans = {span.function: dict(span.attributes) for span in shop.tracer.collect()}
    assert "mystic.arguments" in spans[shop.name("buy")]
    assert spans[shop.name("main")] == {}


def test_generators_are_refused_with_the_reason(shop):
    report = shop.apply("numbers", "log")
    assert (report.state, report.reason) == ("failed", "log cannot show the result of generator functions")

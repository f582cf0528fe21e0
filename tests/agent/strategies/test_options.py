"""Options of strategies are refused with the field, the value and the remedy."""

from __future__ import annotations

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.path import parse_path
from mystic_agent.contract.strategy import parse_strategy

REFUSED = [
    ({"mock": {"value": 1, "exception": "KeyError"}}, "s.mock", "only one of"),
    ({"mock": {"exception": "KeyErr"}}, "s.mock.exception", "builtin exception"),
    ({"mock": {"exception": "SystemExit"}}, "s.mock.exception", "builtin exception"),
    ({"mock": {"exception": "a b"}}, "s.mock.exception", "name a class"),
    ({"mock": {"value": float("nan")}}, "s.mock.value", "finite"),
    ({"mock": {"value": {1: 2}}}, "s.mock.value", "JSON value"),
    ({"mock": {"value": [[]] * 20_000}}, "s.mock.value", "at most 10000 parts"),
    ({"mock": {"sequence": []}}, "s.mock.sequence", "at least one"),
    ({"mock": {"sequence": [{"raise": "KeyError", "because": 1}]}}, "s.mock.sequence[0]", "raise"),
    ({"mock": {"sequence": [1, {"raise": ""}]}}, "s.mock.sequence[1].raise", "name a class"),
    ({"mock": {"then": "stop"}}, "s.mock.then", "last, cycle, original"),
    ({"mock": {"message": "\x1b[31m"}}, "s.mock.message", "printable"),
    ({"fault": {}}, "s.fault", "latency, exception"),
    ({"fault": {"latency": "1h"}}, "s.fault.latency", "at most 300 seconds"),
    ({"fault": {"latency": False}}, "s.fault.latency", "duration"),
    ({"retry": {"attempts": 1}}, "s.retry.attempts", "from 2 to 20"),
    ({"retry": {"exceptions": "ConnectionErr"}}, "s.retry.exceptions[0]", "builtin exception"),
    ({"retry": {"exceptions": ["KeyError"] * 51}}, "s.retry.exceptions", "at most 50"),
    ({"timeout": {"after": 0}}, "s.timeout.after", "positive duration"),
    ({"timeout": {"parameter": "a b"}}, "s.timeout.parameter", "name of a parameter"),
    ({"block": {"exception": ""}}, "s.block.exception", "leave it out"),
    ({"rate_limit": {"rate": 0}}, "s.rate_limit.rate", "above 0"),
    ({"rate_limit": {"rate": float("inf")}}, "s.rate_limit.rate", "at most 1e+06"),
    ({"circuit_breaker": {"failure_ratio": 0}}, "s.circuit_breaker.failure_ratio", "above 0, at most 1"),
    ({"circuit_breaker": {"window": "2h"}}, "s.circuit_breaker.window", "at most 3600 seconds"),
    ({"redirect": {}}, "s.redirect.to", "the other implementation"),
    ({"redirect": {"to": "app.new"}}, "s.redirect.to", "module:qualname"),
    ({"redirect": {"to": "app:new_*"}}, "s.redirect.to", "without globs"),
    ({"redirect": {"to": "app:f.<locals>.g"}}, "s.redirect.to", "without globs"),
    ({"ab": {"to": "app:new", "key": "a.__class__"}}, "s.ab.key", "path"),
    ({"rollout": {"to": "app:new"}}, "s.rollout.key", "caller"),
    ({"rollout": {"to": "app:new", "key": "a", "share": 101}}, "s.rollout.share", "percentage"),
    ({"fault": {"latency": "1s", "share": "120%"}}, "s.fault.share", "percentage"),
    ({"shadow": {}}, "s.shadow.to", "the other implementation"),
    ({"shadow": {"to": "app:new", "share": 1}}, "s.shadow.share", "less than all"),
    ({"shadow": {"to": "app:new", "ignore": ["a..b"]}}, "s.shadow.ignore", "dots between"),
    ({"shadow": {"to": "app:new", "absolute": -1}}, "s.shadow.absolute", "from 0"),
    ({"custom": {}}, "s.custom.name", "entry point"),
    ({"custom": {"name": "a b"}}, "s.custom.name", "letters"),
    ({"custom": {"name": "a", "options": [1]}}, "s.custom.options", "object"),
]


def _deep(levels):
    value = None
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("given", "field", "remedy"), [*REFUSED, ({"mock": {"value": _deep(5000)}}, "s.mock.value", "deep")]
)
def test_a_bad_option_is_named_with_its_remedy(given, field, remedy):
    with pytest.raises(Invalid) as caught:
        parse_strategy(given, "s")
    assert caught.value.field == field
    assert remedy in caught.value.remedy
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("given", "share"), [("20%", 0.2), ("0.5 %", 0.005), (1, 1.0), (0.25, 0.25)])
def test_a_share_is_a_number_or_a_percentage(given, share):
    assert parse_strategy({"log": {"sample": given}}, "s").options["sample"] == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "steps"),
    [("user_id", ("user_id",)), ("request.user.id", ("request", "user", "id")), ("a[10].b", ("a", 10, "b"))],
)
def test_a_path_is_its_steps(text, steps):
    assert parse_path(text, "f") == steps


@pytest.mark.parametrize(
    "text", ["", "a.", "a..b", "a[x]", "a()", "a.__class__", "_a", "a[-1]", "é", "a" * 300, 5, "a.b" * 20]
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(Invalid, match=r"path|steps"):
        parse_path(text, "f")

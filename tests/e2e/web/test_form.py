"""The form of a hijack: rows of strategies, each for its stage, that say what is put in force and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.web.browser import Window, until
from tests.e2e.web.market import Market

LABEL = "functions/market:label"
OTHER = "market:price"
EVERY: dict[str, dict[str, Any]] = {
    "observe": {},
    "analyze": {"share": 0.02},
    "log": {"level": "debug", "result": True, "sample": 0.5, "redact": ["a", "b"]},
    "snapshot": {"when": "text == 'a, b' and exception == 'TimeoutError'"},
    "cache": {"ttl": 1.5, "scope": "shared", "ignore": ["self", "contextvar:app.log:request_id"], "exceptions": True},
    "mock": {"value": '{"looks": "like JSON"} '},
    "block": {"value": "7", "returns": True, "message": "because: no"},
    "fault": {"latency": 0.25, "exception": "ConnectionError"},
    "retry": {"exceptions": ["ConnectionError", "TimeoutError"], "attempts": 2},
    "timeout": {"after": 3.0, "parameter": "timeout"},
    "rate_limit": {"rate": 5.0, "burst": 7},
    "circuit_breaker": {"failure_ratio": 0.25, "exclude": ["ValueError"]},
    "custom": {"name": "mine", "options": {"limit": 3, "deep": [{"a": None}]}},
    "redirect": {"to": OTHER},
    "ab": {"to": OTHER, "share": 0.25, "key": "user.id"},
    "rollout": {"to": OTHER, "key": "text"},
    "record": {"name": "prices", "exceptions": False},
    "replay": {"recording": "prices", "missing": "raise", "may_differ": ["items.*.id", "at"]},
    "shadow": {"to": OTHER, "begin": "canary", "promote": "never", "rollback": False},
}
SEQUENCES = [{"mock": {"sequence": ["a", {"raise": "TimeoutError"}, None]}}, {"mock": {"yields": ["x", "y"]}}]


def put(market: Market, stages: dict[str, Any], target: str = "market:label") -> str:
    body = {"target": target, "stages": stages, "owner": "ada", "reason": "a test"}
    made: str = market.api("/api/hijacks", body)["id"]
    return made


def stages_of(market: Market, identity: str) -> dict[str, Any]:
    found: dict[str, Any] = market.api(f"/api/hijacks/{identity}")["stages"]
    return found


def open_form(window: Window, identity: str) -> tuple[Page, Locator]:
    page = window.open(f"hijacks/{identity}")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("dialog").wait_for()
    return page, page.get_by_role("dialog")


def shown(form: Locator) -> list[tuple[str, str]]:
    """Return stage and strategy of every row."""
    rows = form.locator(".stack > li").all()
    return [(row.get_by_label("Stage").input_value(), row.get_by_label("Strategy").input_value()) for row in rows]


def test_a_hijack_with_every_strategy_comes_out_of_the_form_as_it_went_in(window: Window, market: Market) -> None:
    offered = {one["strategy"]: one for one in market.api("/api/strategies")["strategies"]}
    assert offered.keys() == EVERY.keys(), "this test knows every strategy"
    stages = {f"s-{name}": [{name: options}] for name, options in EVERY.items()}
    made = put(market, {**stages, "two": SEQUENCES}, "nowhere:f")
    before = stages_of(market, made)
    page, form = open_form(window, made)
    assert form.locator(".stack > li").count() == len(EVERY) + 2
    form.get_by_label("Reason").fill("only the reason")
    form.get_by_role("button", name="Dry run").click()
    expect(form.locator(".diff > span")).to_have_count(2)
    form.get_by_role("button", name="Replace").click()
    page.locator(".toast", has_text="nowhere:f: replaced").wait_for()
    told = market.api(f"/api/hijacks/{made}")
    assert told["reason"] == "only the reason"
    assert told["stages"] == before


def test_options_with_choices_are_chosen_from_them(window: Window, market: Market) -> None:
    page = window.open(LABEL)
    for one in market.api("/api/strategies")["strategies"]:
        page.get_by_role("button", name=f"Hijack with {one['strategy']}", exact=True).click()
        form = page.get_by_role("dialog")
        for summary in form.locator(".stack details > summary").all():
            summary.click()
        for option in one["options"]:
            found = form.get_by_label(option["option"].replace("_", " "), exact=True).first
            kind = found.evaluate("(node) => node.tagName")
            if option["choices"]:
                values = found.locator("option").evaluate_all("(all) => all.map((one) => one.value)")
                assert values == ["", *option["choices"]]
            else:
                assert (kind == "SELECT") == isinstance(option["default"], bool), option
        page.keyboard.press("Escape")
        form.wait_for(state="detached")


def test_strategies_are_added_ordered_and_taken_out_by_keyboard_tried_put_and_undone(
    window: Window, market: Market
) -> None:
    made = put(
        market, {"production": [{"mock": {"value": "7"}}], "*": [{"log": {"sample": 0.5}}, {"retry": {"attempts": 2}}]}
    )
    until(lambda: market.api(f"/api/hijacks/{made}")["progress"]["attached"] == 1, "the hijack")
    before = stages_of(market, made)
    page, form = open_form(window, made)
    assert shown(form) == [("production", "mock"), ("*", "log"), ("*", "retry")]
    expect(form).to_contain_text("in production: mock · everywhere else: log, then retry")
    form.get_by_label("Strategy").nth(2).focus()
    page.keyboard.press("Alt+ArrowUp")
    assert shown(form) == [("production", "mock"), ("*", "retry"), ("*", "log")]
    expect(form.get_by_label("Strategy").nth(1)).to_be_focused()
    form.get_by_role("button", name="Move retry up").press("Enter")
    form.get_by_role("button", name="Move retry down").press("Enter")
    expect(form.get_by_role("button", name="Move retry down")).to_be_focused()
    form.get_by_role("button", name="Remove mock").press("Enter")
    expect(form.get_by_label("Strategy").first).to_be_focused()
    form.get_by_role("button", name="Add a strategy").press("Enter")
    expect(form.get_by_label("Strategy").nth(2)).to_be_focused()
    page.keyboard.type("mock")
    form.get_by_label("Stage").nth(2).fill("development")
    form.get_by_label("value", exact=True).fill('{"total": 1}')
    assert shown(form) == [("*", "retry"), ("*", "log"), ("development", "mock")]

    form.get_by_role("button", name="Dry run").press("Enter")
    expect(form.locator(".outcome")).to_contain_text("1 function in 1 of 1 processes")
    lines = form.locator(".diff > span").all_inner_texts()
    assert [line.strip() for line in lines] == [
        "- stages.*[0]: log",
        "+ stages.*[0]: retry",
        "- stages.*[0].log.sample: 0.5",
        "+ stages.*[0].retry.attempts: 2",
        "- stages.*[1]: retry",
        "+ stages.*[1]: log",
        "+ stages.*[1].log.sample: 0.5",
        "- stages.*[1].retry.attempts: 2",
        "+ stages.development[0]: mock",
        '+ stages.development[0].mock.value: {"total":1}',
        "- stages.production[0]: mock",
        '- stages.production[0].mock.value: "7"',
    ]
    assert stages_of(market, made) == before, "a dry run changes nothing"

    form.get_by_role("button", name="Replace").press("Enter")
    page.locator(".toast", has_text="market:label: replaced").wait_for()
    until(lambda: market.service.call(item="mug")["returned"]["label"] == {"total": 1}, "the effect")
    after = stages_of(market, made)
    assert {stage: [next(iter(spec)) for spec in specs] for stage, specs in after.items()} == {
        "*": ["retry", "log"],
        "development": ["mock"],
    }
    page.get_by_role("button", name="Undo", exact=True).click()
    page.locator(".toast", has_text="back to version").wait_for()
    assert stages_of(market, made) == before
    until(lambda: market.service.call(item="mug")["returned"]["label"] == "<b>mug</b>", "the way back")


def test_an_undo_takes_nothing_back_that_somebody_else_has_done_since(window: Window, market: Market) -> None:
    made = put(market, {"*": ["observe"]})
    page, form = open_form(window, made)
    form.get_by_label("Reason").fill("mine")
    form.get_by_role("button", name="Replace").click()
    page.locator(".toast", has_text="market:label: replaced").wait_for()
    put(market, {"*": ["observe"]}, "market:price")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator(".toast.bad")).to_contain_text("changed")
    assert market.api("/api/hijacks")["count"] == 2
    assert market.api(f"/api/hijacks/{made}")["reason"] == "mine"
    assert all("409" in one for one in window.complaints)
    window.complaints.clear()


def test_the_rows_and_their_json_are_the_same_and_broken_json_goes_nowhere(window: Window, market: Market) -> None:
    made = put(market, {"*": [{"cache": {"ttl": 60}}]})
    before = market.api("/api/hijacks")["version"]
    _, form = open_form(window, made)
    form.get_by_text("The same as JSON").click()
    area = form.get_by_label("Strategies by stage, as JSON")
    expect(area).not_to_have_value("")
    assert json.loads(area.input_value()) == {"*": [{"cache": {}}]}
    area.fill('{"staging": [{"log": {"level": "error"}}], "*": ["observe"]}')
    area.blur()
    assert shown(form) == [("staging", "log"), ("*", "observe")]
    form.locator(".stack details").first.click()
    expect(form.get_by_label("level")).to_have_value("error")
    for broken in ('{"*": [{"cache": ', '{"*": [{"conjure": {}}]}', '{"*": 7}', "[]", "null"):
        area.fill(broken)
        area.blur()
        expect(form.get_by_role("alert")).to_contain_text("not taken over")
        assert shown(form) == [("staging", "log"), ("*", "observe")]
        form.get_by_role("button", name="Replace").click()
        assert form.is_visible()
    assert market.api("/api/hijacks")["version"] == before


@pytest.mark.parametrize("width", [390, 1280])
def test_a_form_of_several_rows_fits_its_window(window: Window, market: Market, width: int) -> None:
    made = put(market, {"production": [{"mock": {"value": 7}}], "*": ["log", "retry"]})
    window.page.set_viewport_size({"width": width, "height": 700})
    page, form = open_form(window, made)
    assert form.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

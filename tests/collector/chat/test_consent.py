"""Changes in production, and in a read-only chat: a person is asked, or nothing happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp_types import ElicitRequestParams, ElicitResult

from tests.collector.chat.conftest import report
from tests.collector.chat.talk import CACHE, ERAS, call, talk, text_of
from tests.collector.conftest import Running, running


async def agree(context: Any, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"approved": True})


async def disagree(context: Any, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="decline")


@pytest.mark.parametrize("mode", ERAS)
def test_a_change_in_production_is_made_only_when_the_user_agrees(shop: Running, tmp_path: Path, mode: str) -> None:
    report(shop, tmp_path, stage="production")
    refused = call(shop.url, "hijack_function", mode, client={"elicitation_callback": disagree}, **CACHE)
    assert refused.is_error
    assert shop.get("/api/hijacks")["count"] == 0
    made = call(shop.url, "hijack_function", mode, client={"elicitation_callback": agree}, **CACHE)
    assert not made.is_error, text_of(made)
    assert shop.get("/api/hijacks")["count"] == 1
    refused = call(shop.url, "unhijack_function", mode, client={"elicitation_callback": disagree}, function="price")
    assert refused.is_error
    assert shop.get("/api/hijacks")["count"] == 1


@pytest.mark.parametrize("mode", ERAS)
def test_a_client_that_cannot_ask_gets_a_confirmation_that_is_good_for_this_change_only(
    shop: Running, tmp_path: Path, mode: str
) -> None:
    report(shop, tmp_path, stage="production")
    refused = call(shop.url, "hijack_function", mode, **CACHE)
    assert refused.is_error
    assert "Ask the user" in text_of(refused)
    code = text_of(refused).split('confirmation="')[1].split('"')[0]
    other = {**CACHE, "options": {"ttl": "31m"}}
    assert call(shop.url, "hijack_function", mode, confirmation=code, **other).is_error
    assert call(shop.url, "hijack_function", mode, confirmation="yes", **CACHE).is_error
    assert shop.get("/api/hijacks")["count"] == 0
    assert not call(shop.url, "hijack_function", mode, confirmation=code, **CACHE).is_error
    assert shop.get("/api/hijacks")["count"] == 1


def test_nobody_is_asked_about_a_change_that_is_refused_anyway(shop: Running, tmp_path: Path) -> None:
    report(shop, tmp_path, stage="production")
    asked: list[str] = []

    async def remember(context: Any, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approved": True})

    for wrong in (
        {"strategy": "cash"},
        {"options": {"ttl": "soon"}},
        {"stage": "no stage"},
        {"function": "hmac:compare_digest", "strategy": "mock", "options": {"value": True}},
    ):
        refused = call(shop.url, "hijack_function", client={"elicitation_callback": remember}, **{**CACHE, **wrong})
        assert refused.is_error
    assert asked == []


def test_looking_and_other_stages_need_no_confirmation(shop: Running, tmp_path: Path) -> None:
    report(shop, tmp_path, stage="production")
    assert not call(shop.url, "hijack_function", function="price", strategy="log").is_error
    assert not call(shop.url, "hijack_function", stage="development", **CACHE).is_error


def test_a_change_for_production_asks_also_while_nothing_runs_there(shop: Running) -> None:
    assert call(shop.url, "hijack_function", stage="production", **CACHE).is_error
    mocks = [{"function": "shop:price", "value": 1}]
    assert call(shop.url, "mock_external_calls", stage="Prod", mocks=mocks).is_error
    assert shop.get("/api/hijacks")["count"] == 0
    assert not call(shop.url, "mock_external_calls", mocks=mocks).is_error
    assert shop.get("/api/hijacks")["hijacks"][0]["stages"].keys() == {"development"}


def test_a_read_only_chat_hides_and_refuses_what_changes(tmp_path: Path) -> None:
    with running(tmp_path, chat_read_only=True) as collector:
        report(collector, tmp_path)
        names = {one.name for one in talk(collector.url, lambda client: client.list_tools()).tools}
        assert "hijack_function" not in names
        assert "inspect_function" in names
        refused = call(collector.url, "hijack_function", **CACHE)
        assert refused.is_error
        assert "read-only" in text_of(refused)
        assert collector.get("/api/hijacks")["count"] == 0


def test_undoing_in_production_asks_too(shop: Running, tmp_path: Path) -> None:
    call(shop.url, "hijack_function", **CACHE)
    report(shop, tmp_path, stage="production")
    assert call(shop.url, "undo_change").is_error
    assert shop.get("/api/hijacks")["count"] == 1
    assert not call(shop.url, "undo_change", client={"elicitation_callback": agree}).is_error
    assert shop.get("/api/hijacks")["count"] == 0


def test_the_kill_switch_asks_where_production_would_behave_differently(shop: Running, tmp_path: Path) -> None:
    call(shop.url, "hijack_function", **CACHE)
    report(shop, tmp_path, stage="production")
    for way in ("off", "on"):
        before = shop.get("/api/hijacks")["off"]
        refused = call(shop.url, "undo_change", everything=way)
        assert refused.is_error
        assert "on shop:price changes behaviour in production" in text_of(refused)
        assert shop.get("/api/hijacks")["off"] == before
        assert not call(shop.url, "undo_change", client={"elicitation_callback": agree}, everything=way).is_error
    assert shop.get("/api/hijacks")["off"] == {}
    call(shop.url, "unhijack_function", client={"elicitation_callback": agree}, function="price")
    assert not call(shop.url, "undo_change", everything="off").is_error, "nothing is in force that could change"

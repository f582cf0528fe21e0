"""What people say to Claude about their service, as tool calls, and what the service does afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Lab, request, until
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from tests.collector.chat.talk import call, text_of
from tests.e2e.chat.ocr import Dictionary, log_of, serve


@pytest.fixture
def dictionary() -> Iterator[Dictionary]:
    with Dictionary().open() as opened:
        yield opened


def say(lab: Lab, tool: str, **arguments: Any) -> CallToolResult:
    result = call(f"http://127.0.0.1:{lab.port}", tool, **arguments)
    assert not result.is_error, text_of(result)
    return result


def test_discover_all_functions_in_the_ocr_project(lab: Lab, dictionary: Dictionary) -> None:
    serve(lab, dictionary)
    found = say(lab, "discover_functions", project="OCR")
    rows = {one["function"]: one for one in found.structured_content["functions"]}
    assert {"ocr_service:process_ocr", "ocr_service:check_word", "ocr_service:sign_in", "ocr_service:ocr"} <= set(rows)
    assert rows["ocr_service:process_ocr"]["running"][0]["summary"] == "attached in 1 of 1 processes"
    assert rows["ocr_service:ocr"]["kind"] == "coroutine"


def test_add_caching_to_the_process_ocr_function_for_30_minutes(lab: Lab, dictionary: Dictionary) -> None:
    port = serve(lab, dictionary)
    before = [request(port, "GET", "/ocr?text=hello")[1]["run"] for _ in range(3)]
    assert len(set(before)) == 3
    made = say(lab, "hijack_function", function="process_ocr", strategy="cache", options={"ttl": "30m"})
    assert made.structured_content["hijack"]["summary"] == "attached in 1 of 1 processes"
    assert made.structured_content["hijack"]["stages"]["*"][0]["cache"]["ttl"] == 1800
    after = [request(port, "GET", "/ocr?text=hello")[1]["run"] for _ in range(5)]
    assert len(set(after)) == 1, "the cached function answers from the cache"
    assert request(port, "GET", "/ocr?text=other")[1]["run"] != after[0]
    say(lab, "undo_change")
    until(lambda: request(port, "GET", "/ocr?text=hello")[1]["run"] > after[0] + 1, "the function itself again")


def test_show_me_the_slowest_functions_in_the_ocr_service(lab: Lab, dictionary: Dictionary) -> None:
    port = serve(lab, dictionary)
    for index in range(4):
        request(port, "GET", f"/ocr?text={index}")

    def slowest() -> list[str]:
        found = say(lab, "get_function_metrics", service="the OCR service", sort="avg_time", limit=3)
        return [one["name"] for one in found.structured_content["functions"] if one["call_count"]]

    until(lambda: slowest()[:2] == ["ocr_service:ocr", "ocr_service:process_ocr"], "the figures")
    drawn = say(lab, "create_performance_dashboard", service="OCR")
    assert any(block.type == "image" for block in drawn.content)
    traces = say(lab, "search_traces", function="process_ocr").structured_content["traces"]
    assert traces
    shown = say(lab, "search_traces", trace_id=traces[0]["trace_id"])
    assert "ocr_service.process_ocr" in text_of(shown)


def test_mock_the_external_api_calls_in_development_environment(lab: Lab, dictionary: Dictionary) -> None:
    development, production = serve(lab, dictionary), serve(lab, dictionary, "production")
    for port in (development, production):
        assert request(port, "GET", "/word?word=tree")[1]["source"] == "dictionary"
    host = dictionary.url.removeprefix("http://").strip("/")

    def callers() -> list[str]:
        found = say(lab, "find_external_calls", service="OCR").structured_content["functions"]
        return [one["target"] for one in found if host in one["peers"]]

    until(lambda: callers() == ["ocr_service:check_word"], "what was called")
    asked = call(f"http://127.0.0.1:{lab.port}", "mock_external_calls", stage="development")
    assert asked.is_error
    assert "ocr_service:check_word" in text_of(asked)
    mocks = [{"function": "check_word", "value": {"exists": True, "source": "mock"}}]
    made = say(lab, "mock_external_calls", stage="development", mocks=mocks)
    assert [one["stages"].keys() for one in made.structured_content["hijacks"]] == [{"development"}]

    before = dictionary.asked
    for _ in range(3):
        assert request(development, "GET", "/word?word=leaf")[1]["source"] == "mock"
    assert dictionary.asked == before, "nothing is called in development"
    assert request(production, "GET", "/word?word=leaf")[1]["source"] == "dictionary"
    assert dictionary.asked == before + 1


SECRETS = ("hunter2-canary", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ")


def test_add_logging_to_all_functions_but_filter_out_sensitive_data(lab: Lab, dictionary: Dictionary) -> None:
    port = serve(lab, dictionary)
    made = say(lab, "hijack_function", function="all functions", strategy="log")
    named = made.structured_content["hijack"]["functions"]
    assert "ocr_service:sign_in" in named
    assert all(one.startswith("ocr_service:") for one in named), "the project's functions, not those of its libraries"
    request(port, "GET", f"/login?user=ada&password={SECRETS[0]}&token={SECRETS[1]}")
    request(port, "GET", "/ocr?text=visible")

    def logged() -> str:
        return log_of(lab, "development").read_text()

    until(lambda: "sign_in" in logged() and "visible" in logged(), "the log lines")
    assert "ada" in logged()

    def read() -> str:
        return json.dumps(say(lab, "get_function_logs", function="sign_in").structured_content["logs"])

    until(lambda: "ada" in read(), "the records")
    for secret in SECRETS:
        assert secret not in logged()
        assert secret not in read()


async def disagree(context: Any, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="decline")


def test_production_is_not_changed_by_a_sentence_alone(lab: Lab, dictionary: Dictionary) -> None:
    port = serve(lab, dictionary, "production")
    url = f"http://127.0.0.1:{lab.port}"
    arguments = {"function": "process_ocr", "strategy": "mock", "options": {"value": {"text": "stub"}}}
    assert call(url, "hijack_function", **arguments).is_error
    assert call(url, "hijack_function", client={"elicitation_callback": disagree}, **arguments).is_error
    assert lab.api("GET", "/api/hijacks")[1]["hijacks"] == []
    assert request(port, "GET", "/ocr?text=real")[1]["text"] == "real"

"""Figures and traces as pictures, as resources, and as what a prompt asks for."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from mystic_collector.analysis.flame import flame
from mystic_collector.chat.pictures.canvas import counted, fitted, steps, wide
from mystic_collector.chat.pictures.waterfall import ordered
from mystic_collector.chat.resources import paged
from mystic_collector.store.records import SpanRow, StoredSpan
from mystic_collector.units import duration as shown
from PIL import Image

from tests.collector.chat.talk import call, talk, text_of
from tests.collector.conftest import Running
from tests.collector.messages import START, duration, metrics, span, traces

TRACE = bytes(range(16))


def send_trace(collector: Running, calls: int = 4) -> str:
    """Send one trace of ``calls`` nested calls, of which the innermost failed; return its id."""
    sent = []
    for index in range(calls):
        error = "LookupError: no such price\x1b[2J" if index == calls - 1 else ""
        start, length = START + index * 10**6, (2 * calls - 2 * index) * 10**6
        parent = sent[-1].span_id if sent else b""
        sent.append(span("shop:price", trace=TRACE, parent=parent, start=start, duration=length, error=error))
    assert collector.otlp("/v1/traces", traces(*sent)).status_code == 200
    collector.settle()
    return TRACE.hex()


def send_figures(collector: Running) -> None:
    assert collector.otlp("/v1/metrics", metrics(duration("shop:price", {24: 40, 28: 3}))).status_code == 200
    collector.settle()


def picture_of(result: CallToolResult) -> Image.Image:
    [block] = [one for one in result.content if one.type == "image"]
    assert block.mime_type == "image/png"
    data = base64.b64decode(block.data)
    assert len(data) < 500_000
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_a_dashboard_is_a_picture_with_the_same_figures_as_text(shop: Running) -> None:
    send_figures(shop)
    send_trace(shop)
    for arguments in ({}, {"service": "the shop"}, {"function": "price"}):
        found = call(shop.url, "create_performance_dashboard", **arguments)
        assert not found.is_error, text_of(found)
        image = picture_of(found)
        assert image.width == 2000
        assert image.height > 500
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10
        assert "43 calls" in text_of(found)
        assert found.structured_content["flame"]["children"][0]["name"] == "shop.price"
    assert sum(one["count"] for one in found.structured_content["histogram"]) == 43


def test_a_dashboard_of_nothing_is_still_a_picture(shop: Running) -> None:
    for arguments, said in (({}, "all services"), ({"function": "price"}, ", 0 calls, 0 errors")):
        found = call(shop.url, "create_performance_dashboard", **arguments)
        assert not found.is_error, text_of(found)
        assert picture_of(found).width == 2000
        assert found.structured_content["flame"]["children"] == []
        assert said in text_of(found)


def test_a_trace_is_found_by_its_error_and_shown_as_a_waterfall(shop: Running) -> None:
    trace = send_trace(shop)
    found = call(shop.url, "search_traces", errors=True, function="price", min_duration=0.001)
    assert [one["trace_id"] for one in found.structured_content["traces"]] == [trace]
    shown = call(shop.url, "search_traces", trace_id=trace)
    picture_of(shown)
    assert [one["depth"] for one in shown.structured_content["spans"]] == [0, 1, 2, 3]
    assert "FAILED: LookupError: no such price" in text_of(shown)
    assert "\x1b" not in text_of(shown)
    assert call(shop.url, "search_traces", trace_id="12").is_error
    assert "no trace" in text_of(call(shop.url, "search_traces", trace_id="0" * 32))


def test_a_trace_of_thousands_of_calls_is_shown_in_one_answer_and_read_in_pages(shop: Running) -> None:
    trace = send_trace(shop, 5_000)
    shown = call(shop.url, "search_traces", trace_id=trace)
    assert not shown.is_error, text_of(shown)
    assert len(text_of(shown)) <= 20_000
    assert len(json.dumps(shown.structured_content)) <= 20_000
    picture_of(shown)

    async def read(client: Client) -> list[str]:
        seen: list[str] = []
        page, pages = 0, 1
        while page < pages:
            got = await client.read_resource(f"mystic://trace/{trace}/{page}")
            text = got.contents[0].text
            assert len(text) <= 2**20
            value = json.loads(text)
            seen += [one["span_id"] for one in value["spans"]]
            page, pages = page + 1, value["pages"]
        assert pages > 1
        return seen

    assert len(set(talk(shop.url, read))) == 5_000


def test_resources_tell_source_figures_hijacks_and_the_audit_log(shop: Running) -> None:
    send_figures(shop)
    made = shop.post("/api/functions/hijack", {"function": "price", "strategy": "log", "owner": "ada"}, 201)

    async def read(client: Client) -> dict[str, str]:
        listed = {str(one.uri) for one in (await client.list_resources()).resources}
        assert {"mystic://hijacks", "mystic://audit", "ui://mystic/dashboard"} <= listed
        templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
        assert {"mystic://source/{function}", "mystic://trace/{trace_id}"} <= templates
        names = ("hijacks", "hijacks/0", "audit", "audit/0", "source/price", "statistics/shop:price", "timeline")
        names = (*names, f"patch/{made['id']}")
        return {name: (await client.read_resource(f"mystic://{name}")).contents[0].text for name in names}

    texts = talk(shop.url, read)
    assert "return quantity * 3" in texts["source/price"]
    assert json.loads(texts["statistics/shop:price"])["call_count"] == 43
    listed = [[one["id"] for one in json.loads(texts[name])["hijacks"]] for name in ("hijacks", "hijacks/0")]
    assert listed[0] == listed[1] != []
    assert json.loads(texts["audit"])["audit"][0]["after"]["owner"] == "ada"
    assert json.loads(texts["timeline"])["timeline"][0]["kind"] == "change"
    assert "nothing to export" in texts[f"patch/{made['id']}"]


@pytest.mark.parametrize("uri", ["mystic://source/nothing", "mystic://trace/12", "mystic://hijacks/7", "mystic://no"])
def test_a_resource_that_is_not_there_is_an_error_of_the_protocol(shop: Running, uri: str) -> None:
    async def read(client: Client) -> None:
        with pytest.raises(MCPError):
            await client.read_resource(uri)

    talk(shop.url, read)


def test_prompts_say_what_people_want_and_name_only_tools_there_are(shop: Running) -> None:
    async def read(client: Client) -> tuple[dict[str, str], set[str]]:
        prompts = (await client.list_prompts()).prompts
        told = {}
        for one in prompts:
            got = await client.get_prompt(one.name, {a.name: "some-service" for a in one.arguments or []})
            told[one.name] = got.messages[0].content.text
        return told, {one.name for one in (await client.list_tools()).tools}

    told, tools = talk(shop.url, read)
    assert {"find_what_to_optimise", "explain_slow_request"} <= set(told)
    for text in told.values():
        named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)) - {"min_duration", "avg_time", "total_time"}
        assert named - {"find_cacheable_functions"} <= tools


def test_the_app_loads_nothing_from_elsewhere_and_is_bound_to_the_dashboard(shop: Running) -> None:
    async def read(client: Client) -> tuple[str, Any]:
        page = (await client.read_resource("ui://mystic/dashboard")).contents[0]
        assert page.mime_type == "text/html;profile=mcp-app"
        [tool] = [one for one in (await client.list_tools()).tools if one.name == "create_performance_dashboard"]
        return page.text, tool.meta

    page, meta = talk(shop.url, read)
    assert meta["ui"]["resourceUri"] == "ui://mystic/dashboard"
    addresses = [word for word in page.replace('"', " ").split() if "://" in word]
    assert addresses == ["http://www.w3.org/2000/svg"]  # the name of a language, never loaded
    assert "innerHTML" not in page


# -- the pure parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.24e-3, "1.24 ms"), (5e-9, "5 ns"), (99, "99 s"), (125, "2 min 5 s"), (8123, "2 h 15 min")],
)
def test_durations_are_read_at_a_glance(value: float, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("most", [0, 1e-9, 0.7, 1, 3, 9, 10, 41, 999, 1_000, 123_456, 6e8])
def test_an_axis_has_few_round_steps_that_reach_the_most(most: float) -> None:
    marks = steps(most)
    assert marks[0] == 0
    assert marks[-1] >= most
    assert 2 <= len(marks) <= 6
    if most:
        assert marks[-2] < most


def test_numbers_and_names_fit() -> None:
    assert [counted(one) for one in (0, 7, 1204, 65_000, 3_400_000)] == ["0", "7", "1,204", "65k", "3.4M"]
    name = "application.services.recognition:Recogniser.recognise_everything"
    assert fitted(name, 1000) == name
    assert wide(fitted(name, 120)) <= 120
    assert fitted(name, 120).endswith("everything")
    assert fitted(name, 2) == ""


def stored(number: int, parent: int, start: int, end: int, name: str = "f") -> StoredSpan:
    row = SpanRow(
        TRACE, number.to_bytes(8, "big"), parent.to_bytes(8, "big") if parent else b"", f"m:{name}", name, 1,
        start, end, 0, "", "{}", "",
    )  # fmt: skip
    return StoredSpan("shop", "i1", row)


def test_a_flame_graph_merges_calls_of_one_caller_and_tells_the_mean_of_a_trace() -> None:
    trace = [stored(1, 0, 0, 100, "a"), stored(2, 1, 10, 30, "b"), stored(3, 1, 40, 60, "b"), stored(4, 3, 45, 50, "c")]
    found = flame([trace, trace])
    [a] = found["children"]
    [b] = a["children"]
    assert found["traces"] == 2
    assert (a["count"], a["total"], a["self"]) == (2, pytest.approx(100e-9), pytest.approx(60e-9))
    assert (b["count"], b["total"]) == (4, pytest.approx(40e-9))
    assert b["children"][0]["name"] == "c"


def test_a_flame_graph_of_a_recursive_function_counts_its_outermost_calls_once() -> None:
    trace = [stored(1, 0, 0, 100, "a"), stored(2, 1, 10, 90, "b"), stored(3, 2, 20, 80, "b")]
    found = flame([trace], "m:b")
    [b] = found["children"]
    assert (b["count"], b["total"]) == (1, pytest.approx(80e-9))


def test_a_trace_is_ordered_by_caller_also_when_a_caller_was_lost() -> None:
    spans = [
        {"span_id": "c", "parent_id": "a", "start_ns": 5},
        {"span_id": "b", "parent_id": "a", "start_ns": 1},
        {"span_id": "a", "parent_id": "lost", "start_ns": 0},
        {"span_id": "d", "parent_id": "b", "start_ns": 2},
    ]
    assert [(depth, one["span_id"]) for depth, one in ordered(spans)] == [(0, "a"), (1, "b"), (2, "d"), (1, "c")]


def test_pages_are_complete_and_bounded() -> None:
    rows = [{"n": i, "text": "x" * 50} for i in range(100)]
    first = json.loads(paged({"rows": list(rows), "more": 1}, "rows", "0", 1_000))
    seen = list(first["rows"])
    for page in range(1, first["pages"]):
        text = paged({"rows": list(rows), "more": 1}, "rows", str(page), 1_000)
        assert len(text) < 1_400
        seen += json.loads(text)["rows"]
    assert seen == rows


def test_pictures_need_no_font_of_the_machine(tmp_path: Path) -> None:
    assert wide("µs · é …", 12) > 0

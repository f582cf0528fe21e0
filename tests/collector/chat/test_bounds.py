"""No answer of a tool is longer than 20,000 characters, whatever the service brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CallToolResult
from mystic_collector.chat.bounds import CUT, bounded, size

from tests.collector.chat.talk import call, text_of
from tests.collector.conftest import Running
from tests.collector.messages import START, span, traces

MOST = 20_000


def within(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, text_of(result)
    assert len(text_of(result)) <= MOST
    assert len(json.dumps(result.structured_content)) <= MOST
    return dict(result.structured_content or {})


@pytest.mark.parametrize(
    "value",
    [
        {"text": "x" * 50_000},
        {"rows": [{"id": f"{index:012}", "text": "ü" * 900} for index in range(300)]},
        {"deep": {"of": {"any": {f"key{index}": list(range(50)) for index in range(3_000)}}}},
        {"rows": [{"options": {f"k{index}": "v" * 40 for index in range(400)}} for _ in range(3)]},
    ],
)
def test_what_is_too_long_is_cut_where_it_is_longest_and_keeps_its_shape(value: dict[str, Any]) -> None:
    cut = bounded({**value, "note": "n" * 200, "count": 7}, MOST)
    assert size(cut) <= MOST
    assert cut["note"] == "n" * 200
    assert cut["count"] == 7
    assert cut.keys() == {*value, "note", "count"}
    assert {type(one) for one in value.values()} <= {type(one) for one in cut.values()}


def test_what_fits_stays_as_it_is() -> None:
    value = {"text": "x" * 19_000, "rows": [1] * 100}
    assert bounded(value, MOST) == value


def test_a_hijack_with_a_long_option_is_made_and_listed_within_bounds(shop: Running) -> None:
    value = [{"word": f"word {index}", "lines": ["a line of text"] * 20} for index in range(200)]
    made = within(call(shop.url, "hijack_function", function="price", strategy="mock", options={"value": value}))
    assert CUT in made["note"]
    assert made["hijack"]["target"] == "shop:price"
    within(call(shop.url, "list_hijacked_functions"))
    within(call(shop.url, "undo_change", dry_run=True))
    [kept] = shop.get("/api/hijacks")["hijacks"]
    assert kept["stages"]["*"][0]["mock"]["value"] == value


def test_a_function_of_many_arguments_is_inspected_within_bounds(shop: Running, tmp_path: Path) -> None:
    arguments = ", ".join(f"argument_number_{index}: int = {index}" for index in range(250))
    body = "\n".join(f"    import module_{index}" for index in range(400))
    (tmp_path / "project" / "wide.py").write_text(f'def wide({arguments}):\n    """{"word " * 2_000}"""\n{body}\n')
    found = within(call(shop.url, "inspect_function", function="wide:wide"))
    assert found["function"] == "wide:wide"
    assert CUT in found["note"]


def test_traces_come_in_pages_that_together_are_complete(shop: Running) -> None:
    begun = [START + index * 10**9 for index in range(150)]
    spans = [span("shop:price", trace=index.to_bytes(16), start=one) for index, one in enumerate(begun, 1)]
    shop.otlp("/v1/traces", traces(*spans))
    shop.settle()
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = within(call(shop.url, "search_traces", function="price", limit=60, cursor=cursor))
        seen += [one["trace_id"] for one in page["traces"]]
        cursor = page["cursor"]
    assert seen == [f"{index:032x}" for index in range(150, 0, -1)]

"""What the page is made of, who gets a cookie for the key, and what it may do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.strategy import STRATEGIES
from mystic_collector.analysis.rates import rates
from mystic_collector.analysis.relations import relations
from mystic_collector.settings import load
from mystic_collector.store.records import Interval
from mystic_collector.web.page import STATIC
from mystic_collector.web.session import admits, cookie_name, issue, valid

from .conftest import PATIENCE, Running, running
from .messages import START, duration, metrics, span, traces

KEY, NOW = "k3y-of-the-house", 1_700_000_000.0


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("locked"), api_key=KEY) as found:
        yield found


def enter(collector: Running, key: str = KEY, **headers: str) -> httpx.Response:
    with httpx.Client(base_url=collector.url, timeout=PATIENCE, trust_env=False) as client:
        return client.post("/login", json={"key": key}, headers=headers)


def test_a_session_is_good_until_its_end_and_for_its_key_alone() -> None:
    session = issue(KEY, NOW, 60)
    assert valid(KEY, session, NOW + 59)
    assert not valid(KEY, session, NOW + 60)
    assert not valid("another", session, NOW)
    assert not valid("", issue("", NOW), NOW), "without a key there are no sessions"
    end, nonce, signature = session.split(".")
    for forged in (
        f"{int(end) + 1}.{nonce}.{signature}",
        f"{end}.{'0' * 32}.{signature}",
        f"{end}.{nonce}.{'0' * 64}",
        f"{end}.{nonce}.",
        f"{session}.",
        f" {session}",
        "",
        "é",
        "9" * 5000,
    ):
        assert not valid(KEY, forged, NOW)
    assert issue(KEY, NOW) != issue(KEY, NOW)
    assert KEY not in session
    assert cookie_name(KEY) != cookie_name("another"), "all ports of a host share their cookies"


def test_a_cookie_alone_reads_and_our_own_scripts_change() -> None:
    cookies = f"other=1; {cookie_name(KEY)}={issue(KEY, NOW)}"
    assert admits(KEY, cookies, "GET", False, NOW)
    assert not admits(KEY, cookies, "POST", False, NOW)
    assert admits(KEY, cookies, "POST", True, NOW)
    for bad in ("", "=", f"{cookie_name(KEY)}=x", "a" * 20_000 + cookies, f"x={issue(KEY, NOW)}", "\x00;;=\x7f"):
        assert not admits(KEY, bad, "GET", True, NOW)


def test_the_right_key_gives_a_cookie_that_stands_for_it(locked: Running) -> None:
    answer = enter(locked)
    said = answer.headers["set-cookie"]
    assert answer.status_code == 200
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in said.split(";")}
    assert "Path" not in said, "the folder that the browser sees is what the cookie is for"
    assert KEY not in said
    cookie = said.partition(";")[0]
    for headers, status in (
        ({"Cookie": cookie}, 200),
        ({"Cookie": cookie + "0"}, 401),
        ({"Cookie": cookie, "Origin": "http://evil.example"}, 403),
        ({"Cookie": cookie, "Host": "evil.example"}, 421),
    ):
        assert locked.client.get("/api/status", headers=headers).status_code == status
    body: dict[str, Any] = {"target": "m:f", "stages": ["observe"]}
    assert locked.client.post("/api/hijacks", json=body, headers={"Cookie": cookie}).status_code == 401
    marked = {"Cookie": cookie, "X-Mystic-Page": "1"}
    assert locked.client.post("/api/hijacks", json=body, headers=marked).status_code == 201
    assert locked.client.post("/logout", headers=marked).headers["set-cookie"].count("Max-Age=0") == 1


def test_the_cookie_of_a_page_that_came_by_tls_never_goes_out_without(start: Callable[..., Any]) -> None:
    """TLS may end here or at a proxy: what the browser says of its page tells, and what the proxy says besides."""
    with start(api_key=KEY, allowed_origins=("https://mystic.example",)) as collector:
        for headers, secure in (
            ({}, False),
            ({"Origin": "https://mystic.example"}, True),
            ({"X-Forwarded-Proto": "https"}, True),
            ({"X-Forwarded-Proto": "https, http"}, True),
            ({"Forwarded": 'for=192.0.2.60;proto="https";by=203.0.113.43, for=10.0.0.1;proto=http'}, True),
            ({"X-Forwarded-Proto": "http"}, False),
            ({"Forwarded": "for=192.0.2.60;proto=http"}, False),
        ):
            answer = enter(collector, KEY, **headers)
            assert answer.status_code == 200
            attributes = {part.strip() for part in answer.headers["set-cookie"].split(";")}
            assert ("Secure" in attributes) == secure, headers
            assert {"HttpOnly", "SameSite=strict"} <= attributes


def test_a_wrong_key_gives_nothing(locked: Running) -> None:
    for key in ("wrong", "", KEY + "x", "\u00e9"):
        answer = enter(locked, key)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert KEY not in answer.text
    with httpx.Client(base_url=locked.url, trust_env=False) as client:
        assert client.post("/login", json={"key": 1}).status_code == 422
        assert client.post("/login", json={"key": KEY}, headers={"Origin": "http://localhost:3000"}).status_code == 403


def test_without_a_key_there_is_nothing_to_enter(shared: Running) -> None:
    answer = enter(shared, "anything")
    assert (answer.json(), "set-cookie" in answer.headers) == ({"key": False}, False)


def test_the_page_binds_the_browser_to_its_own_files(locked: Running) -> None:
    for path in ("/", "/web/page/main.js", "/web/style/base.css", "/web/icon.svg"):
        answer = locked.client.get(path)
        assert answer.status_code == 200
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert {policy[one] for one in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
        assert policy["require-trusted-types-for"] == "'script'"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/web/", "/web/../page.py", "/web/%2e%2e/page.py", "/web/..%2fpage.py", "/web/page", "/web/none.js"):
        assert locked.client.get(path).status_code in (401, 404), path


def test_every_file_that_the_page_names_is_there_and_none_is_elsewhere() -> None:
    page = (STATIC / "index.html").read_text()
    named = re.findall(r'(?:href|src)="([^"#][^"]*)"', page)
    assert named
    for one in named:
        assert (STATIC.parent / "static" / one.removeprefix("web/")).is_file(), one
    assert not re.search(r"\son\w+=|<style|style=|<script>", page), "the policy would refuse it"
    reached, waiting = set(), [STATIC / "page" / "main.js"]
    while waiting:
        file = waiting.pop()
        reached.add(file)
        imports = re.findall(r'^import (?:[^"]* from )?"([^"]+)";', file.read_text(), re.MULTILINE)
        assert all(one.startswith(".") for one in imports), file
        waiting += [found for one in imports if (found := (file.parent / one).resolve()) not in reached]
    preloaded = {STATIC / one.removeprefix("web/") for one in re.findall(r'modulepreload" href="([^"]+)"', page)}
    assert preloaded == reached - {STATIC / "page" / "main.js"}, "what is imported is asked for at once"
    assert set((STATIC / "page").rglob("*.js")) - reached == {STATIC / "page" / "theme.js"}


def test_no_script_of_ours_turns_text_into_elements() -> None:
    unsafe = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|createContextualFragment"
    )
    for file in (STATIC / "page").rglob("*.js"):
        assert not unsafe.search(file.read_text()), file
    assert (STATIC / "vendor" / "uplot" / "LICENSE").read_text().startswith("The MIT License")


def test_the_stream_tells_at_once_when_there_is_something_new(start: Callable[..., Any]) -> None:
    with start() as collector, httpx.Client(base_url=collector.url, timeout=PATIENCE, trust_env=False) as client:
        with client.stream("GET", "/api/live") as answer:
            lines = answer.iter_lines()
            first = told(lines)
            collector.post("/api/hijacks", {"target": "m:f", "stages": ["observe"]}, 201)
            assert told(lines)["version"] == first["version"] + 1
            collector.otlp("/v1/metrics", metrics(duration("m:f", {20: 1})))
            assert told(lines)["written"] > first["written"]
            collector.server.should_exit = True
            assert [line for line in lines if line.startswith("data")] == [], "it ends with the collector"


def told(lines: Iterator[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
    return found


def test_strategies_are_offered_with_the_options_there_are(shared: Running) -> None:
    rows = {row["strategy"]: row for row in shared.get("/api/strategies")["strategies"]}
    assert rows.keys() == STRATEGIES.keys()
    for name, options in STRATEGIES.items():
        assert [one["option"] for one in rows[name]["options"]] == list(options)
    cache = {one["option"]: one for one in rows["cache"]["options"]}
    assert (cache["ttl"]["default"], cache["ttl"]["choices"]) == (60.0, [])
    for name, row in rows.items():
        for one in row["options"]:
            for choice in one["choices"]:
                STRATEGIES[name][one["option"]].read(choice, "x")
            if one["choices"]:
                assert one["default"] in one["choices"]
                with pytest.raises(Invalid, match=", ".join(one["choices"])):
                    STRATEGIES[name][one["option"]].read("none of them", "x")
    assert cache["scope"]["choices"] == ["process", "shared"]
    assert all(one["help"] for row in rows.values() for one in row["options"])


def interval(at: int, seconds: int, calls: int, errors: int = 0, hits: int = 0) -> Interval:
    return Interval(at, seconds, calls, 0, errors, hits, 0, 0, (0, ()))


def test_rates_have_no_gaps_and_divide_what_has_only_begun() -> None:
    found = rates([interval(100, 10, 50, 5, 20), interval(130, 10, 10)], since=95, until=135)
    assert [row["at"] for row in found] == [90, 100, 110, 120, 130]
    assert [row["calls_per_second"] for row in found] == [0, 5, 0, 0, 2]
    assert found[1] == {"at": 100, "calls_per_second": 5, "errors_per_second": 0.5, "hits_per_second": 2}
    wide = rates([interval(0, 60, 60)], since=0, until=60)
    assert [row["calls_per_second"] for row in wide] == [1, 1, 1, 1, 1, 1, 0]


def test_rates_add_all_functions_up(start: Callable[..., Any]) -> None:
    with start() as collector:
        collector.otlp("/v1/metrics", metrics(duration("m:f", {20: 6}), duration("m:g", {20: 4}, errors=2)))
        collector.otlp("/v1/metrics", metrics(duration("m:h", {20: 5}), service="other", instance="i2"))
        collector.settle()
        for query, calls in (({}, 15), ({"service": "other"}, 5), ({"service": "none"}, 0)):
            found = collector.get("/api/analysis/rates", since=60, **query)["rates"]
            ended = sum(row["calls_per_second"] for row in found)
            assert (ended > 0) == (calls > 0)
        [*_, row] = collector.parts.store.rates(0)
        assert (row.calls, row.errors) == (15, 2)


def test_callers_and_callees_have_their_share_of_the_time(start: Callable[..., Any]) -> None:
    trace = bytes(range(16))
    root = span("m:top", trace=trace, duration=100)
    mine = span("m:f", trace=trace, parent=root.span_id, duration=80)
    again = span("m:f", trace=trace, parent=mine.span_id, duration=30)
    inner = span("m:leaf", trace=trace, parent=again.span_id, duration=20)
    alone = span("m:f", duration=20, start=START + 5)
    with start(retention_seconds=1e10) as collector:
        assert collector.otlp("/v1/traces", traces(root, mine, again, inner, alone)).status_code == 200
        collector.settle()
        found = collector.get("/api/analysis/relations", function="m:f")
        assert (found["calls"], found["traces"]) == (3, 2)
        assert found["total"] == pytest.approx(100e-9)
        assert found["self"] == pytest.approx(50e-9)
        assert [(row["function"], row["count"], row["share"]) for row in found["callers"]] == [
            ("m:top", 1, pytest.approx(0.8)),
            ("", 1, pytest.approx(0.2)),
        ]
        assert [(row["function"], row["share"]) for row in found["callees"]] == [
            ("m:f", pytest.approx(0.3)),
            ("m:leaf", pytest.approx(0.2)),
        ]
        assert relations([], "m:f")["callers"] == []
        past = {"until": START / 1e9 - 1}
        assert collector.get("/api/traces", **past)["count"] == 0
        assert collector.get("/api/traces", since=START / 1e9 - 1)["count"] == 2
        assert collector.get("/api/analysis/flame", **past)["traces"] == 0


@pytest.mark.parametrize(
    "address", ["ftp://x/{trace_id}", "http://x/trace", "javascript:{trace_id}", "http:// /{trace_id}"]
)
def test_only_an_address_with_a_place_for_the_trace_is_linked_to(address: str) -> None:
    assert load({"MYSTIC_TRACE_UI": "https://ui.example/t/{trace_id}"}).trace_ui == "https://ui.example/t/{trace_id}"
    with pytest.raises(Invalid, match="MYSTIC_TRACE_UI"):
        load({"MYSTIC_TRACE_UI": address})

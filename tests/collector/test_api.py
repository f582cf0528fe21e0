"""What people and programs ask."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mystic_collector import openapi
from starlette.routing import Route

from .conftest import Running
from .messages import START, duration, metrics

SOURCE = '''
import math
from os import path as where
from typing import Literal

RATE = 3


def process(
    page: int, lang: str = "en", *names: str, mode: Literal["a", "b"] = "a", box: dict[str, float] | None = None
) -> list[str]:
    """Read one page.

    More about it.
    """
    return [where.join(helper(page), math.floor(RATE))]


def helper(x):
    return str(x)


class Service:
    @staticmethod
    def plain(x: float): ...

    async def process_all(self, pages: "list[int]", /, **options) -> None:
        yield
'''


@pytest.fixture
def project(collector: Running) -> Path:
    root = collector.parts.settings.project_root
    (root / "app").mkdir()
    (root / "app" / "__init__.py").write_text("")
    (root / "app" / "ocr.py").write_text(SOURCE)
    (root / "other.py").write_text("def helper(): ...\n")
    return root


def refused(collector: Running, path: str, body: Any, status: int = 422) -> dict[str, str]:
    reply = collector.client.post(path, json=body)
    assert reply.status_code == status, reply.text
    error: dict[str, str] = reply.json()["error"]
    return error


def test_every_route_is_described_and_every_description_is_a_route(shared: Running) -> None:
    described = {
        (method.upper(), path) for path, methods in shared.get("/openapi.json")["paths"].items() for method in methods
    }
    routes = {
        (method, re.sub(r":\w+}", "}", route.path))
        for route in shared.server.app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert described == routes
    assert len(
        {one["operationId"] for methods in openapi.describe()["paths"].values() for one in methods.values()}
    ) == (len(openapi.OPERATIONS))


def test_what_is_not_there_or_not_allowed_is_answered_as_json(shared: Running) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/api/metrics", 405), ("GET", "/v1/traces", 405)):
        reply = shared.client.request(method, path)
        assert (reply.status_code, set(reply.json()["error"])) == (status, {"message", "remedy"})


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/metrics?sort=colour", "sort"),
        ("/api/metrics?limit=0", "limit"),
        ("/api/functions?state=happy", "state"),
        ("/api/functions?offset=-1", "offset"),
        ("/api/traces?errors=maybe", "errors"),
        ("/api/traces?min_duration=long", "min_duration"),
        ("/api/traces?min_duration=nan", "min_duration"),
        ("/api/traces?limit=100000", "limit"),
        ("/api/traces/xyz", "id"),
    ],
)
def test_a_bad_parameter_is_named(shared: Running, path: str, field: str) -> None:
    reply = shared.client.get(path)
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert error["field"] == field
    assert error["remedy"].startswith("give ")


def test_a_body_that_is_no_object_is_refused(shared: Running) -> None:
    for body, status in ((b"[]", 422), (b"{", 400), (b"\xff", 400), (b" " * (2**20 + 1), 413)):
        assert shared.client.post("/api/hijacks", content=body).status_code == status


def test_functions_that_run_and_were_not_called_yet_are_in_the_metrics(collector: Running) -> None:
    collector.report("i1", [{"function": "app:idle", "state": "attached"}, {"function": "app:no", "state": "skipped"}])
    collector.otlp("/v1/metrics", metrics(duration("app:busy", {10: 1})))
    collector.settle()
    found = {one["name"]: one["call_count"] for one in collector.get("/api/metrics")["functions"]}
    assert found == {"app:busy": 1, "app:idle": 0}
    assert collector.get("/api/metrics/app:idle")["last_called"] is None


def test_metrics_are_sorted_filtered_and_paged(collector: Running) -> None:
    collector.otlp(
        "/v1/metrics",
        metrics(duration("a:many", {4: 90}), duration("a:slow", {30: 1}), duration("b:bad", {8: 2}, errors=2)),
    )
    collector.settle()

    def names(**query: Any) -> list[str]:
        return [one["name"] for one in collector.get("/api/metrics", **query)["functions"]]

    assert names() == ["a:slow", "a:many", "b:bad"]
    assert names(sort="call_count") == ["a:many", "b:bad", "a:slow"]
    assert names(sort="exceptions", limit=1) == ["b:bad"]
    assert names(q="A:", sort="name") == ["a:many", "a:slow"]
    assert names(sort="name", offset=2) == ["b:bad"]
    assert names(service="unknown") == []
    summary = collector.get("/api/metrics")["summary"]
    assert (summary["slowest_function"], summary["most_called_function"]) == ("a:slow", "a:many")
    assert (summary["total_functions"], summary["total_exceptions"]) == (3, 2)


def test_one_function_has_its_history(collector: Running) -> None:
    collector.otlp("/v1/metrics", metrics(duration("app:f", {10: 4})))
    collector.settle()
    found = collector.get("/api/metrics/app:f")
    assert (found["name"], found["call_count"]) == ("app:f", 4)
    assert sum(one["call_count"] for one in found["history"]) == 4
    assert collector.client.get("/api/metrics/app:none").status_code == 404


def test_metrics_have_every_field_of_the_first_mystic_in_seconds(collector: Running) -> None:
    facts = {("mystic.agent.overhead", ""): 0.01}
    collector.otlp("/v1/metrics", metrics(duration("app:f", {29: 3, 30: 1}, errors=2), facts=facts))
    collector.report("i1", [{"function": "app:f", "state": "attached"}])
    collector.settle()
    found = collector.get("/api/metrics")
    [row] = found["functions"]
    assert (row["name"], row["call_count"], row["exceptions"]) == ("app:f", 4, 2)
    assert row["avg_time"] == pytest.approx(row["total_time"] / 4)
    assert 0.5 < row["min_time"] <= row["avg_time"] <= row["max_time"] < 2.2
    assert row["last_called"] == START / 1e9 + 1  # when the point was made in which it had grown
    assert found["summary"] == {
        "total_functions": 1,
        "called_functions": 1,
        "total_calls": 4,
        "total_time": row["total_time"],
        "total_exceptions": 2,
        "slowest_function": "app:f",
        "most_called_function": "app:f",
    }
    assert found["overhead"]["mean_share_of_core"] == pytest.approx(0.01)
    one = collector.get("/api/metrics/app:f")
    assert {name: one[name] for name in row} == row


def test_overhead_is_that_of_living_processes(collector: Running) -> None:
    for instance, share in (("i1", 0.01), ("i2", 0.03), ("dead", 0.9)):
        collector.otlp(
            "/v1/metrics",
            metrics(duration("a:f", {3: 1}), instance=instance, facts={("mystic.agent.overhead", ""): share}),
        )
    collector.report("i1", [])
    collector.report("i2", [])
    collector.settle()
    overhead = collector.get("/api/metrics")["overhead"]
    assert overhead == {"processes": 2, "mean_share_of_core": pytest.approx(0.02), "max_share_of_core": 0.03}


def test_a_function_is_hijacked_by_name_and_released(collector: Running, project: Path) -> None:
    body = {"function": "process", "strategy": "cache", "options": {"ttl": "30m"}, "reason": "repeats"}
    added = collector.post("/api/functions/hijack", body, 201)
    assert (added["target"], added["stages"]["*"][0]["cache"]["ttl"]) == ("app.ocr:process", 1800)
    again = collector.post("/api/functions/hijack", {**body, "options": {"ttl": "1m"}}, 201)
    assert again["id"] == added["id"]
    collector.post("/api/functions/hijack", {"function": "app.ocr.Service.process_all", "strategy": "analyze"}, 201)
    hijacked = collector.get("/api/hijacked")
    assert hijacked["count"] == 2
    assert [(one["name"], one["strategies"]) for one in hijacked["hijacked_functions"]] == [
        ("app.ocr:process", ["cache"]),
        ("app.ocr:Service.process_all", ["analyze"]),
    ]
    removed = collector.post("/api/functions/unhijack", {"function": "process"})
    assert removed == {"removed": [added["id"]], "count": 1}
    assert collector.get("/api/hijacked")["count"] == 1
    assert "not hijacked" in refused(collector, "/api/functions/unhijack", {"function": "process"}, 404)["message"]


def test_a_living_function_is_listed_as_hijacked_with_its_states(collector: Running) -> None:
    added = collector.post("/api/hijacks", {"target": "app:*", "stages": {"*": ["observe"]}}, 201)
    for instance in ("i1", "i2"):
        collector.report(instance, [{"function": "app:f", "state": "attached", "hijacks": [added["id"]]}])
    [row] = collector.get("/api/hijacked")["hijacked_functions"]
    assert (row["name"], row["states"], row["hijack"]) == ("app:f", {"attached": 2}, added["id"])


def test_one_hijacked_function_is_asked_for_by_name(collector: Running, project: Path) -> None:
    whole = collector.post("/api/hijacks", {"target": "app.ocr:*", "stages": {"*": ["observe"]}}, 201)
    exact = collector.post("/api/hijacks", {"target": "app.ocr:process", "stages": {"*": ["log"]}, "owner": "ann"}, 201)
    for name in ("app.ocr:process", "process", "app.ocr.process"):
        found = collector.get(f"/api/hijacked/{name}")
        assert (found["name"], found["count"]) == ("app.ocr:process", 2)
        assert [(one["hijack"], one["strategies"]) for one in found["hijacks"]] == [
            (whole["id"], ["observe"]),
            (exact["id"], ["log"]),
        ]
    collector.report("i1", [{"function": "app.ocr:process", "state": "attached", "hijacks": [exact["id"]]}])
    by_id = {one["hijack"]: one for one in collector.get("/api/hijacked/process")["hijacks"]}
    assert (by_id[exact["id"]]["states"], by_id[exact["id"]]["owner"]) == ({"attached": 1}, "ann")
    assert by_id[whole["id"]]["states"] == {}
    assert set(by_id[whole["id"]]) == set(collector.get("/api/hijacked")["hijacked_functions"][0])
    collector.client.delete(f"/api/hijacks/{whole['id']}")
    assert collector.client.get("/api/hijacked/app.ocr:Service.plain").status_code == 404
    assert collector.client.get("/api/hijacked/nothing").status_code == 422


def test_a_strategy_that_does_not_exist_is_refused_with_those_that_do(collector: Running, project: Path) -> None:
    error = refused(collector, "/api/functions/hijack", {"function": "process", "strategy": "teleport"})
    assert error["field"] == "strategy"
    assert "cache" in error["remedy"]
    assert "observe" in error["remedy"]
    error = refused(
        collector, "/api/functions/hijack", {"function": "process", "strategy": "cache", "options": {"x": 1}}
    )
    assert "unknown option" in error["remedy"]
    assert collector.get("/api/hijacks")["count"] == 0


def test_an_ambiguous_name_is_refused_with_the_candidates(collector: Running, project: Path) -> None:
    for path in ("/api/hijacks", "/api/functions/hijack"):
        body = (
            {"target": "helper", "stages": {"*": ["observe"]}}
            if path == "/api/hijacks"
            else {"function": "helper", "strategy": "analyze"}
        )
        error = refused(collector, path, body)
        assert error["value"] == "'helper'"
        assert "app.ocr:helper, other:helper" in error["remedy"]


def test_an_unknown_name_is_refused_with_close_ones(collector: Running, project: Path) -> None:
    error = refused(collector, "/api/functions/hijack", {"function": "proces", "strategy": "cache"})
    assert "did you mean app.ocr:process" in error["remedy"]
    error = refused(collector, "/api/functions/hijack", {"function": "zzz", "strategy": "cache"})
    assert "mystic discover" in error["remedy"]


def test_living_functions_outside_the_project_are_known_by_name(collector: Running) -> None:
    collector.report("i1", [{"function": "vendored.lib:Deep.call", "state": "attached"}])
    added = collector.post("/api/functions/hijack", {"function": "Deep.call", "strategy": "analyze"}, 201)
    assert added["target"] == "vendored.lib:Deep.call"


def test_a_function_is_inspected_from_its_source_alone(collector: Running, project: Path) -> None:
    (project / "app" / "__init__.py").write_text("raise SystemExit('imported!')\n")
    found = collector.post("/api/functions/inspect", {"function": "app.ocr.process"})
    assert found["signature"].startswith("process(page: int, lang: str='en', *names: str")
    assert found["docstring"].startswith("Read one page.")
    assert found["source"].startswith("def process(")
    assert found["source"].endswith("math.floor(RATE))]")
    schema = found["parameters"]
    assert schema["required"] == ["page"]
    assert schema["properties"]["page"] == {"type": "integer"}
    assert schema["properties"]["lang"] == {"type": "string", "default": "en"}
    assert schema["properties"]["names"] == {"type": "array", "items": {"type": "string"}}
    assert schema["properties"]["mode"] == {"enum": ["a", "b"], "default": "a"}
    assert schema["properties"]["box"]["anyOf"][0]["additionalProperties"] == {"type": "number"}
    assert schema["additionalProperties"] is False
    assert found["dependencies"] == {
        "imports": ["math", "os.path"],
        "module": ["RATE", "helper"],
        "calls": ["helper", "math.floor", "where.join"],
    }


def test_methods_are_inspected_without_their_self(collector: Running, project: Path) -> None:
    found = collector.post("/api/functions/inspect", {"function": "process_all"})
    assert (found["kind"], found["function"]) == ("async_generator", "app.ocr:Service.process_all")
    assert found["parameters"]["properties"] == {"pages": {"type": "array", "items": {"type": "integer"}}}
    assert found["parameters"]["additionalProperties"] is True
    plain = collector.post("/api/functions/inspect", {"function": "plain"})
    assert plain["parameters"]["required"] == ["x"]


def test_only_the_project_and_reported_files_are_read(collector: Running, project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("def secret():\n    return 1\n")
    (project / "link.py").symlink_to(outside)
    error = refused(collector, "/api/functions/inspect", {"function": "link:secret"})
    assert "under PROJECT_ROOT" in error["remedy"]
    refused(collector, "/api/functions/inspect", {"function": "outside:secret"})
    collector.report("i1", [{"function": "outside:secret", "state": "attached", "file": str(outside), "line": 1}])
    assert collector.post("/api/functions/inspect", {"function": "outside:secret"})["line"] == 1
    words = tmp_path / "passwd"
    words.write_text("root:x")
    collector.report("i2", [{"function": "passwd:x", "state": "attached", "file": str(words), "line": 1}])
    refused(collector, "/api/functions/inspect", {"function": "passwd:x"})


def test_init_writes_the_configuration_once(collector: Running, project: Path) -> None:
    written = collector.post("/api/init", {"project_name": "shop"}, 201)
    assert written["written"] is True
    before = Path(written["path"]).read_text()
    assert '"project_name": "shop"' in before
    assert collector.post("/api/init", {"project_name": "else"}) == {"path": written["path"], "written": False}
    assert Path(written["path"]).read_text() == before


def test_status_tells_processes_links_and_sizes(collector: Running) -> None:
    collector.report("i1", [{"function": "a:f", "state": "attached"}], status={"python": "3.11"})
    with collector.stream(instance="i1") as events:
        next(events)
        found = collector.get("/api/status")
        [process] = found["processes"]
        assert (process["pid"], process["functions"], process["connected"]) == (7, {"attached": 1}, True)
        assert process["status"] == {"python": "3.11"}
        assert found["services"] == ["shop"]
        assert found["api_key"] is False
        assert found["store"]["bytes"] > 0


def test_a_change_of_the_set_is_in_the_audit(collector: Running) -> None:
    collector.post("/api/hijacks", {"target": "a:f", "stages": {"*": ["observe"]}, "owner": "ann"}, 201)
    [row] = collector.get("/api/audit")["audit"]
    assert (row["action"], row["actor"], row["after"]["target"]) == ("add", "ann", "a:f")


def test_a_store_that_cannot_be_read_is_503_and_health_stays(collector: Running) -> None:
    collector.parts.store.close()
    reply = collector.client.get("/api/metrics")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert collector.get("/health")["status"] == "ok"

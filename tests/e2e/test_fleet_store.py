"""Two collectors on one ClickHouse, each with an application of its own: either shows both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import BOOTSTRAP, Lab, request, until
from mystic_collector.engine import Engine

from tests.collector.clickhouse import database, engines


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Engine]:
    with engines(tmp_path / "engine") as engine, database(engine) as found:
        yield found


@contextlib.contextmanager
def both(folder: Path, place: Engine) -> Iterator[tuple[Lab, Lab]]:
    """Run two collectors whose projects, data and keys have nothing in common but the engine."""
    (folder / "password").write_text(place.password)
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("east", "west"):
            (folder / name).mkdir()
            one = Lab(folder / name, stack)
            password = {"MYSTIC_STORE_PASSWORD_FILE": str(folder / "password")} if place.password else {}
            one.start_collector(MYSTIC_STORE=str(place), MYSTIC_SERVERS="off", **password)
            found.append(one)
        yield found[0], found[1]


def counted(lab: Lab) -> dict[str, int]:
    """Return service → calls of the function."""
    found = lab.api("GET", "/api/metrics?limit=500")[1]["functions"]
    return {one["service"]: one["call_count"] for one in found if one["name"] == "shop:price"}


def traced(lab: Lab) -> set[str]:
    """Return the services of which a trace of the function is shown, with its spans."""
    found = lab.api("GET", "/api/traces?function=shop:price&limit=100")[1]["traces"]
    whole = [lab.api("GET", f"/api/traces/{one['trace_id']}")[1] for one in found]
    return {span["service"] for one in whole for span in one["spans"] if span["function"] == "shop:price"}


def test_two_collectors_on_one_engine_each_show_functions_and_traces_of_both(tmp_path: Path, place: Engine) -> None:
    with both(tmp_path, place) as (east, west):
        calls = {"east": 7, "west": 11}
        for lab, (service, wanted) in zip((east, west), calls.items(), strict=True):
            port = lab.serve(PYTHONPATH=str(BOOTSTRAP), MYSTIC_SERVICE=service)
            until(lambda lab=lab: lab.processes() == 2, "the agents")
            for _ in range(wanted):
                assert request(port, "GET", "/?item=pen")[0] == 200
        for lab in (east, west):
            until(lambda lab=lab: counted(lab) == calls, "the calls of both")
            until(lambda lab=lab: traced(lab) == set(calls), "traces of both")
            [store] = [one for one in lab.api("GET", "/api/doctor")[1]["findings"] if one["about"] == "store"]
            assert store["verdict"] == "ok"
            assert str(place) in store["detail"]

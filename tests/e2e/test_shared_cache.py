"""Two workers of a service share what one of them has computed, with a key that the collector does not have."""

from __future__ import annotations

import json

from lab import BOOTSTRAP, Lab, request, until

SECRET = "a key that only the agents have"


def decisions(lab: Lab) -> dict[str, int]:
    told = lab.api("GET", "/api/metrics/shop:price")[1]["decisions"]
    return {f"{one['decision']} {one.get('reason') or ''}".strip(): one["count"] for one in told}


def test_what_one_worker_has_computed_another_serves(lab: Lab) -> None:
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP), MYSTIC_CACHE_KEY=SECRET)
    until(lambda: lab.processes() == 2, "both workers")
    made = lab.mystic("hijack", "shop:price", "--cache", "ttl=1h", "scope=shared", "--format", "json")
    assert made.returncode == 0, made.stderr
    until(lambda: "attached in 2 of" in lab.mystic("status").stdout, "the cache in both workers")
    items = 0

    def both_have_answered() -> bool:
        """Ask for a new thing until both workers have said what it costs."""
        nonlocal items
        items += 1
        pids: set[int] = set()
        until(lambda: pids.add(request(port, "GET", f"/?item=thing{items}")[1]["pid"]) or len(pids) == 2, "both")
        return decisions(lab).get("shared hit", 0) >= 3

    until(both_have_answered, "results of the other worker")
    until(lambda: sum(decisions(lab).values()) == lab.count("shop:price"), "all calls")
    told = decisions(lab)
    assert set(told) <= {"miss", "hit", "shared hit"}
    assert told["miss"] < 2 * items
    files = [path for path in lab.folder.rglob("*") if path.is_file() and path.name != "log.txt"]
    assert any("cache" in path.parts for path in files)
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    assert SECRET not in json.dumps(lab.api("GET", "/api/status")[1])


def test_without_the_key_the_reason_is_told_and_the_function_runs_as_before(lab: Lab) -> None:
    port = lab.serve(PYTHONPATH=str(BOOTSTRAP))
    until(lambda: lab.processes() == 2, "both workers")
    refused = lab.mystic("hijack", "shop:price", "--cache", "ttl=1h", "scope=shared")
    assert "MYSTIC_CACHE_KEY" in refused.stdout + refused.stderr
    runs = [(a["pid"], a["run"]) for a in (request(port, "GET", "/?item=again")[1] for _ in range(8))]
    assert len(set(runs)) == len(runs)

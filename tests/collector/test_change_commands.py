"""The commands around a change, run as people run them."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract.hijack import Hijack
from mystic_collector.commands.connection import Connection
from mystic_collector.commands.ending import Failed
from mystic_collector.commands.hijack import _replace
from mystic_collector.hijacks.policy import DAY
from mystic_collector.hijacks.registry import Registry

from .conftest import Running
from .test_commands import mystic

Ask = Callable[..., subprocess.CompletedProcess[str]]
CACHE = {"target": "shop:price", "stages": {"*": [{"cache": {"ttl": "30m"}}]}, "owner": "ann", "reason": "slow"}


@pytest.fixture
def ask(collector: Running, tmp_path: Path) -> Ask:
    port = str(collector.server.address[1])
    return lambda *words, **environ: mystic(*words, cwd=tmp_path, **{"MYSTIC_PORT": port, "USER": "ben", **environ})


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_history_diff_undo_and_audit_tell_one_story(collector: Running, ask: Ask) -> None:
    assert said(ask("history")) == "nothing was changed yet\n"
    assert said(ask("audit")) == "nothing is written down\n"
    one = collector.post("/api/hijacks", CACHE, 201)["id"]
    assert f"{one} on shop:price" in said(ask("history"))
    assert "+ stages.*[0].cache.ttl: 1800.0" in said(ask("diff"))
    assert "no difference" in said(ask("diff", "1", "1"))
    assert said(ask("release", "shop:price"))
    assert "would go back to version 1" in said(ask("undo", "--dry-run"))
    assert collector.get("/api/hijacks")["count"] == 0
    assert "back to version 1, as version 3; 'mystic undo' undoes this" in said(ask("undo"))
    assert "back to version 2, as version 4" in said(ask("undo", "--to", "2"))
    told = json.loads(said(ask("audit", "--format", "json")))
    assert [row["action"] for row in told["audit"]] == ["undo", "undo", "remove", "add"]
    assert {row["actor"] for row in told["audit"][:3]} != {"api"}  # who typed it
    assert said(ask("audit", "--limit", "1")).endswith(f"--before {told['audit'][0]['id']}\n")
    assert len(json.loads(said(ask("history", "--format", "json", "--limit", "2")))["history"]) == 2


def test_what_is_refused_is_named_and_in_the_audit(ask: Ask) -> None:
    denied = ask("hijack", "hmac:compare_digest", "--mock", "value=true")
    assert denied.returncode == 2
    assert "guards secrets" in denied.stderr
    assert "hmac:compare_digest: mock is refused: hmac guards secrets" in said(ask("audit", "--refused"))


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("undo",), "there is no change to undo"),
        (("undo", "--to", "soon"), "give a whole number from 0"),
        (("undo", "--to", "99"), "give a version from 0 to 0"),
        (("diff", "x"), "give a whole number from 0"),
        (("history", "--limit", "0"), "give a whole number from 1 to 1000"),
        (("audit", "--before", "-1"), "give a whole number from 1"),
        (("renew", "nothing"), "there are none"),
        (("export", "nothing"), "there are none"),
        (("stale", "--unused", "soon"), "give a positive duration"),
        (("on", "--service", "\x1b[2J"), "give printable text"),
    ],
)
def test_bad_usage_of_them_ends_with_2_and_the_remedy(ask: Ask, words: tuple[str, ...], remedy: str) -> None:
    done = ask(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert remedy in done.stderr


def test_a_lease_that_ends_soon_is_said_with_what_to_type(start: Callable[..., Any], tmp_path: Path) -> None:
    long_ago = time.time() - 30 * DAY
    with contextlib.closing(Registry(tmp_path / "data" / "hijacks.db", lambda: long_ago)) as registry:
        one = registry.put({**CACHE, "expires_at": 4e9})
    with start() as collector:
        check_the_lease(one, lambda *words: mystic(*words, MYSTIC_PORT=str(collector.server.address[1])))


def check_the_lease(one: Hijack, ask: Ask) -> None:
    assert "its lease" not in said(ask("status"))
    said(ask("renew", one.id, "--expires", "40m"))
    expected = f"{one.id} on shop:price: its lease ends in 39 minutes; 'mystic renew {one.id}'"
    assert expected in said(ask("status"))
    assert expected in said(ask("stale")).splitlines()
    assert said(ask("renew", "shop:price", "--expires", "never")) == f"{one.id} on shop:price never ends\n"
    assert said(ask("renew", "price")) == f"{one.id} on shop:price ends in 168.0 h\n"


def test_off_is_the_first_thing_that_status_says(ask: Ask) -> None:
    assert said(ask("off", "--service", "shop", "--reason", "a drill")).startswith("shop is off")
    assert said(ask("off", "--service", "shop")).startswith("shop is already off")
    first = said(ask("status")).splitlines()[0]
    assert first.startswith("OFF: shop, by ")
    assert first.endswith(": a drill; end it with 'mystic on --service shop'")
    assert said(ask("on")) == "everything is on\n"
    assert said(ask("on")) == "everything is already on\n"
    assert "OFF" not in said(ask("status"))


def test_a_patch_is_printed_or_written_and_what_is_left_out_is_said(
    collector: Running, ask: Ask, tmp_path: Path
) -> None:
    (collector.parts.settings.project_root / "shop.py").write_text("def price():\n    return 1\n")
    assert ask("export").stderr == "mystic: there is nothing to export; 'mystic status' lists the hijacks\n"
    collector.post("/api/hijacks", CACHE, 201)
    collector.post("/api/hijacks", {"target": "shop:other", "stages": {"*": [{"mock": {"value": 1}}]}}, 201)
    printed = ask("export")
    assert (printed.returncode, "+@mystic_exported.cached(1800.0)" in printed.stdout) == (0, True)
    assert "shop:other is not exported" in printed.stderr
    written = said(ask("export", "shop:price", "--output", "price.patch"))
    assert written.startswith("wrote price.patch: shop:price; apply it with 'git apply price.patch'")
    assert (tmp_path / "price.patch").read_text() == json.loads(said(ask("export", "price", "--format", "json")))[
        "patch"
    ]
    staged = {"target": "shop:price", "stages": {"production": [{"cache": {}}], "*": ["observe"]}}
    collector.post("/api/hijacks", staged, 201)
    assert "means several hijacks" in ask("export", "shop:price").stderr


def test_a_dry_run_of_a_hijack_shows_each_process_and_changes_nothing(collector: Running, ask: Ask) -> None:
    collector.report("i1", [{"function": "shop:price", "state": "attached", "kind": "function", "file": "shop.py"}])
    text = said(ask("hijack", "price", "--cache", "ttl=1h", "--dry-run"))
    assert text.splitlines()[0].endswith("1 function in 1 of 1 processes; nothing was changed")
    assert "    shop:price: function, would attach" in text
    one = collector.post("/api/hijacks", CACHE, 201)["id"]
    assert "would attach" in said(ask("hijack", one, "--cache", "ttl=1h", "--replace", "--dry-run"))
    assert collector.get("/api/hijacks")["version"] == 1


def test_replacing_what_somebody_else_changed_meanwhile_is_refused(collector: Running) -> None:
    class Overtaken(Connection):
        """Somebody changes the hijack right after it was looked up."""

        def get(self, path: str, **query: Any) -> Any:
            found = super().get(path, **query)
            self.put(f"/api/hijacks/{found['hijacks'][0]['id']}", {**CACHE, "reason": "mine first"})
            return found

    one = collector.post("/api/hijacks", CACHE, 201)["id"]
    host, port = collector.server.address
    with Overtaken(argparse.Namespace(host=host, port=str(port))) as connection:
        with pytest.raises(Failed, match="has changed"):
            _replace(connection, {**CACHE, "target": one, "reason": "mine second"})
    assert collector.get(f"/api/hijacks/{one}")["reason"] == "mine first"
    with Connection(argparse.Namespace(host=host, port=str(port))) as connection:
        assert _replace(connection, {**CACHE, "target": one, "reason": "later"})["reason"] == "later"

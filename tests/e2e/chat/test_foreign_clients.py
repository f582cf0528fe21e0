"""Clients that are not ours speak with the chat: the official Inspector, the conformance suite, the TypeScript SDK."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lab import BIN, clean_environment

from tests.collector.chat.conftest import report
from tests.collector.conftest import Running, running
from tests.e2e.chat.npm import command, package, run

FOREIGN = Path(__file__).parent / "foreign"
SDK = "@modelcontextprotocol/sdk@1.32.2"


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    with running(tmp_path) as found:
        report(found, tmp_path)
        yield found


# -- the Inspector --------------------------------------------------------------------------------------------------

HTTP, STDIO = "HTTP", "stdio"
ERAS = {"legacy": (), "modern": ("--protocol-era", "modern")}


def inspect(way: str, era: str, collector: Running, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    if way == HTTP:
        target: tuple[object, ...] = (f"{collector.url}/mcp", "--transport", "http")
    else:
        target = (BIN / "mystic", "mcp", "-e", f"MYSTIC_PORT={collector.url.rpartition(':')[2]}")
    return run(*command("MYSTIC_TEST_INSPECTOR"), "--cli", *target, *ERAS[era], *words, cwd=folder)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("way", [HTTP, STDIO])
def test_the_inspector_lists_every_tool_without_complaint_and_calls_one(
    shop: Running, tmp_path: Path, way: str, era: str
) -> None:
    listed = inspect(way, era, shop, tmp_path, "--method", "tools/list", "--strict")
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)["tools"]) <= 20
    assert "0 errors" in listed.stderr or "error" not in listed.stderr, listed.stderr
    words = ("--method", "tools/call", "--tool-name", "inspect_function", "--tool-arg", "function=price")
    called = inspect(way, era, shop, tmp_path, *words)
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout)["structuredContent"]["function"] == "shop:price"


def test_the_inspector_reads_resources_and_prompts_and_finds_the_app(shop: Running, tmp_path: Path) -> None:
    read = inspect(HTTP, "modern", shop, tmp_path, "--method", "resources/read", "--uri", "mystic://source/price")
    assert "return quantity * 3" in json.loads(read.stdout)["contents"][0]["text"]
    prompts = inspect(HTTP, "modern", shop, tmp_path, "--method", "prompts/list")
    assert "find_what_to_optimise" in prompts.stdout
    words = ("--method", "tools/call", "--tool-name", "create_performance_dashboard", "--app-info")
    app = json.loads(inspect(HTTP, "legacy", shop, tmp_path, *words).stdout)
    assert (app["hasApp"], app["resourceUri"]) == (True, "ui://mystic/dashboard")


@pytest.mark.parametrize("client", ["claude-desktop", "cursor"])
def test_the_inspector_starts_the_chat_from_what_was_written_for_other_clients(tmp_path: Path, client: str) -> None:
    inspector = command("MYSTIC_TEST_INSPECTOR")
    (tmp_path / "key").write_text("open-sesame\n")
    with running(tmp_path, api_key="open-sesame") as collector:
        collector.client.headers["authorization"] = "Bearer open-sesame"
        report(collector, tmp_path)
        words = ("--client", client, "--file", "client.json", "--key-file", "key")
        port = collector.url.rpartition(":")[2]
        written = run(BIN / "mystic", "mcp", "install", *words, "--port", port, cwd=tmp_path, env=clean_environment())
        assert written.returncode == 0, written.stderr
        target = ("--catalog", tmp_path / "client.json", "--server", "gnosis-mystic")
        words = ("--method", "tools/call", "--tool-name", "inspect_function", "--tool-arg", "function=price")
        called = run(*inspector, "--cli", *target, *words, cwd=tmp_path)
        assert called.returncode == 0, called.stderr
        assert json.loads(called.stdout)["structuredContent"]["function"] == "shop:price"


# -- the conformance suite ------------------------------------------------------------------------------------------


def test_the_conformance_suite_finds_only_the_failures_that_have_a_reason(shop: Running, tmp_path: Path) -> None:
    words = ("server", "--url", f"{shop.url}/mcp", "--suite", "all", "--output-dir", tmp_path / "results")
    done = run(
        *command("MYSTIC_TEST_CONFORMANCE"),
        *words,
        "--expected-failures",
        FOREIGN / "expected-failures.yml",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    passed = set(re.findall(r"✓ ([\w-]+):", done.stdout))
    applicable = {"server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "completion-complete"}
    assert passed >= applicable | {"server-sse-multiple-streams", "dns-rebinding-protection", "tools-call-error"}


def test_every_expected_failure_has_its_reason() -> None:
    lines = (FOREIGN / "expected-failures.yml").read_text().splitlines()
    listed = [line for line in lines if line.startswith("  - ")]
    assert listed
    assert all(re.fullmatch(r"  - [a-z0-9-]+ # .{20,}", line) for line in listed)


# -- the TypeScript SDK ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The folder that has the SDK, installed once on this machine."""
    return package(SDK)


@pytest.mark.parametrize("way", [HTTP, STDIO])
def test_the_typescript_client_converses_and_is_asked_before_production_changes(
    shop: Running, tmp_path: Path, sdk: Path, way: str
) -> None:
    report(shop, tmp_path, stage="production")
    (sdk / "conversation.mjs").write_text((FOREIGN / "conversation.mjs").read_text())
    where = (f"{shop.url}/mcp",) if way == HTTP else (BIN / "mystic", "mcp")
    env = clean_environment(MYSTIC_PORT=shop.url.rpartition(":")[2])
    done = run(*command("MYSTIC_TEST_NODE"), "node", sdk / "conversation.mjs", *where, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"hijack_function", "discover_functions"} <= set(told["tools"])
    assert "shop:price" in told["functions"]
    assert told["made"]["error"] is False, told["made"]["text"]
    assert told["made"]["owner"] == "typescript-tester"
    assert len(told["asked"]) == 1
    assert "production" in told["asked"][0]
    assert told["pictures"] == ["PNG"]
    assert (told["audit"], told["completed"], told["prompt"]) == ("application/json", ["shop:price"], 1)

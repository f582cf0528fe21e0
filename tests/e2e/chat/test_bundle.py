"""The .mcpb bundle: built, validated, packed and unpacked by the official tool, and started as its client would."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from lab import BIN, PATIENCE, clean_environment
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.collector.chat.conftest import report
from tests.collector.chat.talk import text_of
from tests.collector.conftest import running
from tests.e2e.chat.npm import CACHE, command, package, run

ROOT = Path(__file__).parents[3]
MCPB = "@anthropic-ai/mcpb@2.1.2"
KEY = "open-sesame"
T = TypeVar("T")


@pytest.fixture(scope="module")
def tool() -> list[str]:
    """The official tool's command."""
    return [*command("MYSTIC_TEST_NODE"), "node", str(package(MCPB) / "node_modules" / ".bin" / "mcpb")]


@pytest.fixture(scope="module")
def unpacked(tool: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a client has unpacked the bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    words = (ROOT / "deploy" / "bundle" / "bundle.py", "--to", folder, "--mcpb", shlex.join(tool))
    built = run(sys.executable, *words, cwd=folder)
    assert built.returncode == 0, built.stderr
    assert "validation passes" in built.stderr
    done = run(*tool, "unpack", built.stdout.strip(), folder / "unpacked", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "unpacked"


def started(unpacked: Path, filled_in: dict[str, Any]) -> dict[str, Any]:
    """Return what a client starts once a person has filled the form in."""
    folder = package(MCPB)
    (folder / "bundle_config.mjs").write_text((Path(__file__).parent / "foreign" / "bundle_config.mjs").read_text())
    words = ("node", folder / "bundle_config.mjs", unpacked, json.dumps(filled_in))
    done = run(*command("MYSTIC_TEST_NODE"), *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def speak(config: dict[str, Any], said: Callable[[Client], Awaitable[T]], cwd: Path) -> T:
    """Start the bundle with uv alone: nothing of this environment is seen by it."""

    async def conversation() -> T:
        kept = clean_environment(UV_CACHE_DIR=str(CACHE / "uv"))
        uv = str(BIN / config["command"])
        env = {**kept, **config["env"]}
        server = StdioServerParameters(command=uv, args=config["args"], env=env, cwd=str(cwd))
        async with Client(stdio_client(server)) as client:
            return await said(client)

    return asyncio.run(conversation())


def test_the_installed_bundle_offers_every_tool_and_speaks_for_the_service_with_the_key(
    unpacked: Path, tmp_path: Path
) -> None:
    async def said(client: Client) -> tuple[list[str], list[Any]]:
        offered = [one.name for one in (await client.list_tools()).tools]
        calls = [("discover_functions", {}), ("inspect_function", {"function": "price"})]
        calls += [("create_performance_dashboard", {}), ("list_mcp_servers", {}), ("find_external_calls", {})]
        made = [await client.call_tool(name, arguments) for name, arguments in calls]
        made.append(await client.call_tool("hijack_function", {"function": "price", "strategy": "log"}))
        return offered, made

    with running(tmp_path, api_key=KEY) as collector:
        collector.client.headers["authorization"] = f"Bearer {KEY}"
        report(collector, tmp_path)
        port = int(collector.url.rpartition(":")[2])
        offered, results = speak(started(unpacked, {"port": port, "api_key": KEY}), said, tmp_path)
        listed = json.loads((unpacked / "manifest.json").read_text())["tools"]
        assert offered == [one["name"] for one in listed]
        assert [text_of(one) for one in results if one.is_error] == []
        assert "shop:price" in text_of(results[0])
        assert "image" in [block.type for block in results[2].content]
        assert collector.get("/api/hijacks")["count"] == 1


def test_what_nobody_filled_in_is_left_out_and_read_only_hides_what_changes(unpacked: Path, tmp_path: Path) -> None:
    async def said(client: Client) -> tuple[list[str], str]:
        offered = [one.name for one in (await client.list_tools()).tools]
        return offered, text_of(await client.call_tool("mystic_status", {}))

    config = started(unpacked, {"port": 1, "read_only": True})
    config["env"]["MYSTIC_API_KEY"] = "${user_config.api_key}"  # as clients leave it that know no default
    offered, told = speak(config, said, tmp_path)
    assert "hijack_function" not in offered
    assert "discover_functions" in offered
    assert "no collector answers at http://127.0.0.1:1" in told


def test_the_bundle_holds_no_key_and_the_form_hides_it(unpacked: Path) -> None:
    manifest = json.loads((unpacked / "manifest.json").read_text())
    assert manifest["server"]["type"] == "uv"
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    assert manifest["server"]["mcp_config"]["env"]["MYSTIC_API_KEY"] == "${user_config.api_key}"
    assert not list((unpacked / "src").rglob("*.so"))


def test_without_the_official_tool_it_is_said_what_is_missing(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "deploy" / "bundle" / "bundle.py"), "--to", str(tmp_path), "--mcpb", "no-such"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=3 * PATIENCE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no 'no-such'; install Node.js" in done.stderr
    assert list(tmp_path.iterdir()) == []

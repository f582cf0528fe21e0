"""What a container of the image becomes, and how its health is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from mystic_agent.cli import program
from mystic_agent.contract.errors import Invalid
from mystic_collector.commands.container import OWN, chosen

from .conftest import Running

COMMANDS = frozenset({"serve", "mcp", "status"})


@pytest.mark.parametrize(
    ("words", "environ", "argv"),
    [
        ([], {}, ["mystic", "serve"]),
        ([], {"MYSTIC_HOST": "0.0.0.0"}, ["mystic", "serve"]),
        ([], {"MYSTIC_HOST": "::"}, ["mystic", "serve"]),
        ([], {"MYSTIC_HOST": " "}, ["mystic", "serve"]),
        ([], {"MYSTIC_HOST": "mystic"}, ["mystic", "mcp"]),
        ([], {"MYSTIC_HOST": "mystic", "MYSTIC_MODE": "server"}, ["mystic", "serve"]),
        ([], {"MYSTIC_MODE": "MCP"}, ["mystic", "mcp"]),
        ([], {"MYSTIC_MODE": "sidecar"}, ["mystic", "mcp-sidecar"]),
        (["status", "--format", "json"], {"MYSTIC_HOST": "mystic"}, ["mystic", "status", "--format", "json"]),
        (["--version"], {}, ["mystic", "--version"]),
        (["python", "-c", "1; 2"], {}, ["python", "-c", "1; 2"]),
        (["bash"], {"MYSTIC_MODE": "server"}, ["bash"]),
    ],
)
def test_a_container_is_the_server_the_chat_or_the_program_it_is_told_to_be(
    words: list[str], environ: dict[str, str], argv: list[str]
) -> None:
    assert chosen(words, environ, COMMANDS, ["mystic"]) == argv


def test_an_unknown_mode_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(Invalid, match=r"MYSTIC_MODE.*'serve'.*server, mcp, sidecar"):
        chosen([], {"MYSTIC_MODE": "serve"}, COMMANDS, ["mystic"])


def test_a_container_knows_the_commands_that_come_with_the_agent() -> None:
    assert sorted(OWN) == sorted(one.name for one in program.OWN)


def container(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MYSTIC_")}
    return subprocess.run(
        [sys.executable, "-m", "mystic_agent.cli", "container", "--", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **environ},
    )


def test_a_container_becomes_another_program_with_its_arguments_and_exit_code() -> None:
    done = container(sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "a b", "$HOME; ls")
    assert (done.returncode, done.stdout) == (7, "['a b', '$HOME; ls']\n")
    assert container("--version").stdout.startswith("mystic ")
    lost = container("no-such-program")
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "'no-such-program' cannot be run: No such file or directory; see 'mystic --help'" in lost.stderr


def test_the_health_of_a_container_is_that_of_its_server(collector: Running) -> None:
    port = str(collector.server.address[1])
    assert container("health", MYSTIC_HOST="0.0.0.0", MYSTIC_PORT=port).returncode == 0
    assert container("health", MYSTIC_HOST="elsewhere.example").returncode == 0, "the chat listens nowhere"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # taken and not listening: nothing answers
        free = str(taken.getsockname()[1])
        for environ in ({"MYSTIC_PORT": free}, {"MYSTIC_MODE": "sidecar", "MCP_SIDECAR_PORT": free}):
            done = container("health", **environ)
            assert (done.returncode, done.stdout) == (1, "")
            assert f"nothing answers at 127.0.0.1:{free}" in done.stderr
    assert container("health", MYSTIC_PORT="http").returncode == 2

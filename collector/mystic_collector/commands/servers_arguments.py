"""The arguments of ``mystic servers``, and the spec that those of ``start`` describe."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

_FIELDS = ("name", "server_type", "package", "image", "transport", "port", "path", "timeout", "network", "idle")


def configure(parser: argparse.ArgumentParser, add_address: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add one parser for each action."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, server: bool = True) -> argparse.ArgumentParser:
        found = actions.add_parser(name, help=text, description=text)
        # Said before the action, too, where the program puts it; what is said after it wins.
        found.add_argument("--format", choices=("text", "json"), default=argparse.SUPPRESS, help="output format")
        add_address(found)
        if server:
            found.add_argument("name", help="the server's name")
        return found

    _starting(action("start", "start a server, from a template when its name is one's and no type is given"))
    action("stop", "end a server and take it away")
    action("restart", "begin a server anew").add_argument("--no-wait", action="store_true", help="return at once")
    action("list", "all servers", server=False)
    action("status", "one server")
    logs = action("logs", "what a server has written")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what it writes from now on")
    logs.add_argument("--tail", type=int, default=100, help="newest lines to begin with (default: 100)")
    call = action("call", "call a tool of a server; without a tool, list them")
    call.add_argument("tool", nargs="?", help="the tool")
    call.add_argument("arguments", nargs="*", type=_argument, action=_Arguments, default={}, metavar="NAME=VALUE")
    action("templates", "servers that can be started by name", server=False).add_argument(
        "words", nargs="*", help="only those in which all words occur"
    )


def _starting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", dest="server_type", help="archon, npx, uv, python or docker")
    parser.add_argument("--template", help="begin from this template")
    parser.add_argument("--package", help="of npm or PyPI, with a version if wanted")
    parser.add_argument("--image", help="run it in this image")
    parser.add_argument("--command", nargs=1, help="the program to run, when it is not the package's or image's own")
    parser.add_argument("--transport", help="stdio, http or sse")
    parser.add_argument("--listens", dest="port", type=int, help="port that it listens on, for http and sse")
    parser.add_argument("--path", help="path that it answers at, for http and sse")
    parser.add_argument("--timeout", type=float, help="seconds until it must be ready")
    parser.add_argument("--network", help="none for a server that needs no other machine")
    parser.add_argument("--idle", type=float, help="seconds without a session after which it is stopped")
    parser.add_argument("--env", action="append", type=_pair, default=[], metavar="NAME=VALUE", help="a variable of it")
    parser.add_argument(
        "--secret",
        action="append",
        type=_secret,
        default=[],
        metavar="NAME=SECRET[/KEY]",
        help="a secret variable of it",
    )
    parser.add_argument("--cpu", help="at most, such as 500m")
    parser.add_argument("--memory", help="at most, such as 512Mi")
    parser.add_argument(
        "--node", action="append", type=_pair, default=[], metavar="LABEL=VALUE", help="Kubernetes: a label of its node"
    )
    parser.add_argument("--context", help="Kubernetes: the cluster to run it in, one of MCP_SIDECAR_CONTEXTS")
    parser.add_argument("--no-wait", action="store_true", help="return at once; 'status' tells how far it is")
    # Last: what follows it may look like options of ours.
    parser.add_argument(
        "--args", nargs=argparse.REMAINDER, default=[], help="all that follows goes to the server itself"
    )


def spec_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of ``POST /api/mcp/servers``."""
    fields = {name: getattr(args, name) for name in (*_FIELDS, "template", "args", "command")}
    fields |= {"env": dict(args.env), "secrets": args.secret}
    fields["limits"] = {name: getattr(args, name) for name in ("cpu", "memory") if getattr(args, name)}
    placement = {"context": args.context, "node_selector": dict(args.node)}
    fields["placement"] = {name: value for name, value in placement.items() if value}
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


class _Arguments(argparse.Action):
    """Collects ``zone=UTC`` and the like into one object."""

    def __call__(self, parser: object, args: argparse.Namespace, values: Any, option: str | None = None) -> None:
        setattr(args, self.dest, dict(values))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError("give NAME=VALUE")  # what was given may be a secret
    return name, value


def _argument(text: str) -> tuple[str, Any]:
    """Read ``a=1`` and ``a=[1]`` as JSON, and anything else as text."""
    name, value = _pair(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _secret(text: str) -> dict[str, str]:
    name, value = _pair(text)
    secret, _, key = value.partition("/")
    return {"env": name, "secret": secret, "key": key}

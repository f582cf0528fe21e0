"""A small MCP server on standard input and output, for tests: it does on request what real ones do by accident."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import Any

TOOLS = ("echo", "whoami", "say", "leave", "fill", "env")


class Left(Exception):
    """The process is to end with this code."""


class Probe:
    """One process.

    Args:
        env: its environment.
        say: writes a line to its log.
    """

    def __init__(self, env: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.identity = uuid.uuid4().hex
        self._env = env
        self._say = say
        self._calls = 0
        self._held: list[bytearray] = []

    def begin(self, args: list[str]) -> None:
        """Do what the command line says: ``--say TEXT``, ``--leave CODE``."""
        options = dict(zip(args[::2], args[1::2], strict=True))
        if "--say" in options:
            self._say(options["--say"])
        if "--leave" in options:
            raise Left(int(options["--leave"]))

    def answer(self, line: bytes) -> bytes | None:
        """Return the reply to one JSON-RPC message."""
        message = json.loads(line)
        if "id" not in message:
            return None
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            reply["result"] = self._result(message["method"], message.get("params") or {})
        except LookupError as error:
            reply["error"] = {"code": -32601, "message": f"no method {error}"}
        return json.dumps(reply).encode() + b"\n"

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            server = {"name": "probe", "version": "1"}
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
        if method == "ping":
            return {}
        if method == "tools/list":
            return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
        if method == "tools/call":
            text = self._call(params["name"], params.get("arguments") or {})
            return {"content": [{"type": "text", "text": text}]}
        raise LookupError(method)

    def _call(self, name: str, given: dict[str, Any]) -> str:
        self._calls += 1
        if name == "echo":
            return str(given["text"]) * int(given.get("times", 1))
        if name == "say":
            self._say(str(given["text"]))
        elif name == "leave":
            raise Left(int(given["code"]))
        elif name == "fill":
            self._held.append(bytearray(b"x") * (int(given["mib"]) * 2**20))
        elif name == "env":
            return self._env.get(str(given["name"]), "(unset)")
        return f"{self.identity} {self._calls}"


def main() -> None:
    probe = Probe(os.environ, lambda text: print(text, file=sys.stderr, flush=True))
    try:
        probe.begin(sys.argv[1:])
        for line in sys.stdin.buffer:
            if (reply := probe.answer(line)) is not None:
                sys.stdout.buffer.write(reply)
                sys.stdout.buffer.flush()
    except Left as left:
        sys.exit(left.args[0])


if __name__ == "__main__":
    main()

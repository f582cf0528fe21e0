"""One short conversation by MCP with a collector's chat: does it answer, and with which tools?"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from mystic_agent import __version__
from mystic_agent.cli.collector import headers
from mystic_agent.cli.failure import Failure
from mystic_agent.settings import Settings

_PATH = "/mcp"
_PROTOCOL = "2025-06-18"
"""A revision that every client and server of today speaks."""

_MOST_BYTES = 4 << 20
_PATIENCE = 15.0
"""Seconds; a collector's first MCP request loads the SDK."""


class Smoke:
    """A session over streamable HTTP; use it in a ``with`` block.

    Raises:
        Failure: when the chat does not answer as MCP has it.
    """

    def __init__(self, settings: Settings) -> None:
        self._connection = http.client.HTTPConnection(settings.host, settings.port, timeout=_PATIENCE)
        self._headers = {
            **headers(settings),
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
        }
        self._last = 0

    def __enter__(self) -> Smoke:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def greet(self) -> str:
        """Return the server's name and version after ``initialize``."""
        client = {"name": "mystic-doctor", "version": __version__}
        found = self._ask("initialize", {"protocolVersion": _PROTOCOL, "capabilities": {}, "clientInfo": client})
        self._headers["MCP-Protocol-Version"] = str(found.get("protocolVersion", _PROTOCOL))
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        server = found.get("serverInfo", {})
        return f"{server.get('name', '?')} {server.get('version', '')}".strip()

    def tools(self) -> list[str]:
        """Return the names of the tools."""
        return [str(one.get("name")) for one in self._ask("tools/list", {}).get("tools", [])]

    def _ask(self, method: str, params: Mapping[str, Any]) -> Any:
        self._last += 1
        text = self._send({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        for answer in _answers(text):
            if isinstance(answer, dict) and answer.get("id") == self._last:
                if "error" in answer:
                    raise Failure(f"the chat answered {method!r} with {str(answer['error'])[:200]}", "see its log")
                return answer.get("result", {})
        raise Failure(f"the chat gave no answer to {method!r}", "see the collector's log")

    def _send(self, message: Mapping[str, Any]) -> str:
        try:
            self._connection.request("POST", _PATH, json.dumps(message), self._headers)
            reply = self._connection.getresponse()
            text = reply.read(_MOST_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            what = f"the chat at {_PATH} does not answer ({error or type(error).__name__})"
            raise Failure(what, "look for a proxy between here and the collector, and into its log") from None
        if reply.status == 401:
            raise Failure("the chat refused the key (401)", "set MYSTIC_API_KEY_FILE or MYSTIC_API_KEY to its key")
        if reply.status not in (200, 202):
            raise Failure(f"the chat at {_PATH} answered {reply.status}", "see the collector's log")
        if session := reply.headers.get("Mcp-Session-Id"):
            self._headers["Mcp-Session-Id"] = session
        return text


def _answers(text: str) -> list[Any]:
    """Return the messages of a reply, which is JSON or a stream of events."""
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")] or [text]
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found

"""A running collector, asked over HTTP."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.wire import ACTOR_HEADER, API_KEY_HEADER

from mystic_collector.commands.ending import Failed
from mystic_collector.settings import read_key

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what "all addresses" means for a client
PATIENCE = 10.0


def add_address(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add ``--host`` and ``--port`` of the collector; ``argparse.SUPPRESS`` keeps what was said before an action."""
    parser.add_argument("--host", default=default, help="host of the collector (default: MYSTIC_HOST or 127.0.0.1)")
    parser.add_argument("--port", default=default, help="port of the collector (default: MYSTIC_PORT or 8899)")


def address_of(args: argparse.Namespace) -> str:
    """Return the collector's address: ``host`` and ``port`` where given; else the environment decides.

    Raises:
        Invalid: when the port cannot be used.
    """
    host = getattr(args, "host", None) or os.environ.get("MYSTIC_HOST", "").strip() or "127.0.0.1"
    port = getattr(args, "port", None) or os.environ.get("MYSTIC_PORT", "").strip() or "8899"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Invalid("MYSTIC_PORT", port, "give a whole number from 1 to 65535")
    host = ANYWHERE.get(host, host).strip("[]")
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def user() -> str:
    """Return who runs this command."""
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):
        return "cli"  # no name for this user id, as in many containers


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _if_match(seen: int | None) -> dict[str, str]:
    return {} if seen is None else {"If-Match": f'"{seen}"'}


class Connection:
    """Requests to one collector; use it in a ``with`` block.

    Args:
        args: ``host`` and ``port`` where given; else the environment decides.
        patience: seconds for one reply.

    Raises:
        Invalid: when port or key cannot be used.
    """

    def __init__(self, args: argparse.Namespace, patience: float = PATIENCE) -> None:
        self.address = address_of(args)
        key = read_key(os.environ)
        headers = {ACTOR_HEADER: quote(user()), **({API_KEY_HEADER: key} if key else {})}
        # Proxies of the environment are for the outside; the collector is near.
        self._client = httpx.Client(base_url=self.address, headers=headers, timeout=patience, trust_env=False)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return the reply to a GET; parameters that are None are left out."""
        return self._ask("GET", path, params=_given(query))

    def post(self, path: str, body: dict[str, Any], **query: Any) -> Any:
        """Return the reply to a POST; parameters that are None are left out."""
        return self._ask("POST", path, json=body, params=_given(query))

    def put(self, path: str, body: dict[str, Any], seen: int | None = None, **query: Any) -> Any:
        """Return the reply to a PUT, refused when there is something newer than version ``seen``; as for ``get``."""
        return self._ask("PUT", path, json=body, params=_given(query), headers=_if_match(seen))

    def delete(self, path: str, seen: int | None = None) -> Any:
        """Return the reply to a DELETE, refused when there is something newer than version ``seen``."""
        return self._ask("DELETE", path, headers=_if_match(seen))

    def events(self, path: str, **query: Any) -> Iterator[tuple[str, Any]]:
        """Yield (event, data) of a stream of server-sent events, for as long as it lasts.

        Raises:
            Failed: when the collector cannot be reached or refuses.
        """
        try:
            with self._client.stream("GET", quote(path, safe="/:"), params=_given(query), timeout=None) as response:
                if not response.is_success:
                    response.read()
                    self._found(response)
                kind = ""
                for line in response.iter_lines():
                    if line.startswith("event: "):
                        kind = line[7:]
                    elif line.startswith("data: "):
                        yield kind, json.loads(line[6:])
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Failed:
        text = f"no collector answers at {self.address} ({type(error).__name__})"
        return Failed(text, "start one with 'mystic serve', or set MYSTIC_HOST and MYSTIC_PORT")

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        """Send one request.

        Raises:
            Failed: when the collector cannot be reached or refuses; code 2 when it refuses a value.
        """
        try:
            response = self._client.request(method, quote(path, safe="/:"), **more)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return self._found(response)

    def _found(self, response: httpx.Response) -> Any:
        """Return the JSON of a reply.

        Raises:
            Failed: with the collector's own words, when it refuses.
        """
        try:
            value = response.json()
        except ValueError as error:
            text = f"{self.address} answered {response.status_code} without JSON"
            raise Failed(text, "set MYSTIC_PORT to the port of a collector") from error
        if response.is_success:
            return value
        reason = value.get("error", {}) if isinstance(value, dict) else {}
        if response.status_code == 422 and "field" in reason:
            raise Failed(f"{reason['field']} is {reason['value']}", reason["remedy"], 2)
        if response.status_code == 401:
            raise Failed(f"the collector at {self.address} asks for a key", "set MYSTIC_API_KEY or MYSTIC_API_KEY_FILE")
        text = reason.get("message", f"{self.address} answered {response.status_code}")
        raise Failed(text, reason.get("remedy", ""))

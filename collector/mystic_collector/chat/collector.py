"""A collector, asked over its API; from outside over a socket, from inside without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from mcp.server.mcpserver.exceptions import ToolError
from mystic_agent.contract.wire import ACTOR_HEADER, API_KEY_HEADER
from starlette.types import ASGIApp

from mystic_collector.chat.captured import plain
from mystic_collector.tracing.step import context_headers

PATIENCE = 25.0
"""Seconds for one question; clients give a tool up after thirty."""

MOST_BYTES = 64 * 2**20
"""Of one answer."""

MOST_ADDRESS = 8_000
"""Characters of a question's address, arguments included: what a collector reads of the head of a request."""


class Refused(ToolError):
    """The collector refused or could not be asked; the message tells what to do.

    Attributes:
        status: of the reply, 0 when there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class Collector:
    """Questions to one collector.

    Args:
        address: how people call it, ``http://127.0.0.1:8899``.
        key: the API key, or empty.
        inside: the collector's own application, which is then called without a socket.
    """

    def __init__(self, address: str, key: str = "", inside: ASGIApp | None = None) -> None:
        self.address = address
        self._key = key
        self._inside = inside
        self._open: httpx.AsyncClient | None = None

    @property
    def _client(self) -> httpx.AsyncClient:
        if self._open is None:
            inside = self._inside
            self._open = httpx.AsyncClient(
                # From inside it goes through the same gate, under the name that always passes.
                base_url=self.address if inside is None else "http://localhost",
                headers={API_KEY_HEADER: self._key} if self._key else {},
                timeout=PATIENCE,
                transport=None if inside is None else httpx.ASGITransport(inside, raise_app_exceptions=False),
                trust_env=False,  # proxies of the environment are for the outside
            )
        return self._open

    async def close(self) -> None:
        """Close connections; the next question opens one again."""
        client, self._open = self._open, None
        if client is not None:
            await client.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """Return the answer to a GET; parameters that are None or empty are left out."""
        return await self._ask("GET", path, params={k: v for k, v in query.items() if v not in (None, "")})

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        by: str = "",
        seen: int | None = None,
        patience: float = PATIENCE,
        **query: Any,
    ) -> Any:
        """Return the answer to a POST.

        Args:
            by: who asks, for the audit.
            seen: version of the hijacks that the question was made on; another one is refused.
            patience: seconds.
        """
        headers = {**_actor(by), **({"If-Match": f'"{seen}"'} if seen is not None else {})}
        return await self._ask(
            "POST", path, json=dict(body), params=query, headers=headers, timeout=httpx.Timeout(patience)
        )

    async def delete(self, path: str, by: str = "") -> Any:
        """Return the answer to a DELETE; ``by`` is who asks, for the audit."""
        return await self._ask("DELETE", path, headers=_actor(by))

    async def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        """Send one request.

        Raises:
            Refused: when there is no answer, or it is a refusal.
        """
        request = self._request(method, path, headers={**context_headers(), **(headers or {})}, **more)
        try:
            reply = await self._client.send(request)
        except httpx.TimeoutException as error:
            waited = (more["timeout"].read if "timeout" in more else None) or PATIENCE
            text = f"the collector at {self.address} did not answer in {waited:.0f} s; ask for less, or try again"
            raise Refused(text) from error
        except httpx.HTTPError as error:
            text = (
                f"no collector answers at {self.address} ({type(error).__name__}). Start one with 'mystic serve', or "
                "set MYSTIC_HOST and MYSTIC_PORT to where it runs; then call this tool again"
            )
            raise Refused(text) from error
        try:
            value = reply.json()
        except ValueError as error:
            text = f"{self.address} answered {reply.status_code} without JSON; set MYSTIC_PORT to a collector's port"
            raise Refused(text, reply.status_code) from error
        if reply.is_success:
            return value
        raise Refused(self._reason(reply.status_code, value), reply.status_code)

    def _request(self, method: str, path: str, **more: Any) -> httpx.Request:
        try:
            request = self._client.build_request(method, quote(path, safe="/:"), **more)
        except httpx.InvalidURL:
            request = None
        if request is None or len(str(request.url)) > MOST_ADDRESS:
            raise Refused(f"the arguments are too long: give less than {MOST_ADDRESS} characters in all")
        return request

    def _reason(self, status: int, value: Any) -> str:
        error = value.get("error", {}) if isinstance(value, dict) else {}
        if status == 401:
            return f"the collector at {self.address} asks for a key; set MYSTIC_API_KEY or MYSTIC_API_KEY_FILE"
        if "field" in error:
            return plain(f"{error['field']} is {error['value']}: {error['remedy']}")
        message = error.get("message") or f"the collector answered {status}"
        return plain(f"{message}; {error['remedy']}" if error.get("remedy") else message)


def _actor(by: str) -> dict[str, str]:
    return {ACTOR_HEADER: quote(by[:100])} if by else {}

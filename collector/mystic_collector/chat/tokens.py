"""Access tokens of an OAuth authorization server, checked here: the chat is a resource server."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl

from mystic_collector.settings import Settings

_log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a private key only: what checks them must not be able to make them."""

COOLDOWN = 10.0
"""Seconds between two questions for keys, so that nobody can make us ask by sending unknown ones."""

MOST_BYTES = 2**20
PATIENCE = 5.0
LEEWAY = 30.0
"""Seconds by which clocks may differ."""

_METADATA = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


class Tokens:
    """Checks tokens: JSON web tokens of one issuer for this resource, and the collector's own key.

    Args:
        settings: of the collector, with ``oauth_issuer`` and ``oauth_resource``.
        clock: monotonic seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._asked = -COOLDOWN
        self._keys: dict[str, Any] = {}
        self._asking = asyncio.Lock()

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a token allows, or None when it is not good."""
        settings = self._settings
        if settings.api_key and hmac.compare_digest(token.encode(), settings.api_key.encode()):
            return AccessToken(token=token, client_id="api-key", scopes=_scopes(settings.oauth_scope))
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            if key is None or header.get("alg") not in ALGORITHMS:
                return None
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[header["alg"]],
                audience=settings.oauth_resource,
                issuer=settings.oauth_issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            _log.info("an access token was refused: %s", type(error).__name__)
            return None
        told = claims.get("scope", claims.get("scp", ""))
        return AccessToken(
            token=token,
            client_id=str(claims.get("client_id") or claims.get("azp") or claims.get("sub") or "unknown"),
            scopes=[str(one) for one in told] if isinstance(told, list) else _scopes(str(told)),
            expires_at=int(claims["exp"]),
            subject=str(claims["sub"]) if "sub" in claims else None,
            claims={"iss": claims["iss"]},
        )

    async def _key(self, name: str) -> Any:
        """Return the key called ``name``, or the only one when a token names none."""
        async with self._asking:
            if self._named(name) is None and self._clock() - self._asked >= COOLDOWN:
                self._asked = self._clock()
                self._keys = await self._fetched() or self._keys
        return self._named(name)

    def _named(self, name: str) -> Any:
        return self._keys.get(name) if name or len(self._keys) != 1 else next(iter(self._keys.values()))

    async def _fetched(self) -> dict[str, Any]:
        """Return the issuer's keys by name; empty when they cannot be had."""
        try:
            async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client:
                where = self._settings.oauth_jwks or await self._where(client)
                found = jwt.PyJWKSet.from_dict(await _json(client, where))
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            _log.warning("the keys of %s cannot be had: %s", self._settings.oauth_issuer, type(error).__name__)
            return {}
        return {str(one.key_id or ""): one for one in found.keys if one.key_type != "oct"}

    async def _where(self, client: httpx.AsyncClient) -> str:
        """Return the address of the keys, as the issuer's metadata tells it."""
        issuer = self._settings.oauth_issuer
        for path in _METADATA:
            try:
                told = await _json(client, issuer.rstrip("/") + path)
            except (httpx.HTTPStatusError, ValueError):
                continue
            if told.get("issuer") == issuer and isinstance(told.get("jwks_uri"), str):
                return str(told["jwks_uri"])
        raise ValueError("no metadata")


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    async with client.stream("GET", url) as reply:
        reply.raise_for_status()
        body = b""
        async for chunk in reply.aiter_bytes():
            body += chunk
            if len(body) > MOST_BYTES:
                raise ValueError("too long")
    value = httpx.Response(200, content=body).json()
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _scopes(text: str) -> list[str]:
    return text.split()


def auth_settings(settings: Settings) -> AuthSettings:
    """Return what the SDK is told: whose tokens are asked for, and for what."""
    return AuthSettings(
        issuer_url=AnyHttpUrl(settings.oauth_issuer),
        resource_server_url=AnyHttpUrl(settings.oauth_resource),
        required_scopes=_scopes(settings.oauth_scope) or None,
        validate_token_resource=False,  # the audience was checked with the signature
    )

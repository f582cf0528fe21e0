"""The chat as an OAuth resource server: whose tokens it takes, over a real issuer's keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mystic_agent.contract.errors import Invalid
from mystic_collector.settings import load

from tests.collector.chat.conftest import report
from tests.collector.chat.talk import call, text_of
from tests.collector.chat.test_conversation import HELLO, TYPES
from tests.collector.conftest import Running, running

RESOURCE = "https://mystic.example/mcp"
METADATA = "https://mystic.example/.well-known/oauth-protected-resource/mcp"
KEY = "open-sesame"


class Issuer:
    """An authorization server: metadata and keys over HTTP, and tokens for whom it likes."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told = outer.answer(self.path)
                body = json.dumps(told).encode()
                self.send_response(200 if told else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/oauth-authorization-server":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/keys":
            self.asked += 1
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
            return {"keys": [{**key, "kid": "one", "alg": "RS256", "use": "sig"}]}
        return None

    def token(self, key: Any = None, algorithm: str = "RS256", kid: str = "one", **claims: Any) -> str:
        told = {
            "iss": self.url,
            "aud": RESOURCE,
            "exp": int(time.time()) + 300,
            "sub": "ada",
            "client_id": "desk",
            "scope": "mystic other",
            **claims,
        }
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(kept, key if key is not None else self.private, algorithm, {"kid": kid})


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@contextmanager
def guarded(folder: Path, issuer: Issuer) -> Iterator[Running]:
    more = {"oauth_issuer": issuer.url, "oauth_resource": RESOURCE, "oauth_scope": "mystic"}
    with running(folder, api_key=KEY, **more) as collector:
        collector.client.headers["X-Mystic-Key"] = KEY
        yield collector


def knock(collector: Running, token: str) -> httpx.Response:
    headers = {**TYPES, **({"Authorization": f"Bearer {token}"} if token else {})}
    return httpx.post(f"{collector.url}/mcp", json=HELLO, headers=headers, trust_env=False)


def test_a_token_of_the_issuer_opens_the_chat_and_its_subject_owns_the_changes(tmp_path: Path, issuer: Issuer) -> None:
    with guarded(tmp_path, issuer) as collector:
        report(collector, tmp_path)
        arguments = {"function": "price", "strategy": "log"}
        made = call(collector.url, "hijack_function", key=issuer.token(), **arguments)
        assert not made.is_error, text_of(made)
        assert collector.get("/api/hijacks")["hijacks"][0]["owner"] == "ada via tester"
        assert not call(collector.url, "mystic_status", key=KEY).is_error, "the collector's own key still opens it"
        assert httpx.get(f"{collector.url}/api/status", trust_env=False).status_code == 401
        bearer = {"Authorization": f"Bearer {issuer.token()}"}
        assert httpx.get(f"{collector.url}/api/status", headers=bearer, trust_env=False).status_code == 401


BAD: dict[str, Callable[[Issuer], str]] = {
    "none": lambda issuer: "",
    "noise": lambda issuer: "a.b.c",
    "of another resource": lambda issuer: issuer.token(aud="https://other.example/mcp"),
    "without a resource": lambda issuer: issuer.token(aud=None),
    "of another issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 120),
    "without an end": lambda issuer: issuer.token(exp=None),
    "of another key": lambda issuer: issuer.token(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "of an unknown key": lambda issuer: issuer.token(kid="two"),
    "unsigned": lambda issuer: jwt.encode({"iss": issuer.url, "aud": RESOURCE}, "", "none", {"kid": "one"}),
    "signed by a shared secret": lambda issuer: issuer.token("x" * 64, "HS256"),
}


def test_every_other_token_is_refused_with_where_to_get_one(tmp_path: Path, issuer: Issuer) -> None:
    with guarded(tmp_path, issuer) as collector:
        for name, token in BAD.items():
            refused = knock(collector, token(issuer))
            assert refused.status_code == 401, name
            assert (
                "https://mystic.example/.well-known/oauth-protected-resource/mcp" in refused.headers["WWW-Authenticate"]
            )
        assert knock(collector, issuer.token(scope="other")).status_code == 403
        assert knock(collector, issuer.token()).status_code == 200
        path = f"{collector.url}/.well-known/oauth-protected-resource/mcp"
        told = httpx.get(path, trust_env=False).json()
        assert told["resource"] == RESOURCE
        assert [one.rstrip("/") for one in told["authorization_servers"]] == [issuer.url]


def test_unknown_keys_do_not_make_the_collector_ask_the_issuer_again_and_again(tmp_path: Path, issuer: Issuer) -> None:
    with guarded(tmp_path, issuer) as collector:
        before = issuer.asked
        for number in range(20):
            assert knock(collector, issuer.token(kid=f"unknown-{number}")).status_code == 401
        assert issuer.asked - before <= 2


@pytest.mark.parametrize(
    "environment",
    [
        {"MYSTIC_OAUTH_ISSUER": "https://id.example"},
        {"MYSTIC_OAUTH_ISSUER": "https://id.example", "MYSTIC_OAUTH_RESOURCE": RESOURCE},
        {"MYSTIC_OAUTH_ISSUER": "id.example", "MYSTIC_OAUTH_RESOURCE": RESOURCE, "MYSTIC_API_KEY": KEY},
        {"MYSTIC_OAUTH_ISSUER": "https://id.example", "MYSTIC_OAUTH_RESOURCE": "https://x/", "MYSTIC_API_KEY": KEY},
    ],
)
def test_settings_that_would_leave_something_open_are_refused(environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        load(environment, tmp_path)

"""Secrets that must not leave, in all the shapes in which applications hold them: one corpus for every outlet."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote

WORD = "Zq7xT9wLr2VbN4mK"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJaUTdYVDl3THIifQ.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CARD = "4539148803436467"
CARD_SPACED = "4539 1488 0343 6467"
URL = f"postgres://bob:{WORD}@db.example/app?x=1"
TOKEN_URL = f"https://{WORD}@git.example/repo.git"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{WORD}{WORD}\n{WORD}\n-----END RSA PRIVATE KEY-----"
AWS = "AKIAIOSFODNN7EXAMPLE"

PIECE = 9
"""So many characters of a secret in a row are too many."""


def pieces(text: str) -> set[str]:
    """Return every run of PIECE characters of every secret that is to be looked for."""
    return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}


FORBIDDEN = (
    pieces(WORD)
    | pieces(CARD)
    | pieces(CARD_SPACED)
    | pieces(CARD_SPACED.replace(" ", "-"))
    | pieces(AWS)
    | pieces(JWT.split(".")[1])
    | pieces(JWT.split(".")[2])
)


def found(text: str) -> set[str]:
    """Return the pieces of secrets that ``text`` holds."""
    return {piece for piece in FORBIDDEN if piece in text}


@dataclasses.dataclass
class Login:
    user: str
    password: str
    nested: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    password: str


class Opaque:
    """Holds a secret where only its own code would show it."""

    def __init__(self) -> None:
        self.note = WORD

    def __repr__(self) -> str:
        return f"Opaque({self.note})"


TEXTS = {
    "bearer": f"Authorization: Bearer {WORD}",
    "bearer alone": f"sent bearer {WORD}{WORD}",
    "bearer in a query": f"/login?next=bearer%20{WORD}",
    "basic": f"authorization: Basic {WORD}==",
    "other scheme": f"Authorization: Token {WORD}\r\nAccept: */*",
    "cookie": f"Cookie: theme=dark; sid={WORD}; lang=en",
    "set-cookie": f'Set-Cookie: sid="{WORD}"; Path=/; HttpOnly, other={WORD}',
    "jwt": f"token is {JWT} ok",
    "jwt in a path": f"/verify/{JWT}/now",
    "card": f"paid with {CARD_SPACED} today",
    "card at the end": f"paid with {CARD}.",
    "card with dashes": f"<{CARD_SPACED.replace(' ', '-')}>",
    "url": f"cannot reach {URL}",
    "url with a token": f"clone of {TOKEN_URL} failed",
    "url with an at sign": f"amqp://bob:p@{WORD}@host/",
    "assignment": f"password={WORD}",
    "assignment in words": f'connect(user="bob", password = "a {WORD} b", port=1)',
    "assignment with a quote": f'passwd="a\\"{WORD}" x',
    "assignment with separators": f"pwd: a,{WORD};x",
    "query": f"https://x.example/cb?access_token={WORD}&state=1",
    "query quoted": "next=" + quote(f"/cb?api_key={WORD}"),
    "json": json.dumps({"user": "bob", "client_secret": WORD}),
    "json in json": json.dumps({"body": json.dumps({"apiKey": WORD, "n": 1})}),
    "pairs": repr([("accept", "*/*"), ("x-api-key", WORD)]),
    "repr": repr(Login("bob", WORD)),
    "environment": f"DATABASE_PASSWORD={WORD}\nPATH=/bin",
    "pem": PEM,
    "aws": f"key {AWS} used",
    "stripe": f"sk_live_{WORD}{WORD}",
    "github": f"ghp_{WORD}{WORD}{WORD}",
    "slack": f"xoxb-{WORD}",
}
VALUES: dict[str, Any] = {
    "by name": {"user": "bob", "password": WORD},
    "by header name": {"headers": {"Cookie": WORD, "X-Api-Key": WORD, "authorization": WORD}},
    "by camel case": [{"deep": [{"apiKey": WORD, "accessToken": [WORD], "cardNumber": CARD}]}],
    "in pairs": [("accept", "*/*"), ("authorization", WORD), ["Set-Cookie", WORD]],
    "dataclass": Login("bob", WORD, {"client_secret": WORD, "deeper": Login("eve", WORD)}),
    "slotted dataclass": Slotted(WORD),
    "as a key": {JWT: 1, URL: 2, f"password={WORD}": 3},
    "number": [int(CARD), {"n": int(CARD)}],
    "bytes": [WORD.encode(), {"body": bytearray(WORD.encode())}],
    "opaque": Opaque(),
    "in a set": {f"password={WORD}"},
    "exception": ValueError("password", WORD),
}
CASES: dict[str, Any] = {**{f"text {name}": text for name, text in TEXTS.items()}, **VALUES}

"""Secrets do not leave: by name, by look, nested, in exceptions, across truncation; and nothing foreign runs."""

from __future__ import annotations

import dataclasses
import logging
import time

import pytest
from canaries import TEXTS
from module_under_test import application, hijack
from mystic_agent.redact import HIDDEN, clean, describe, secret_name, show

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
CANARIES = {
    "password": "correct-horse-battery",
    "jwt": JWT,
    "card": "4111 1111 1111 1111",
    "url": "s3cr3t-in-url",
    "bearer": "abcdef0123456789",
    "aws": "AKIAIOSFODNN7EXAMPLE",
}


@dataclasses.dataclass
class Login:
    user: str
    password: str
    nested: dict


CASES = [
    {"user": "bob", "password": CANARIES["password"]},
    [{"deep": [{"apiKey": CANARIES["password"]}]}],
    f"Authorization: Bearer {CANARIES['bearer']}",
    f"postgres://bob:{CANARIES['url']}@db/app?x=1",
    f"paid with {CANARIES['card']} today",
    f"token is {JWT}",
    {"headers": {"Cookie": CANARIES["password"], "X-Api-Key": CANARIES["password"]}},
    Login("bob", CANARIES["password"], {"client_secret": CANARIES["password"]}),
    f"key={CANARIES['aws']}",
    f'{{"password": "{CANARIES["password"]}"}}',
    ("password=" + CANARIES["password"], f"?access_token={CANARIES['password']}&a=1"),
]


@pytest.mark.parametrize("value", CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("length", [40, 200, 5000])
def test_no_canary_survives_nesting_or_truncation(value, length):
    for padding in ("", "x" * 30, "y " * 400):
        shown = show([padding, value], length=length)
        for canary in CANARIES.values():
            assert canary not in shown
            assert canary[:12] not in shown.replace("…", "")
        assert len(shown) <= length


def test_a_canary_cut_by_the_scanning_limit_is_not_shown():
    for shift in range(0, 60, 7):
        text = "z" * (20_000 - shift) + " password=" + CANARIES["password"] + " " + JWT
        shown = clean(text)
        assert CANARIES["password"] not in shown
        assert JWT not in shown


def test_exceptions_are_described_without_their_secrets():
    error = ValueError(f"cannot reach https://bob:{CANARIES['url']}@host", 7)
    assert describe(error) == ("ValueError", "cannot reach https://[redacted]@host, 7")


def test_a_short_text_is_judged_as_the_same_text_at_the_end_of_a_long_one():
    pieces = {text[at : at + length] for text in TEXTS.values() for length in range(1, 14) for at in range(len(text))}
    assert any(HIDDEN in clean(piece) for piece in pieces if len(piece) < 12)
    for piece in pieces:
        assert (HIDDEN in clean(piece)) == (HIDDEN in clean("; " * 10 + piece)), piece


@pytest.mark.parametrize(
    "name",
    "password passwd passphrase pwd secret token api_key access-key privatekey credential authentication signature "
    "session_id csrf xsrf card_number cvv cvc ssn jwt cookie authorization".split(),
)
def test_a_name_is_known_whatever_its_case_and_whatever_unicode_takes_for_its_letters(name):
    folded = name.replace("s", "\u017f").replace("k", "\u212a")
    for one in (name, name.upper(), name.title(), folded):
        for joint in ("=", ": ", "%3D", '": "'):
            assert "hunter2" not in clean(f"and {one}{joint}hunter2 of ours"), (one, joint)


@pytest.mark.parametrize("scheme", ["bearer", "basic", "digest", "negotiate"])
def test_a_scheme_is_known_whatever_its_case_and_whatever_unicode_takes_for_its_letters(scheme):
    for one in (scheme, scheme.upper(), scheme.title(), scheme.replace("s", "\u017f")):
        assert "hunter2" not in clean(f"with {one} hunter2hunter2"), one


def test_ordinary_words_and_numbers_stay_readable():
    text = "order 1234567890123 of author Bob: 3 items, tokens in flight"
    assert clean("order 12345 of Bob") == "order 12345 of Bob"
    assert show({"author": "Bob", "total": 12.5}) == "{'author': 'Bob', 'total': 12.5}"
    assert "Bob" in clean(text)
    assert not secret_name("author")
    assert secret_name("userPassword")
    assert secret_name("X-API-Key")


def test_control_characters_do_not_come_through():
    assert "\x1b" not in clean("\x1b[31mred\x1b[0m")
    assert "\n" not in clean("line\nother")


def test_nothing_of_the_application_runs_while_a_value_is_shown():
    def explode(*_):
        raise AssertionError("application code ran")

    names = ("__repr__", "__str__", "__eq__", "__hash__", "__len__", "__iter__", "__getattribute__", "__getattr__")
    hostile = type("Hostile", (), dict.fromkeys(names, explode))()
    assert show(hostile).endswith("Hostile>")
    assert show([hostile, {"a": hostile}])
    error = type("Bad", (Exception,), dict.fromkeys(names[:2], explode))("text")
    assert describe(error)[1] == "text"


def test_cycles_and_giants_are_cut():
    cycle: dict = {}
    cycle["self"] = cycle
    assert show(cycle) == "{'self': …}"
    assert len(show("a" * 10**7)) <= 500
    assert len(show(list(range(10**6)))) <= 500
    assert show(bytes(10**6)) == "<bytes of 1000000 bytes>"
    assert len(show(10**5000)) <= 500


@pytest.mark.parametrize(
    "text", ["eyJ" + "a" * 10**6, "password=" * 10**5, "://" + ":" * 10**6, "1 " * 10**6, "-----BEGIN " * 10**5]
)
def test_no_text_makes_redaction_slow(text):
    began = time.thread_time()
    clean(text)
    assert time.thread_time() - began < 5, "a pattern backtracks: ordinary text of this size takes milliseconds"


SOURCE = """
    def login(user, password, *, card=None):
        return {"token": password, "user": user}
    async def fetch(url, headers):
        raise ConnectionError("no route to " + url)
"""


def test_logged_calls_appear_in_the_applications_logging_without_secrets(tmp_path, caplog):
    with application(tmp_path, SOURCE) as (module, attachments), caplog.at_level(logging.INFO, "mystic.calls"):
        attachments.apply([hijack(f"{module.__name__}:*", {"log": {"result": True}})])
        module.login("bob", CANARIES["password"], card=CANARIES["card"])
        coroutine = module.fetch(
            f"https://bob:{CANARIES['url']}@host", {"Authorization": "Bearer " + CANARIES["bearer"]}
        )
        with pytest.raises(ConnectionError):
            coroutine.send(None)
    login, fetch = (record.getMessage() for record in caplog.records)
    assert "login(user='bob', password=[redacted]" in login
    assert "raised ConnectionError: no route to https://[redacted]@host" in fetch
    for canary in CANARIES.values():
        assert canary not in caplog.text


def test_a_logging_handler_that_is_itself_hijacked_does_not_come_back(tmp_path):
    source = (
        SOURCE
        + """
    import logging
    seen = []
    class Handler(logging.Handler):
        def emit(self, record):
            seen.append(helper(record.getMessage()))
    def helper(text):
        return text
    """
    )
    with application(tmp_path, source) as (module, attachments):
        attachments.apply([hijack(f"{module.__name__}:*", "log")])
        logger, handler = logging.getLogger("mystic.calls"), module.Handler()
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            module.login("bob", "x")
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
    assert len(module.seen) == 1

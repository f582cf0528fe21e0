"""What guards secrets, what the interpreter works with, and the agent itself are never changed (only observed)."""

from __future__ import annotations

import hmac
import importlib
import secrets
import ssl
import subprocess
import threading

import pytest
from mystic_agent.attachments import Attachments
from mystic_agent.contract.deny import check_target, denied
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import parse_hijack, parse_stages
from mystic_agent.contract.strategy import OBSERVING, STRATEGIES
from mystic_agent.contract.target import parse_target
from mystic_agent.observe.trace import Tracer
from mystic_agent.scope import Scope

OPTIONS = {
    "custom": {"name": "any"},
    "record": {"name": "any"},
    "redirect": {"to": "app:f"},
    "replay": {"recording": "any"},
    "ab": {"to": "app:f"},
    "rollout": {"to": "app:f", "key": "a"},
    "shadow": {"to": "app:f"},
    "fault": {"latency": 1},
}
CHANGING = [{name: OPTIONS.get(name, {})} for name in STRATEGIES if name not in OBSERVING]
FUNCTIONS = [
    (hmac.new, "hmac:new"),
    (hmac.HMAC.hexdigest, "hmac:HMAC.hexdigest"),
    (secrets.token_hex, "secrets:token_hex"),
    (ssl.create_default_context, "ssl:create_default_context"),
    (threading.Thread.start, "threading:Thread.start"),
    (importlib.import_module, "importlib:import_module"),
    (subprocess.Popen.wait, "subprocess:Popen.wait"),
]


@pytest.fixture
def attachments(tmp_path):
    made = Attachments(Scope(str(tmp_path), (), ()), Tracer(0), "test", "app", set())
    yield made
    made.release_all()


def hijacks(target, strategy):
    return [parse_hijack({"id": "h", "target": target, "stages": {"*": [strategy]}})]


@pytest.mark.parametrize("strategy", CHANGING, ids=lambda one: next(iter(one)))
@pytest.mark.parametrize(("function", "target"), FUNCTIONS, ids=[target for _, target in FUNCTIONS])
def test_the_agent_refuses_to_change_them(attachments, function, target, strategy):
    code = function.__code__
    attachments.apply(hijacks(target, strategy))
    report = attachments.reports()[target]
    assert report.state == "failed"
    assert " is refused: " in report.reason
    assert function.__code__ is code


def test_a_glob_changes_what_it_may_and_names_what_it_may_not(attachments):
    attachments.apply(hijacks("subprocess:*", {"mock": {"value": "mocked"}}))
    states = {name: one.state for name, one in attachments.reports().items()}
    assert subprocess.getoutput("false") == "mocked"
    assert {name.partition(":")[2] for name, state in states.items() if state == "attached"} == {
        "call",
        "check_call",
        "check_output",
        "getoutput",
        "getstatusoutput",
        "run",
    }
    assert states["subprocess:Popen.wait"] == "failed"


def test_they_may_be_observed_and_logged(attachments):
    attachments.apply(hijacks("secrets:token_hex", {"log": {}}))
    assert attachments.reports()["secrets:token_hex"].state == "attached"
    assert len(secrets.token_hex(4)) == 8


def test_the_agent_never_changes_itself(attachments):
    attachments.apply(hijacks("mystic_agent.guard:Guard.run", {"mock": {}}))
    report = attachments.reports()["mystic_agent.guard:Guard.run"]
    assert (report.state, report.reason) == ("failed", "the agent does not hijack itself")


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("ssl:SSLContext.wrap_socket", True),
        ("hmac:compare_digest", True),
        ("importlib.metadata:version", True),
        ("mystic_agent.plan:compose", True),
        ("subprocess:Popen.*", False),  # decided function by function
        ("subprocess:Popen.wait", True),
        ("subprocess:run", False),
        ("s*:*", False),
        ("secretsanta:draw", False),
        ("app.ssl:connect", False),
    ],
)
def test_the_collector_can_refuse_them_by_the_same_list(target, refused):
    [strategies] = parse_stages([{"log": {}}, {"mock": {}}]).values()
    parsed = parse_target(target)
    check_target(parsed, strategies[:1])
    if refused:
        with pytest.raises(Invalid, match="mock is refused") as caught:
            check_target(parsed, strategies)
        assert caught.value.field == "target"
    else:
        check_target(parsed, strategies)


def test_what_is_not_on_the_list_is_not_denied():
    assert denied("app.payments", "charge") == denied("requests.api", "get") == denied("json", "loads") == ""

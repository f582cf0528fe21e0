"""``/api/analysis/external``: what functions do outside of their processes; and keeping them from it, in one step."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.errors import Invalid
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.external import external, meant
from mystic_collector.api.asker import actor
from mystic_collector.api.hijacks import added
from mystic_collector.discovery.config import ignore_patterns
from mystic_collector.discovery.inspection import find_file, inspect
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, read_object, reply

_FIELDS = (
    "function", "peer", "stage", "service", "value", "yields", "exception", "message", "recording", "owner", "reason",
    "expires_in",
)  # fmt: skip
_ANSWERS = ("value", "yields", "exception", "message")
_GENERATORS = ("generator", "async_generator")
_MOST_NAMED = 10


async def externals(request: Request) -> Response:
    """Functions that call out, the longest waiting first."""
    params = request.query_params
    since, parts = number(request, "since", 7 * 86400, 1, 10**8), parts_of(request)
    rows = await run_in_threadpool(_found, parts, params.get("service", ""), params.get("stage", ""), since)
    name = params.get("q", "")
    if name:
        wanted = meant(name, rows)
        rows = [one for one in rows if one["target"] in wanted]
    return reply({"functions": rows, "count": len(rows)})


def _found(parts: Parts, service: str, stage: str = "", since: int = 7 * 86400) -> list[dict[str, Any]]:
    kept = parts.store.externals(service, parts.clock() - since)
    totals = {(one.service, one.function): (one.calls + one.untimed, one.total_ns) for one in parts.store.functions()}
    return external(kept, totals, stage)


async def mock(request: Request) -> Response:
    """Make one hijack that answers in place of a function that calls out, in one stage."""
    body, parts, who = await read_object(request), parts_of(request), actor(request, "")
    for name in body:
        if name not in _FIELDS:
            raise Invalid("body", name, f"unknown field; known are {', '.join(_FIELDS)}")
    if "function" in body and "peer" in body:
        raise Invalid("peer", body["peer"], "give either function or peer")

    def put() -> dict[str, Any]:
        target = _target(parts, body)
        stage = body.get("stage", "development")
        if not isinstance(stage, str):
            raise Invalid("stage", stage, "name a stage such as development")
        fields: dict[str, Any] = {
            "target": target,
            "service": body.get("service", "*"),
            "stages": {stage: [_answer(parts, target, body)]},
            "reason": body.get("reason", "no external calls in this stage"),
            **{name: body[name] for name in ("owner", "expires_in") if name in body},
        }
        return added(parts, parts.registry.put(fields, "", who))

    return reply(await run_in_threadpool(put), 201)


def _target(parts: Parts, body: dict[str, Any]) -> str:
    """Return the one function that is meant.

    Raises:
        Invalid: when none of those that were seen calling out is, or several are.
    """
    field = "peer" if "peer" in body else "function"
    name = body.get(field, "")
    if not isinstance(name, str) or len(name) > 500:
        raise Invalid(field, name, "give it as text")
    found = meant(name, _found(parts, "" if body.get("service", "*") == "*" else str(body["service"])))
    if len(found) == 1:
        return found[0]
    if not found and ":" in name and field == "function":
        return name  # not seen calling out; the agents say whether they have it
    listed = ", ".join(found[:_MOST_NAMED])
    if found:
        raise Invalid(field, name, f"several functions call out; name one of {listed}")
    raise Invalid(field, name, "no function was seen calling out there; GET /api/analysis/external lists those that do")


def _answer(parts: Parts, target: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the strategy: a mock, or a replay of what the function really gave.

    Raises:
        Invalid: when nothing is given to answer with, naming what was recorded and what the function returns.
    """
    given = {name: body[name] for name in _ANSWERS if name in body}
    kind = next((one.kind for one in parts.fleet.functions(function=target) if one.kind), "")
    if kind in _GENERATORS and "value" in given and isinstance(given["value"], list):
        given["yields"] = given.pop("value")
    if "recording" in body:
        if given:
            raise Invalid("recording", body["recording"], f"give either recording or {next(iter(given))}")
        return {"replay": {"recording": body["recording"], "missing": "raise"}}
    if given:
        return {"mock": given}
    recorded = [str(one["name"]) for one in parts.recordings.listed() if target in one["functions"]]
    if recorded:
        raise Invalid("value", None, f"give value, or recording: {recorded[0]} holds what {target} really gave")
    what = "yields, the list of what it yields" if kind in _GENERATORS else "value, what it returns"
    raise Invalid("value", None, f"give {what}, or exception; {_returns(parts, target)}")


def _returns(parts: Parts, target: str) -> str:
    """Say what a function returns, as far as its source tells."""
    root = parts.settings.project_root
    try:
        file, line = find_file(target, root, ignore_patterns(root), parts.fleet.file_of(target))
        signature = str(inspect(target, file, line)["signature"])
    except (Invalid, OSError, ValueError):
        return f"{target} is outside of the project, so that its source was not looked at"
    _, arrow, returned = signature.rpartition("->")
    if not arrow:
        return f"{target} has no return annotation"
    return f"{target} returns {returned.strip()}"

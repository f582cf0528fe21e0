"""How Mystic itself is."""

from __future__ import annotations

from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Answer, answer
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.units import duration


class Process(BaseModel):
    """One observed process."""

    service: str
    stage: str
    pid: int
    connected: bool
    functions: dict[str, int] = Field(description="how many functions are in which state")
    overhead: float | None = Field(default=None, description="share of one core that observing costs")


class Status(Answer):
    """The collector and what it hears."""

    version: str
    address: str
    uptime: float = Field(description="seconds")
    read_only: bool = Field(description="this chat may not change anything")
    services: list[str]
    processes: list[Process] = Field(description="the first hundred")
    process_count: int
    hijacks: int
    off: list[str] = Field(default=[], description="services in which everything is switched off; * for all")
    dropped: dict[str, float] = Field(description="telemetry that was lost, by kind; empty is good")
    overhead: dict[str, Any]
    store: dict[str, Any]


async def mystic_status(ctx: Asked) -> Annotated[CallToolResult, Status]:
    """Show whether Mystic is healthy: observed services and processes, hijacks in force, overhead, lost telemetry.

    Use it first when something seems missing, or for "is everything all right?". Takes no arguments.
    """
    chat = chat_of(ctx)
    found = await chat.collector.get("/api/status")
    processes = [Process.model_validate(one) for one in found["processes"]]
    status = Status(
        version=found["version"],
        address=chat.collector.address,
        uptime=found["uptime"],
        read_only=chat.read_only or found.get("chat_read_only", False),
        services=found["services"],
        processes=processes[:100],
        process_count=len(processes),
        hijacks=found["hijacks"]["count"],
        off=sorted(found["off"]),
        dropped={kind: value for kind, value in found["dropped"].items() if value},
        overhead=found["overhead"],
        store=found["store"],
    )
    lines = [
        f"collector {status.version} at {status.address}, up {duration(status.uptime)}; {status.hijacks} hijacks"
        + (", read-only" if status.read_only else ""),
        *switched_off(status.off),
        *(_process(one) for one in status.processes),
        f"lost telemetry: {status.dropped or 'none'}",
        *([f"the store fails: {trouble}"] if (trouble := found["store"].get("trouble")) else []),
    ]
    if not processes:
        lines.insert(1, "No process is observed. Start one with 'mystic run -- COMMAND', or ask 'mystic doctor' why.")
    return answer(lines, status)


def switched_off(services: list[str]) -> list[str]:
    """Return the line without which nothing else can be understood, where something is switched off."""
    if not services:
        return []
    where = "everywhere" if "*" in services else f"in {', '.join(services)}"
    ends = 'undo_change {"everything": "on"}'
    return [f"EVERYTHING IS OFF {where}: functions run as they were written; {ends} or 'mystic on' ends it"]


def _process(one: Process) -> str:
    cost = "" if one.overhead is None else f", overhead {one.overhead:.2%} of a core"
    link = "connected" if one.connected else "not connected"
    functions = ", ".join(f"{count} {state}" for state, count in one.functions.items()) or "none"
    return f"- {one.service} (stage {one.stage or 'unknown'}, process {one.pid}), {link}; functions: {functions}{cost}"

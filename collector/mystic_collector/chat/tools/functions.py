"""What functions there are, and one of them in detail."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Answer, Paged, answer
from mystic_collector.chat.captured import line
from mystic_collector.chat.collector import Refused
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.page import ASKED, fitting, following, more, start
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.parameters import Cursor, FunctionName

_MOST_SOURCE = 12_000


class Running(BaseModel):
    """How far a function of one service is in reach."""

    service: str
    summary: str = Field(description='e.g. "attached in 4 of 4 processes"')
    strategies: list[str] = Field(default=[], description="what is in force on it now")


class Discovered(BaseModel):
    """One function."""

    function: str = Field(description="module:qualname; give it to other tools")
    kind: str = ""
    file: str = ""
    line: int = 0
    doc: str = Field(default="", description="first line of its docstring")
    running: list[Running] = Field(default=[], description="empty: only in the source, in no process that runs now")


class Discovery(Paged):
    """Functions of a project."""

    project_root: str
    running: int = Field(description="how many of all run now")
    functions: list[Discovered]
    unread: list[dict[str, str]] = Field(default=[], description="source files that could not be read, and why")


async def discover_functions(
    ctx: Asked,
    project: Annotated[
        str,
        Field(description="a project or service by name or part of it; empty for everything"),
    ] = "",
    query: Annotated[str, Field(description="only functions whose module:qualname contains this")] = "",
    cursor: Cursor = "",
) -> Annotated[CallToolResult, Discovery]:
    """List the functions of a project or service, running or only in its source.

    Use it for "Discover all functions in the OCR project", to find a function's full name, or to see what exists.
    Returns module:qualname, kind, where it is defined, its first line of documentation, and where it runs.
    Example: {"project": "OCR", "query": "process"}
    """
    collector, first = chat_of(ctx).collector, start(cursor)
    service = await _service_or_project(ctx, project)
    found = await collector.get("/api/discovered", q=query, service=service, limit=ASKED, offset=first)
    rows, lines = fitting((Discovered.model_validate(one) for one in found["functions"]), _discovered)
    upto = following(first, len(rows), found["total"])
    head = f"{found['total']} functions, {found['running']} of them running" + (f" in {service}" if service else "")
    unread = [f"{len(found['unread'])} source files could not be read."] if found["unread"] else []
    content = Discovery(
        project_root=found["project_root"],
        running=found["running"],
        functions=rows,
        unread=found["unread"][:20] if not first else [],
        total=found["total"],
        cursor=upto,
    )
    return answer([head + ":", *lines, *unread, *more(upto)], content)


async def _service_or_project(ctx: Asked, name: str) -> str:
    """Return the service that is meant; the project that this collector reads means every one."""
    collector = chat_of(ctx).collector
    try:
        return await service_meant(collector, name)
    except ToolError as error:
        if isinstance(error, Refused):
            raise
        root = str((await collector.get("/api/status"))["project_root"])
        words = [word for word in name.lower().split() if word not in ("the", "project", "service")]
        if words and all(word in root.rpartition("/")[2].lower() for word in words):
            return ""
        raise ToolError(f"{error}; or leave it out for the project in {root!r}") from error


def _discovered(one: Discovered) -> str:
    running = "; ".join(f"{part.service}: {part.summary}" for part in one.running) or "not running"
    doc = f" - {line(one.doc, 100)}" if one.doc else ""
    return f"- {one.function} ({one.kind}, {one.file}:{one.line}) [{running}]{doc}"


class Inspection(Answer):
    """One function in detail."""

    function: str
    kind: str
    file: str
    line: int
    signature: str
    docstring: str
    source: str = Field(description="as written; cut when long, the whole is the resource mystic://source/{function}")
    parameters: dict[str, Any] = Field(description="JSON schema of its arguments")
    dependencies: dict[str, list[str]]
    running: list[dict[str, Any]]
    call_count: int = 0
    exceptions: int = 0
    avg_time: float = Field(default=0.0, description="seconds")
    p95: float = Field(default=0.0, description="seconds")


async def inspect_function(ctx: Asked, function: FunctionName) -> Annotated[CallToolResult, Inspection]:
    """Show one function: signature, docstring, source code, argument schema, dependencies, where it runs, its figures.

    Use it before changing a function, or to explain what it does. For time series and decisions use
    get_function_metrics. Example: {"function": "process_ocr"}
    """
    collector = chat_of(ctx).collector
    name = await function_meant(collector, function)
    found = await collector.post("/api/functions/inspect", {"function": name})
    try:
        figures = await collector.get(f"/api/metrics/{name}")
    except Refused as error:
        if error.status != 404:
            raise
        figures = {}  # not called yet
    source = found["source"]
    content = Inspection.model_validate(
        {
            **found,
            "docstring": found["docstring"][:4_000],
            "source": source[:_MOST_SOURCE],
            "running": found["running"][:20],
            **{key: figures[key] for key in ("call_count", "exceptions", "avg_time", "p95") if key in figures},
        }
    )
    cut = (
        f"\n… {len(source) - _MOST_SOURCE} more characters: read mystic://source/{name}"
        if source[_MOST_SOURCE:]
        else ""
    )
    states = [f"{one['service']}: {one['states']}" for one in content.running] or ["no process runs it now"]
    lines = [
        f"{name} is a {content.kind} in {content.file}:{content.line}",
        content.signature,
        f"calls {content.call_count}, errors {content.exceptions}, "
        f"average {content.avg_time * 1e3:.3g} ms, p95 {content.p95 * 1e3:.3g} ms; {'; '.join(states)}",
        "source, as captured:",
        content.source + cut,
    ]
    return answer(lines, content)

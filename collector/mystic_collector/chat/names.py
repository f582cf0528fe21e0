"""Which function or service a person means."""

from __future__ import annotations

from mcp.server.mcpserver.exceptions import ToolError

from mystic_collector.chat.collector import Collector

EVERYTHING = "*:*"
_ALL = ("*", "all", "everything", "all functions", EVERYTHING)


async def function_meant(collector: Collector, name: str) -> str:
    """Return ``module:qualname``, or a pattern when one was given.

    Raises:
        Refused: naming the candidates when the name means none or several.
    """
    if name.strip().lower() in _ALL:
        return EVERYTHING
    found = await collector.get("/api/resolve", name=name)
    return str(found["function"])


async def service_meant(collector: Collector, name: str) -> str:
    """Return the service that ``name`` means among those that run or have run; empty for all.

    Part of a name will do: "OCR" means gnosis-ocr where nothing else has it.

    Raises:
        ToolError: naming the candidates when the name means none or several.
    """
    text = name.strip()
    if text.lower() in ("", *_ALL):
        return ""
    services = [str(one) for one in (await collector.get("/api/status"))["services"]]
    wanted = _letters(text)
    for found in ([one for one in services if one == text], [one for one in services if wanted in _letters(one)]):
        if len(found) == 1:
            return found[0]
        if found:
            raise ToolError(f"service is {text[:80]!r}: say which one: {', '.join(found)}")
    if not services:
        raise ToolError(f"service is {text[:80]!r}: no service runs now; start one with 'mystic run -- COMMAND'")
    raise ToolError(f"service is {text[:80]!r}: no such service runs; there are {', '.join(services)}")


def _letters(text: str) -> str:
    """Return the words that tell services apart, without case and punctuation."""
    words = "".join(char if char.isalnum() else " " for char in text.lower()).split()
    return "".join(word for word in words if word not in ("the", "service", "project", "app")) or "".join(words)

"""Servers that many people want, ready to be started by name; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Template:
    """One server of the registry.

    Attributes:
        fields: of its spec, but for the name.
        needs: variables it cannot do without, with what they are.
    """

    name: str
    title: str
    description: str
    fields: Mapping[str, Any]
    tags: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as the API has it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "needs": dict(self.needs),
            "spec": {"name": self.name, **self.fields},
        }


def _npx(package: str, **more: Any) -> dict[str, Any]:
    return {"server_type": "npx", "package": package, "transport": "stdio", **more}


def _uv(package: str, **more: Any) -> dict[str, Any]:
    return {"server_type": "uv", "package": package, "transport": "stdio", **more}


TEMPLATES: tuple[Template, ...] = (
    Template("archon", "Archon", "The MCP server of Archon", {"server_type": "archon"}, ("archon", "knowledge")),
    Template(
        "everything",
        "Everything",
        "Every feature of MCP in one server: tools, resources, prompts, sampling, logging; for trying clients out",
        _npx("@modelcontextprotocol/server-everything"),
        ("test", "reference"),
    ),
    Template(
        "fetch", "Fetch", "Fetches web pages and turns them into Markdown", _uv("mcp-server-fetch"), ("web", "http")
    ),
    Template(
        "memory",
        "Memory",
        "Remembers facts as a graph for as long as a session lasts",
        _npx("@modelcontextprotocol/server-memory"),
        ("knowledge", "graph"),
    ),
    Template(
        "sequential-thinking",
        "Sequential thinking",
        "Lets a model think in steps that it may revise",
        _npx("@modelcontextprotocol/server-sequential-thinking"),
        ("reasoning",),
    ),
    Template("time", "Time", "The time now, and conversion between time zones", _uv("mcp-server-time"), ("clock",)),
)


def search(text: str, templates: tuple[Template, ...] = TEMPLATES) -> list[Template]:
    """Return the templates in which every word occurs, names before descriptions; all for no words."""
    words = text.lower().split()

    def rank(one: Template) -> int | None:
        near = f"{one.name} {one.title} {' '.join(one.tags)}".lower()
        far = f"{near} {one.description} {one.fields.get('package', '')}".lower()
        if not all(word in far for word in words):
            return None
        return 0 if all(word in near for word in words) else 1

    found = [(place, one) for one in templates if (place := rank(one)) is not None]
    return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].name))]

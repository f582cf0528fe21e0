"""One method of one path, and short names for the schemas that recur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
WHOLE = {"type": "integer"}
TRUTH = {"type": "boolean"}
OBJECT = {"type": "object"}
PAGED = {"limit": WHOLE, "offset": WHOLE}


def fields(**named: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", "properties": named}


def list_of(one: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an array."""
    return {"type": "array", "items": one}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        query: name → schema of each query parameter.
        body: schema of the request's JSON, or None.
        result: schema of the reply's JSON.
        media: content types of the request's body.
        keyed: whether a key is asked for when one is set.
    """

    method: str
    path: str
    summary: str
    result: dict[str, Any]
    query: dict[str, dict[str, Any]] | None = None
    body: dict[str, Any] | None = None
    media: tuple[str, ...] = ("application/json",)
    status: int = 200
    keyed: bool = True
    result_media: str = "application/json"

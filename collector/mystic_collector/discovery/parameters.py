"""A function's parameters as JSON schema, from its annotations as written."""

from __future__ import annotations

import ast
from typing import Any

from mystic_collector.discovery.source import Function, parsed

_TYPES: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "None": {"type": "null"},
    "dict": {"type": "object"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "set": {"type": "array", "uniqueItems": True},
    "frozenset": {"type": "array", "uniqueItems": True},
    "Any": {},
    "object": {},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "UUID": {"type": "string", "format": "uuid"},
    "Path": {"type": "string"},
    "Decimal": {"type": "string"},
    "Sequence": {"type": "array"},
    "Iterable": {"type": "array"},
    "Mapping": {"type": "object"},
}
_LISTS = ("list", "List", "Sequence", "Iterable", "set", "Set", "frozenset", "tuple", "Tuple")
_DEEPEST = 10


def parameters(node: Function, method: bool) -> dict[str, Any]:
    """Return a JSON schema (draft 2020-12) for the arguments of ``node``.

    Args:
        node: the function.
        method: leave out the first parameter, which the call supplies itself.
    """
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = [*zip(positional, defaults, strict=True)][1 if method else 0 :]
    pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    properties: dict[str, Any] = {}
    for one, default in pairs:
        properties[one.arg] = schema_of(one.annotation)
        if default is not None and (value := _literal(default)) is not _UNKNOWN:
            properties[one.arg] = {**properties[one.arg], "default": value}
    if given.vararg:
        properties[given.vararg.arg] = {"type": "array", "items": schema_of(given.vararg.annotation)}
    return {
        "type": "object",
        "properties": properties,
        "required": [one.arg for one, default in pairs if default is None],
        "additionalProperties": schema_of(given.kwarg.annotation) or True if given.kwarg else False,
    }


def schema_of(node: ast.expr | None, depth: int = 0) -> dict[str, Any]:
    """Return the schema of an annotation; what is not understood is given by name and accepts anything."""
    if node is None or depth > _DEEPEST:
        return {}
    if isinstance(node, ast.Constant):
        return _constant(node.value, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _any_of([schema_of(node.left, depth + 1), schema_of(node.right, depth + 1)])
    if isinstance(node, ast.Subscript):
        return _subscript(node, depth)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return dict(_TYPES.get(name, {"description": ast.unparse(node)[:200]}))


def _constant(value: object, depth: int) -> dict[str, Any]:
    if value is None:
        return {"type": "null"}
    if isinstance(value, str):
        try:
            [only] = parsed(value.lstrip(" \t")).body
            return schema_of(only.value, depth + 1) if isinstance(only, ast.Expr) else {"description": value[:200]}
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return {"description": value[:200]}
    return {}


def _subscript(node: ast.Subscript, depth: int) -> dict[str, Any]:
    name = ast.unparse(node.value).rpartition(".")[2]
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return _any_of([schema_of(inner[0], depth + 1), {"type": "null"}])
    if name == "Union":
        return _any_of([schema_of(one, depth + 1) for one in inner])
    if name == "Literal":
        return {"enum": [one.value for one in inner if isinstance(one, ast.Constant)]}
    if name in ("Annotated", "Final", "Required", "NotRequired"):
        return schema_of(inner[0], depth + 1)
    if name in ("dict", "Dict", "Mapping", "MutableMapping") and len(inner) == 2:
        return {"type": "object", "additionalProperties": schema_of(inner[1], depth + 1)}
    if name in _LISTS:
        fixed = name.lower() == "tuple" and not (len(inner) == 2 and ast.unparse(inner[1]) == "...")
        if fixed:
            return {"type": "array", "prefixItems": [schema_of(one, depth + 1) for one in inner]}
        return {"type": "array", "items": schema_of(inner[0], depth + 1)}
    return {"description": ast.unparse(node)[:200]}


def _any_of(options: list[dict[str, Any]]) -> dict[str, Any]:
    flat = [one for option in options for one in option.get("anyOf", [option])]
    return {"anyOf": flat} if all(flat) else {}


_UNKNOWN = object()


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _UNKNOWN
    return value if isinstance(value, str | int | float | bool | None | list) else _UNKNOWN

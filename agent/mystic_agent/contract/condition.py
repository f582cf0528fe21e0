"""The condition of a strategy that looks at single calls: a small expression that is data, never code.

``order["total"] > 100 and exception == "TimeoutError"``. It knows the parameters of the function by name, ``result``,
``exception`` (the name of the class that was raised, None when nothing was) and ``duration`` in seconds; comparisons,
``and``, ``or``, ``not``, ``in``, subscripts with constants, ``len(…)`` and ``type(…)``, the name of a value's class.
There are no attributes, no other calls and no arithmetic. Nothing here evaluates it; the agent does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.pattern import pattern

if TYPE_CHECKING:
    import ast

LONGEST = 500
MOST_PARTS = 100
CALLS = ("len", "type")
OUTCOME = ("result", "exception", "duration")
"""Names that stand for what came of the call; a parameter of the same name cannot be asked for."""

_PARTS = """
    Expression BoolOp And Or UnaryOp Not USub Compare Eq NotEq Lt LtE Gt GtE In NotIn Is IsNot Name Load Constant
    Subscript Call Tuple List Set
"""
_ALLOWED = frozenset(_PARTS.split())
# What the parser would warn of, into the application's own warnings.
_WARNED = pattern(r"\\|\b\d[\w.]*?(?:and|or|in|is|if|else|not)\b")
_EXAMPLE = "write e.g. 'amount > 100 and exception is not None'"


def condition(value: object, field: str) -> str:
    """Read a condition; an empty text is none.

    Raises:
        Invalid: naming the part that is not allowed.
    """
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Invalid(field, value, f"give a condition of at most {LONGEST} characters; {_EXAMPLE}")
    if value.strip():
        parse(value, field)
    return value.strip()


def parse(text: str, field: str) -> ast.expr:
    """Return the expression that ``text`` is.

    Raises:
        Invalid: when it is none, or holds more than is allowed.
    """
    import ast

    if _WARNED.search(text):
        raise Invalid(field, text, "write it without backslashes, and with a blank after numbers")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise Invalid(field, text, f"that is no expression; {_EXAMPLE}") from None
    for count, node in enumerate(ast.walk(tree)):
        if count >= MOST_PARTS:
            raise Invalid(field, text, f"write it with fewer than {MOST_PARTS} parts")
        _check(node, text, field)
    return tree.body


def _check(node: ast.AST, text: str, field: str) -> None:
    import ast

    kind = type(node).__name__
    if kind not in _ALLOWED:
        raise Invalid(field, text, f"{_words(kind)} is not allowed in a condition; {_EXAMPLE}")
    if isinstance(node, ast.Call):
        known = isinstance(node.func, ast.Name) and node.func.id in CALLS
        if not known or len(node.args) != 1 or node.keywords:
            raise Invalid(field, text, "the only calls are len(…) and type(…), of one value")
    elif isinstance(node, ast.Subscript):
        if constant(node.slice) is None:
            raise Invalid(field, text, 'subscripts are constants, such as items[0] or order["total"]')
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and constant(node) is None:
            raise Invalid(field, text, "a minus stands before a number only")
    elif isinstance(node, ast.Compare):
        _check_identity(node, text, field)
    elif isinstance(node, ast.Constant) and type(node.value) in (complex, type(Ellipsis)):
        raise Invalid(field, text, f"{node.value!r} is not allowed in a condition")


def _check_identity(node: ast.Compare, text: str, field: str) -> None:
    import ast

    for operator, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, (ast.Is, ast.IsNot)) and not (
            isinstance(right, ast.Constant) and (right.value is None or isinstance(right.value, bool))
        ):
            raise Invalid(field, text, "'is' compares with None, True and False only; write ==")


def constant(node: ast.expr) -> tuple[Any] | None:
    """Return the value of a constant, in a tuple, or None when ``node`` is none."""
    import ast

    if isinstance(node, ast.Constant):
        return (node.value,)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return (-value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return None


def names(node: ast.expr) -> frozenset[str]:
    """Return the names an expression asks for, those of its calls left out."""
    import ast

    called = {id(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
    return frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name) and id(one) not in called)


def _words(kind: str) -> str:
    return {"Attribute": "an attribute", "BinOp": "arithmetic", "Lambda": "a function", "NamedExpr": ":="}.get(
        kind, kind.lower()
    )

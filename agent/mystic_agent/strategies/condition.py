"""A condition over one call, compiled once into functions of ours; see ``contract.condition``.

Law: evaluating it runs no line of the application, never fails, and takes a bounded time. Only exact builtin types are
looked into. What cannot be compared is not equal, not less and not greater; what is not there is not equal to anything.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mystic_agent.contract.condition import CALLS, OUTCOME, constant, names, parse
from mystic_agent.contract.named import NamedTuple
from mystic_agent.redact import class_name, kind_name

MOST_ITEMS = 1_000
"""Of a container that is compared or searched, and pairs of items looked at for one comparison."""

LONGEST_TEXT = 64 * 1024
"""Of a text that is compared or searched; of a longer one only the beginning is searched."""

DEEPEST = 8
ABSENT: Any = object()
_NUMBERS = (int, float, bool)
_TEXTS = (str, bytes)
_ROWS = (list, tuple)
_SETS = (set, frozenset)
_SIZED = frozenset({str, bytes, bytearray, list, tuple, dict, set, frozenset})
_TRUTHFUL = _SIZED | {int, float, bool, complex, type(None)}


class Ended(NamedTuple):
    """What came of a call.

    Attributes:
        result: ABSENT when it raised.
        error: None when it returned.
        seconds: how long it took.
    """

    result: Any
    error: BaseException | None
    seconds: float


NOT_ENDED = Ended(ABSENT, None, 0.0)
_Part = Callable[[tuple[Any, ...], Ended], Any]


class Condition:
    """One condition on one function.

    Args:
        text: see ``contract.condition``; empty is met by every call.
        parameters: of the function, in the order in which stages take them.

    Attributes:
        problem: why it cannot be asked of this function; empty when it can.
        early: it asks for arguments only, so that it can be decided before the call.
    """

    def __init__(self, text: str, parameters: tuple[str, ...]) -> None:
        self.problem, self.early = "", True
        self._test: _Part | None = None
        if not text:
            return
        tree = parse(text, "when")
        asked = names(tree)
        unknown = sorted(asked - {*parameters, *OUTCOME})
        if unknown:
            known = ", ".join(parameters) or "none"
            self.problem = f"when asks for {', '.join(unknown)}, but the parameters are {known}"
            return
        self.early = not asked & {*OUTCOME}
        self._test = _compile(tree, parameters)

    def met(self, values: tuple[Any, ...], ended: Ended = NOT_ENDED) -> bool:
        """True when the call meets it."""
        return self._test is None or _truth(self._test(values, ended))


def _compile(node: ast.expr, parameters: tuple[str, ...]) -> _Part:
    """Return ``node`` as a function of (values of the parameters, what came of the call)."""
    known = constant(node)
    if known is not None:
        return lambda values, ended: known[0]
    if isinstance(node, ast.Name):
        return _name(node.id, parameters)
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        parts = [_compile(one, parameters) for one in node.elts]
        return lambda values, ended: tuple([part(values, ended) for part in parts])
    if isinstance(node, ast.BoolOp):
        return _both(node, parameters)
    if isinstance(node, ast.UnaryOp):
        inner = _compile(node.operand, parameters)
        return lambda values, ended: not _truth(inner(values, ended))
    if isinstance(node, ast.Subscript):
        inner, [key] = _compile(node.value, parameters), constant(node.slice) or (None,)
        return lambda values, ended: _item(inner(values, ended), key)
    if isinstance(node, ast.Call):
        inner, work = _compile(node.args[0], parameters), _CALLED[node.func.id]  # type: ignore[attr-defined]
        return lambda values, ended: work(inner(values, ended))
    assert isinstance(node, ast.Compare)  # noqa: S101 -- parse lets nothing else through
    return _compare(node, parameters)


def _name(name: str, parameters: tuple[str, ...]) -> _Part:
    if name == "result":
        return lambda values, ended: ended.result
    if name == "duration":
        return lambda values, ended: ended.seconds
    if name == "exception":
        return lambda values, ended: None if ended.error is None else kind_name(type(ended.error))
    index = parameters.index(name)
    return lambda values, ended: values[index]


def _both(node: ast.BoolOp, parameters: tuple[str, ...]) -> _Part:
    parts = [_compile(one, parameters) for one in node.values]
    if isinstance(node.op, ast.And):
        return lambda values, ended: all(_truth(part(values, ended)) for part in parts)
    return lambda values, ended: any(_truth(part(values, ended)) for part in parts)


def _compare(node: ast.Compare, parameters: tuple[str, ...]) -> _Part:
    parts = [_compile(one, parameters) for one in (node.left, *node.comparators)]
    tests = [_COMPARED[type(one)] for one in node.ops]

    def compared(values: tuple[Any, ...], ended: Ended) -> bool:
        left = parts[0](values, ended)
        for test, part in zip(tests, parts[1:], strict=True):
            right = part(values, ended)
            if not test(left, right):
                return False
            left = right
        return True

    return compared


def _truth(value: Any) -> bool:
    """What bool() says of exact builtin types; a value of the application is true, without asking it."""
    return value is not ABSENT and (type(value) not in _TRUTHFUL or bool(value))


def _item(value: Any, key: Any) -> Any:
    kind = type(value)
    if kind in (list, tuple, str, bytes) and type(key) is int:
        return value[key] if -len(value) <= key < len(value) else ABSENT
    if kind is dict and len(value) <= MOST_ITEMS:
        # Looking the key up would run the __eq__ of another key with the same hash.
        return next((held for one, held in tuple(value.items()) if type(one) is type(key) and one == key), ABSENT)
    return ABSENT


def _length(value: Any) -> Any:
    return len(value) if type(value) in _SIZED else ABSENT


def _type(value: Any) -> Any:
    return ABSENT if value is ABSENT else class_name(type(value))


def _same(left: Any, right: Any) -> bool:
    return _equal(left, right, DEEPEST, iter(range(MOST_ITEMS)))


def _equal(left: Any, right: Any, depth: int, work: Iterator[int]) -> bool:
    """True when both are known to be equal; ``work`` gives one for each pair that may be looked at."""
    if left is ABSENT or right is ABSENT or next(work, None) is None:
        return False
    a, b = type(left), type(right)
    if a in _NUMBERS and b in _NUMBERS:
        return bool(left == right)
    if a in _ROWS and b in _ROWS:
        if len(left) != len(right) or len(left) > MOST_ITEMS or depth <= 0:
            return False
        return all(_equal(x, y, depth - 1, work) for x, y in zip(tuple(left), tuple(right), strict=False))
    if a is b and a in _TEXTS:
        return len(left) == len(right) <= LONGEST_TEXT and bool(left == right)
    return left is right


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(left: Any, right: Any) -> bool:
        a, b = type(left), type(right)
        if a in _NUMBERS and b in _NUMBERS:
            return test(left, right)
        return a is b and a in _TEXTS and test(left[:LONGEST_TEXT], right[:LONGEST_TEXT])

    return compared


def _within(item: Any, box: Any) -> bool:
    kind = type(box)
    if kind in _TEXTS:
        return type(item) is kind and item in box[:LONGEST_TEXT]
    if kind in _ROWS or kind in _SETS or kind is dict:
        work = iter(range(MOST_ITEMS))
        return len(box) <= MOST_ITEMS and any(_equal(item, one, DEEPEST, work) for one in tuple(box))
    return False


def _different(left: Any, right: Any) -> bool:
    return left is not ABSENT and right is not ABSENT and not _same(left, right)


def _without(item: Any, box: Any) -> bool:
    return item is not ABSENT and box is not ABSENT and not _within(item, box)


_CALLED: Mapping[str, Callable[[Any], Any]] = dict(zip(CALLS, (_length, _type), strict=True))
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _same,
    ast.NotEq: _different,
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _within,
    ast.NotIn: _without,
    ast.Is: operator.is_,
    ast.IsNot: lambda left, right: left is not ABSENT and left is not right,
}

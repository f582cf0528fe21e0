"""A share of calls, or of callers, that goes to another implementation."""

import hashlib
import inspect
import random
import re
import uuid

from .elsewhere import _elsewhere


def _text(value):
    """Return the same text for the same key in every process, or None; only plain values are keys."""
    if isinstance(value, bool | int):
        return f"bool:{value}" if isinstance(value, bool) else "int:" + int.__repr__(value)
    if isinstance(value, str):
        return "str:" + str.__str__(value)
    if isinstance(value, bytes):
        return "bytes:" + bytes.hex(value)
    return f"uuid:{value.int}" if type(value) is uuid.UUID else None


def _found(value, steps):
    """Return what is found from ``value`` on by attributes, keys and positions."""
    for step in steps:
        step = int(step) if step.isdigit() else step
        value = value[step] if isinstance(step, int) or isinstance(value, dict) else getattr(value, step)
    return value


def divided(to, *, share, key="", salt=""):
    """Call ``to`` (``module:qualname``) instead for a ``share`` of calls, from 0 to 1, by lot.

    Args:
        key: where the caller is known by, such as ``request.user.id``; then a share of the callers, always the same.
        salt: callers fall otherwise for another; as long as it stays, a growing share lets none go.
    """

    def decorate(function):
        salted = (salt or f"{function.__module__}:{function.__qualname__}").encode("utf-8", "surrogatepass")
        before = len(salted).to_bytes(4, "big") + salted
        steps = re.findall(r"\w+", key)
        rest = [one.name for one in inspect.signature(function).parameters.values() if one.kind is one.VAR_KEYWORD]

        def by_key(arguments):
            try:
                first = [] if steps[0] in arguments else rest
                text = _text(_found(arguments, [*first, *steps]))
            except Exception:
                return False  # there is no such key
            if text is None:
                return False
            digest = hashlib.blake2b(before + text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            return int.from_bytes(digest, "big") < round(share * 2**64)

        return _elsewhere(function, to, by_key if key else lambda arguments: random.random() < share)

    return decorate

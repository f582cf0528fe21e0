"""The bodies of observing trampolines, one for each kind of function.

Constants: ``$P`` the Pulse, ``$M`` the Meter, ``$N`` the clock, ``$G`` and ``$S`` the reader and writer of
``place_now``, ``$I`` the reader of the thread's identity, ``$O`` the original (or the first stage of the strategies),
``$A`` the agent's own threads.

An exception passes through as the same object with one marked frame more; only Exceptions count as errors, so
CancelledError, GeneratorExit, SystemExit and KeyboardInterrupt do not. A span is a list laid out as in ``span``; the
clock is read last when a call begins and first when it ends, so that our own work is outside of what is measured.
"""

from __future__ import annotations


def _indented(source: str) -> str:
    return "\n".join("    " + line for line in source.strip("\n").split("\n"))


# Adds a call to the Meter's cells. The order of the comparisons is that of how often they decide.
_COUNTED = """
_mystic_t = $N() - _mystic_t
_mystic_h = $M.h
_mystic_h[_mystic_t.bit_length()] += 1
_mystic_h[64] += _mystic_t
if _mystic_t > _mystic_h[66] or _mystic_t < _mystic_h[65]:
    $M.note(_mystic_t, {span})
"""

# Nearly every call takes this way: no trace is wanted or running. It is written apart so that it has nothing to skip.
_PLAIN = """
_mystic_t = $N()
try:
    _mystic_r = {call}
except BaseException as _mystic_e:
    $M.{fail}(_mystic_t, _mystic_e, None, None)
    raise
{counted}
return _mystic_r
"""

_ENDED = """
if _mystic_s is not None:
    _mystic_s[5] = _mystic_t
    _mystic_q.ended(_mystic_s)
    if _mystic_s[0] is None:
        $P.finish(_mystic_q)
return _mystic_r
"""


def _plain(call: str, fail: str) -> str:
    body = _PLAIN.format(call=call, fail=fail, counted=_COUNTED.format(span="None"))
    return f"if not $P.live:\n{_indented(body)}\n"


_SEEN = _COUNTED.format(span="_mystic_s")

_FUNCTION = f"""{_plain("$O(@ARGS@)", "fail")}
_mystic_p = $G()
if _mystic_p is not None and _mystic_p[1] == $I() and _mystic_p[2].left > 0:
    _mystic_q = _mystic_p[2]
    _mystic_q.left -= 1
    _mystic_s = _mystic_p[0] = [_mystic_p[0], $M, None, _mystic_q, None, 0, (_mystic_t := $N())]
else:
    _mystic_s = _mystic_q = None
    if _mystic_p is not None or $P.wanted:
        _mystic_p, _mystic_s, _mystic_q = $P.enter($M, _mystic_p)
    _mystic_t = $N()
try:
    _mystic_r = $O(@ARGS@)
except BaseException as _mystic_e:
    $M.fail(_mystic_t, _mystic_e, _mystic_p, _mystic_s)
    raise
{_SEEN}
if _mystic_s is not None:
    _mystic_p[0] = _mystic_s[0]
{_ENDED}
"""

# A coroutine sets a place of its own in its task's context, and puts the one before back if it still is in that one.
# The thread is taken from the place before; where that is another one, the first call inside notices and makes its own.
_COROUTINE = f"""{_plain("await $O(@ARGS@)", "fail_coroutine")}
_mystic_p = $G()
if _mystic_p is not None and _mystic_p[1] and _mystic_p[2].left > 0:
    _mystic_q = _mystic_p[2]
    _mystic_q.left -= 1
    _mystic_s = [_mystic_p[0], $M, None, _mystic_q, None, 0, (_mystic_t := $N())]
    $S([_mystic_s, _mystic_p[1], _mystic_q, _mystic_p[3]])
else:
    _mystic_s = _mystic_q = None
    if _mystic_p is not None or $P.wanted:
        _mystic_p, _mystic_s, _mystic_q = $P.enter_coroutine($M, _mystic_p)
    _mystic_t = $N()
try:
    _mystic_r = await $O(@ARGS@)
except BaseException as _mystic_e:
    $M.fail_coroutine(_mystic_t, _mystic_e, _mystic_p, _mystic_s)
    raise
{_SEEN}
if _mystic_s is not None:
    _mystic_h = $G()
    if _mystic_h is not None and _mystic_h[0] is _mystic_s:
        $S(_mystic_p)
{_ENDED}
"""

# A generator never becomes current: its consumer runs between its steps, in the same context.
_BEGIN_GENERATOR = """
_mystic_s = _mystic_q = None
if $P.live:
    _mystic_p = $G()
    if _mystic_p is not None and _mystic_p[1] and _mystic_p[2].left > 0:
        _mystic_q = _mystic_p[2]
        _mystic_q.left -= 1
        _mystic_s = [_mystic_p[0], $M, None, _mystic_q, None, 0, (_mystic_t := $N())]
    else:
        if _mystic_p is not None:
            _mystic_s, _mystic_q = $P.enter_generator($M, _mystic_p)
        _mystic_t = $N()
else:
    _mystic_t = $N()
"""

_GENERATOR = f"""{_BEGIN_GENERATOR}
try:
    _mystic_r = yield from $O(@ARGS@)
except BaseException as _mystic_e:
    $M.fail_generator(_mystic_t, _mystic_e, _mystic_s)
    raise
{_SEEN}
{_ENDED}
"""

# What `yield from` is for generators (PEP 380), written out because async generators have no such form.
_FORWARD = """
_mystic_g = $O(@ARGS@)
try:
    try:
        _mystic_v = await _mystic_g.__anext__()
        while True:
            try:
                _mystic_x = yield _mystic_v
            except GeneratorExit:
                await _mystic_g.aclose()
                raise
            except BaseException as _mystic_e:
                _mystic_v = await _mystic_g.athrow(_mystic_e)
            else:
                _mystic_v = await _mystic_g.asend(_mystic_x)
    except StopAsyncIteration:
        pass
"""

_ASYNC_GENERATOR = f"""{_BEGIN_GENERATOR}
{_FORWARD}
except BaseException as _mystic_e:
    $M.fail_generator(_mystic_t, _mystic_e, _mystic_s)
    raise
{_SEEN}
{_ENDED.replace("return _mystic_r", "")}
"""

OBSERVE = {
    "function": _FUNCTION,
    "coroutine": _COROUTINE,
    "generator": _GENERATOR,
    "async_generator": _ASYNC_GENERATOR,
}

COUNT = {
    "function": "$M.h[68] += 1\nreturn $O(@ARGS@)",
    "coroutine": "$M.h[68] += 1\nreturn await $O(@ARGS@)",
    "generator": "$M.h[68] += 1\nreturn (yield from $O(@ARGS@))",
    "async_generator": f"$M.h[68] += 1\n{_FORWARD}\nfinally:\n    pass",
}
"""Counting only: what the governor steps the hottest functions down to."""

# The types of arguments are looked up by their hash, which a metaclass may have defined and which may raise.
_HIT = """
if not $P.live or $G() is None:
    try:
        _mystic_k = $K.kinds.get({kinds})
    except $F:
        _mystic_k = None
    if _mystic_k is not None:
        _mystic_k = _mystic_k.get({values})
        if _mystic_k is not None and _mystic_k[0] > $N():
            $M.h[$H] += 1
            return _mystic_k[1]
"""


def hit(names: list[str]) -> str:
    """Return the source that serves a kept result straight from the trampoline, in front of an observing body.

    Args:
        names: the parameters that make the key.

    Inside a sampled trace the call takes the long way, which gives it a span. ``$K`` is the Memory, ``$H`` the cell
    that counts, ``$T`` is ``type``, and ``$F`` what the guard stops.
    """
    kinds = ", ".join(f"$T({name})" for name in names)
    if len(names) == 1:
        return _HIT.format(kinds=kinds, values=names[0])
    return _HIT.format(kinds=f"({kinds})", values=f"({', '.join(names)})")


def apart(kind: str, body: str) -> str:
    """Return ``body`` so that calls from the agent's own threads pass it by; generators are left as they are."""
    calls = {"function": "$O(@ARGS@)", "coroutine": "await $O(@ARGS@)"}
    return f"if $I() in $A:\n    return {calls[kind]}\n{body.lstrip()}" if kind in calls else body

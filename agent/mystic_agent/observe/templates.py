"""The bodies of observing trampolines, one for each kind of function.

Constants: ``$P`` the Pulse, ``$M`` the Meter, ``$N`` the clock, ``$G`` the reader of ``place_now``, ``$I`` that of the
thread's identity, ``$O`` the original (or the first stage of the strategies) and ``$A`` the agent's own threads.

An exception passes through as the same object with one marked frame more; only Exceptions count as errors, so
CancelledError, GeneratorExit, SystemExit and KeyboardInterrupt do not. A span is a list laid out as in ``span``; the
clock is read last when a call begins and first when it ends, so that our own work is outside of what is measured.
"""

from __future__ import annotations

BEGIN = """
_mystic_p = _mystic_s = None
if $P.live:
    _mystic_p = $G()
    if _mystic_p is not None and _mystic_p.thread == $I() and _mystic_p.trace.left > 0:
        _mystic_p.trace.left -= 1
        _mystic_s = _mystic_p.current = [
            _mystic_p.current, $M, None, _mystic_p.trace, None, 0, (_mystic_t := $N())
        ]
    else:
        _mystic_p, _mystic_s = $P.enter($M, _mystic_p)
        _mystic_t = $N()
else:
    _mystic_t = $N()
"""

_FUNCTION = """
try:
    _mystic_r = $O(@ARGS@)
except BaseException as _mystic_e:
    $M.fail(_mystic_t, _mystic_e, _mystic_p, _mystic_s)
    raise
_mystic_t = $N() - _mystic_t
_mystic_h = $M.h
if not _mystic_h[65] <= _mystic_t <= _mystic_h[66]:
    $M.note(_mystic_t, _mystic_s)
_mystic_h[_mystic_t.bit_length()] += 1
_mystic_h[64] += _mystic_t
if _mystic_s is not None:
    _mystic_s[5] = _mystic_t
    _mystic_p.current = _mystic_s[0]
    _mystic_s[3].ended(_mystic_s)
    if _mystic_s[0] is None:
        $P.finish(_mystic_s[3])
return _mystic_r
"""

BEGIN_COROUTINE = """
_mystic_s = $P.enter_coroutine($M) if $P.live else None
_mystic_t = $N()
"""

_COROUTINE = """
try:
    _mystic_r = await $O(@ARGS@)
except BaseException as _mystic_e:
    $M.close_error(_mystic_t, _mystic_s, _mystic_e)
    raise
_mystic_t = $N() - _mystic_t
_mystic_h = $M.h
if not _mystic_h[65] <= _mystic_t <= _mystic_h[66]:
    $M.note(_mystic_t, _mystic_s)
_mystic_h[_mystic_t.bit_length()] += 1
_mystic_h[64] += _mystic_t
if _mystic_s is not None:
    $P.leave(_mystic_s, _mystic_t)
return _mystic_r
"""

_GENERATOR = """
_mystic_s = $P.enter_generator($M) if $P.live else None
_mystic_t = $N()
try:
    _mystic_r = yield from $O(@ARGS@)
except BaseException as _mystic_e:
    $M.close_error(_mystic_t, _mystic_s, _mystic_e)
    raise
$M.close(_mystic_t, _mystic_s)
return _mystic_r
"""

# What `yield from` is for generators (PEP 380), written out because async generators have no such form.
_ASYNC_GENERATOR = """
_mystic_s = $P.enter_generator($M) if $P.live else None
_mystic_t = $N()
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
except BaseException as _mystic_e:
    $M.close_error(_mystic_t, _mystic_s, _mystic_e)
    raise
$M.close(_mystic_t, _mystic_s)
"""

OBSERVE = {
    "function": BEGIN + _FUNCTION,
    "coroutine": BEGIN_COROUTINE + _COROUTINE,
    "generator": _GENERATOR,
    "async_generator": _ASYNC_GENERATOR,
}

COUNT = {
    "function": "$M.h[68] += 1\nreturn $O(@ARGS@)",
    "coroutine": "$M.h[68] += 1\nreturn await $O(@ARGS@)",
    "generator": "$M.h[68] += 1\nreturn (yield from $O(@ARGS@))",
    "async_generator": _ASYNC_GENERATOR,
}
"""Counting only: what the governor steps the hottest functions down to."""

_HIT = """
if not $P.live or $G() is None:
    _mystic_k = $K.kinds.get({kinds})
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

    Inside a sampled trace the call takes the long way, which gives it a span.
    """
    kinds = ", ".join(f"$T({name})" for name in names)
    if len(names) == 1:
        return _HIT.format(kinds=kinds, values=names[0])
    return _HIT.format(kinds=f"({kinds})", values=f"({', '.join(names)})")


def apart(kind: str, body: str) -> str:
    """Return ``body`` so that calls from the agent's own threads pass it by; generators are left as they are."""
    calls = {"function": "$O(@ARGS@)", "coroutine": "await $O(@ARGS@)"}
    return f"if $I() in $A:\n    return {calls[kind]}\n{body.lstrip()}" if kind in calls else body

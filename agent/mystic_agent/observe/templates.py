"""The bodies of observing trampolines, one for each kind of function.

Constants: ``$P`` the Pulse, ``$M`` the Meter, ``$N`` the clock, ``$O`` the original (or the first stage
of the strategies), ``$I`` the thread's identity and ``$A`` the agent's own threads.

An exception passes through as the same object with one marked frame more; only Exceptions count as
errors, so CancelledError, GeneratorExit, SystemExit and KeyboardInterrupt do not.
"""

from __future__ import annotations

_TIMED = """
_mystic_t = $P.{clock}()
try:
    _mystic_r = {call}
except BaseException as _mystic_e:
    $M.{fail}(_mystic_t, _mystic_e)
    raise
_mystic_t = $N() - _mystic_t
_mystic_h = $M.h
if not _mystic_h[65] <= _mystic_t <= _mystic_h[66]:
    _mystic_t = $M.{note}(_mystic_t)
_mystic_h[_mystic_t.bit_length()] += 1
_mystic_h[64] += _mystic_t
return _mystic_r
"""

_GENERATOR = """
_mystic_t = $P.generator()
try:
    _mystic_r = yield from $O(@ARGS@)
except BaseException as _mystic_e:
    $M.close_error(_mystic_t, _mystic_e)
    raise
$M.close(_mystic_t)
return _mystic_r
"""

# What `yield from` is for generators (PEP 380), written out because async generators have no such form.
_ASYNC_GENERATOR = """
_mystic_t = $P.generator()
_mystic_g = $O(@ARGS@)
try:
    try:
        _mystic_v = await _mystic_g.__anext__()
        while True:
            try:
                _mystic_s = yield _mystic_v
            except GeneratorExit:
                await _mystic_g.aclose()
                raise
            except BaseException as _mystic_x:
                _mystic_v = await _mystic_g.athrow(_mystic_x)
            else:
                _mystic_v = await _mystic_g.asend(_mystic_s)
    except StopAsyncIteration:
        pass
except BaseException as _mystic_e:
    $M.close_error(_mystic_t, _mystic_e)
    raise
$M.close(_mystic_t)
"""

OBSERVE = {
    "function": _TIMED.format(clock="sync", call="$O(@ARGS@)", fail="fail", note="note"),
    "coroutine": _TIMED.format(clock="coroutine", call="await $O(@ARGS@)", fail="fail_async", note="note_async"),
    "generator": _GENERATOR,
    "async_generator": _ASYNC_GENERATOR,
}

_COUNT = "$M.h[68] += 1\nreturn $O(@ARGS@)"
COUNT = {
    "function": _COUNT,
    "coroutine": "$M.h[68] += 1\nreturn await $O(@ARGS@)",
    "generator": "$M.h[68] += 1\nreturn (yield from $O(@ARGS@))",
    "async_generator": _ASYNC_GENERATOR.replace("$P.generator()", "$N()"),
}
"""Counting only: what the governor steps the hottest functions down to."""

APART = "if $I() in $A:\n    return {call}\n"
"""Goes before a body whose function the agent's own threads call too, so that only the application is observed."""


def apart(kind: str, body: str) -> str:
    """Return ``body`` so that calls from the agent's own threads pass it by; generators are left as they are."""
    calls = {"function": "$O(@ARGS@)", "coroutine": "await $O(@ARGS@)"}
    return APART.format(call=calls[kind]) + body.lstrip("\n") if kind in calls else body

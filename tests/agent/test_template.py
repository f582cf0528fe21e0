"""The body of a trampoline is made for each form of function, and nothing of the application's is touched meanwhile."""

from __future__ import annotations

import sys
import threading
import warnings

from mystic_agent import template
from mystic_agent.swap import Swapped

PATIENCE = 20.0
BODY = "$E('{unique}')\nreturn $O(@ARGS@)"


def taking(count):
    names = ", ".join(f"a{i}" for i in range(count))
    scope: dict = {}
    exec(f"def f({names}):\n    return ({names}{',' * bool(count)})", scope)
    return scope["f"]


def test_neither_filters_nor_registries_of_warnings_are_touched_while_one_is_made():
    seen = []

    def noted(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == warnings.__file__:
            seen.append(frame.f_code.co_name)

    f = taking(3)
    swap = Swapped(f)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = sys.getprofile()
        sys.setprofile(noted)
        try:
            swap.install(BODY.format(unique="untouched"), {"E": str, "O": swap.original})
        finally:
            sys.setprofile(before)
    assert f(1, 2, 3) == (1, 2, 3)
    assert swap.release()
    assert seen == []


def test_threads_that_make_forms_of_one_body_at_once_each_get_their_own():
    functions = [taking(count) for count in range(40)]
    swaps = [Swapped(f) for f in functions]
    results: dict[int, object] = {}
    gate = threading.Barrier(4)

    def work(part):
        gate.wait(PATIENCE)
        for count in range(part, 40, 4):
            swaps[count].install(BODY.format(unique="at once"), {"E": str, "O": swaps[count].original})
            results[count] = functions[count](*range(count))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    finally:
        sys.setswitchinterval(before)
    assert results == {count: tuple(range(count)) for count in range(40)}
    assert all(swap.release() for swap in swaps)


def test_bodies_that_are_kept_for_further_forms_are_few():
    for number in range(20):
        f = taking(1)
        swap = Swapped(f)
        swap.install(BODY.format(unique=number), {"E": str, "O": swap.original})
        assert f(number) == (number,)
        assert swap.release()
    assert 0 < len(template._trees) <= 4

"""What replacing a function's code must leave exactly as it was."""

from __future__ import annotations

import gc
import importlib
import inspect
import logging
import sys
import traceback
import warnings

import pytest
from mystic_agent.swap import Swapped
from mystic_agent.trampoline import MARK, build, is_trampoline, original

CALL = "$E(1)\n_mystic_r = $O(@ARGS@)\nreturn _mystic_r"


def hooked(function):
    calls = []
    swap = Swapped(function)
    swap.install(CALL, {"E": calls.append, "O": swap.original})
    return swap, calls


def every_kind(a, b=2, /, c=3, *args, d=4, e, **kw):
    """Docstring."""
    return (a, b, c, args, d, e, kw)


@pytest.fixture
def swapped():
    swap, calls = hooked(every_kind)
    yield calls
    assert swap.release()


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {"e": 5}),
        ((1, 2, 3, 4, 5), {"e": 6, "z": 7}),
        ((9, 8), {"c": 7, "d": 6, "e": 0}),
        ((1,), {"e": 1, "a": 2, "b": 3}),
    ],
)
def test_every_way_of_passing_arguments_gives_the_same_result(args, kwargs):
    expected = every_kind(*args, **kwargs)
    swap, calls = hooked(every_kind)
    assert every_kind(*args, **kwargs) == expected
    assert calls == [1]
    swap.release()


def test_a_wrong_call_raises_the_same_text():
    with pytest.raises(TypeError) as before:
        every_kind(1)
    swap, calls = hooked(every_kind)
    with pytest.raises(TypeError) as after:
        every_kind(1)
    swap.release()
    assert str(after.value) == str(before.value)
    assert calls == []


def test_signature_docstring_module_and_hash_stay(swapped):
    assert str(inspect.signature(every_kind)) == "(a, b=2, /, c=3, *args, d=4, e, **kw)"
    assert every_kind.__doc__ == "Docstring."
    assert isinstance(hash(every_kind.__code__), int)
    assert inspect.getmodule(every_kind) is sys.modules[__name__]


def test_the_source_is_still_found(tmp_path, monkeypatch):
    (tmp_path / "mystic_sourced.py").write_text("x = 1\n\ndef f(a):\n    return a\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("mystic_sourced")
    swap, _ = hooked(module.f)
    assert inspect.getsource(module.f) == "def f(a):\n    return a\n"
    swap.release()
    del sys.modules["mystic_sourced"]


def test_defaults_changed_later_are_seen():
    def f(a=1):
        return a

    swap, _ = hooked(f)
    f.__defaults__ = (7,)
    assert f() == 7
    swap.release()


def test_closures_and_super_keep_their_cells():
    offset = 1

    def f(a):
        return a + offset

    class Base:
        def m(self):
            return "base"

    class Derived(Base):
        def m(self, *rest):
            return "derived+" + super().m()

    swaps = [hooked(f)[0], hooked(Derived.m)[0]]
    offset = 5
    assert f(1) == 6
    assert Derived().m() == "derived+base"
    for swap in swaps:
        swap.release()


def test_parameters_may_have_any_name():
    def f(p0, _r, v000, t):
        return (p0, _r, v000, t)

    class Mangled:
        def m(self, __x=1):
            return __x

    swaps = [hooked(f)[0], hooked(Mangled.m)[0]]
    assert f(1, 2, v000=3, t=4) == (1, 2, 3, 4)
    assert Mangled().m(_Mangled__x=6) == 6
    for swap in swaps:
        swap.release()


def test_release_puts_the_very_same_code_object_back():
    code = every_kind.__code__
    swap, _ = hooked(every_kind)
    assert is_trampoline(every_kind.__code__)
    assert swap.release()
    assert every_kind.__code__ is code


def test_code_that_somebody_else_put_in_is_left_alone():
    def f():
        return 1

    def theirs():
        return 2

    swap, _ = hooked(f)
    f.__code__ = theirs.__code__
    assert not swap.release()
    assert f() == 2
    with pytest.raises(RuntimeError, match="another tool"):
        swap.install(CALL, {"E": print, "O": swap.original})


def test_an_exception_passes_with_its_cause_and_one_marked_frame_more():
    def f():
        raise KeyError("k") from ValueError("why")

    def frames():
        with pytest.raises(KeyError) as caught:
            f()
        assert isinstance(caught.value.__cause__, ValueError)
        return [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]

    before = frames()
    swap, _ = hooked(f)
    after = frames()
    swap.release()
    assert [name for name in after if not name.startswith(MARK)] == before
    assert len(after) == len(before) + 1


def test_warnings_and_log_records_name_the_caller_as_before(caplog):
    def warn():
        warnings.warn("old", DeprecationWarning, stacklevel=2)

    def log():
        logging.getLogger("app").warning("here", stacklevel=2)

    def places():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn()
        caplog.clear()
        log()
        return (caught[0].filename, caught[0].lineno, caplog.records[0].pathname, caplog.records[0].lineno)

    before = places()
    swaps = [hooked(warn)[0], hooked(log)[0], hooked(places)[0]]
    after = places()
    for swap in swaps:
        swap.release()
    assert after == before


def test_the_naive_trampoline_with_a_plain_file_name_would_shift_the_attribution():
    def warn():
        warnings.warn("old", DeprecationWarning, stacklevel=2)

    code = warn.__code__
    twin = build(CALL, code, {"E": (lambda _: None), "O": original(warn, code)})
    warn.__code__ = twin.replace(co_filename=code.co_filename)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn()
    assert caught[0].lineno == code.co_firstlineno


def test_a_released_hook_is_garbage():
    class Held:
        pass

    held = Held()
    references = sys.getrefcount(held)

    def f():
        return held

    swap = Swapped(f)
    swap.install("$E\nreturn $O(@ARGS@)", {"E": held, "O": swap.original})
    assert f() is held
    swap.release()
    del swap, f
    gc.collect()
    assert sys.getrefcount(held) == references

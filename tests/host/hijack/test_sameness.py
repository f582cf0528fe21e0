"""What an application can see of its functions is identical before, during and after (H10)."""

from __future__ import annotations

import copy
import inspect
import pickle
import types
import typing

import pytest
from mystic_agent import lifecycle
from mystic_agent.trampoline import MARK

SOURCE = '''
    import abc, dataclasses, enum, functools, typing

    T = typing.TypeVar("T")

    def plain(a: int, /, b: "str" = "x", *rest: float, key: bool = True, **more: list[int]) -> "Point":
        """A docstring."""
        local = a
        return Point(local, len(b))
    plain.mark = {"of": "mine"}

    async def later(a: T) -> T:
        return a

    def counting(n: int) -> typing.Iterator[int]:
        yield from range(n)

    async def streaming(n: int) -> typing.AsyncIterator[int]:
        for i in range(n):
            yield i

    @dataclasses.dataclass(slots=True)
    class Point:
        x: int
        y: int = 0

        def norm(self) -> float:
            return (self.x ** 2 + self.y ** 2) ** 0.5

    class Base(abc.ABC):
        __slots__ = ()

        @abc.abstractmethod
        def area(self) -> float:
            """Of the shape."""

        @property
        @abc.abstractmethod
        def name(self): ...

    class Square(Base):
        __slots__ = ("side",)

        def __init__(self, side):
            self.side = side

        def area(self):
            return self.side ** 2

        @property
        def name(self):
            "A property's docstring."
            return "square"

        @classmethod
        def unit(cls):
            return cls(1)

        def __reduce__(self):
            return Square, (self.side,)

        def __eq__(self, other):
            return isinstance(other, Square) and self.side == other.side

        def __hash__(self):
            return hash(self.side)

        def __init_subclass__(cls, /, **more):
            super().__init_subclass__(**more)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def me(self):
            return super().__hash__() and __class__

    class Colour(enum.Enum):
        RED = 1

        @property
        def dark(self):
            return f"dark {self.name.lower()}"

        @classmethod
        def _missing_(cls, value):
            return cls.RED

    class Proto(typing.Protocol):
        def area(self) -> float: ...

    def outer(n):
        def inner(m):
            nonlocal n
            n += m
            return n
        return inner

    adding = outer(10)

    @functools.wraps(plain)
    def wrapping(*args, **kwargs):
        return plain(*args, **kwargs)
'''
FUNCTIONS = ("plain", "later", "counting", "streaming", "outer", "adding", "wrapping")
METHODS = ("Point.norm", "Square.area", "Square.__init__", "Square.unit", "Square.me", "Base.area")


def facts(module):
    """Return what introspection says about everything in the module."""
    said = {}
    for name in (*FUNCTIONS, *METHODS):
        value = module
        for part in name.split("."):
            value = getattr(value, part)
        plain = inspect.unwrap(getattr(value, "__func__", value))
        said[name] = (
            type(value),
            inspect.signature(value),
            inspect.getfullargspec(value),
            inspect.getdoc(value),
            inspect.getsource(value),
            inspect.getsourcelines(value)[1],
            inspect.getmodule(value),
            typing.get_type_hints(plain, vars(module)),
            (value.__name__, value.__qualname__, value.__module__, value.__dict__, plain.__defaults__),
            (plain.__kwdefaults__, plain.__annotations__, plain.__closure__ and len(plain.__closure__)),
            (inspect.iscoroutinefunction(value), inspect.isgeneratorfunction(value), inspect.isasyncgenfunction(value)),
            (inspect.isfunction(value), inspect.ismethod(value), inspect.isabstract(value), callable(value)),
            plain.__code__.co_varnames[: plain.__code__.co_argcount + plain.__code__.co_kwonlyargcount],
            (plain.__code__.co_name, plain.__code__.co_firstlineno, plain.__code__.co_freevars),
            inspect.unwrap(value) is plain,
        )
    said["classes"] = [
        (cls, inspect.getsource(cls), sorted(vars(cls)), cls.__mro__, getattr(cls, "__abstractmethods__", None))
        for cls in (module.Point, module.Base, module.Square, module.Colour)
    ]
    said["doc"] = (inspect.getdoc(module.Square.name), inspect.getdoc(module.Square))
    return said


def behaviour(module):
    """Return what using the module's things gives."""
    square = module.Square(3)
    with square as entered:
        assert entered is square
    with pytest.raises(TypeError) as abstract:
        module.Base()
    with pytest.raises(TypeError) as missing:
        module.plain()
    with pytest.raises(TypeError) as unexpected:
        module.Square(1, 2)
    with pytest.raises(AttributeError):
        square.other = 1
    return (
        module.plain(1, "ab", 2.0, key=False, extra=[1]).norm(),
        list(module.counting(3)),
        (square.area(), square.name, module.Square.unit().side, square.me()),
        (module.Colour.RED.dark, module.Colour("unknown"), isinstance(square, module.Base), {square: 1}[square]),
        (str(abstract.value), str(missing.value), str(unexpected.value)),
        (pickle.loads(pickle.dumps(square)) == square, pickle.loads(pickle.dumps(module.plain)) is module.plain),
        (copy.deepcopy(square) == square, copy.deepcopy(module.plain) is module.plain, copy.copy(square) == square),
        pickle.dumps(module.Point.norm),
    )


def test_introspection_says_the_same_with_and_without_the_agent(load):
    app = load(SOURCE)
    ours = facts(app.module), behaviour(app.module)
    assert min(app.calls(name) for name in ("plain", "counting", "Square.area", "Square.unit", "Square.me")) > 0
    lifecycle.stop()
    alone = facts(app.module), behaviour(app.module)
    for name, said in alone[0].items():
        assert list(enumerate(ours[0][name])) == list(enumerate(said)), name
    assert ours[1] == alone[1]


def test_only_the_file_name_of_the_code_tells_that_a_function_is_hijacked(load):
    app = load(SOURCE)
    ours = inspect.getsourcefile(app.plain)
    lifecycle.stop()
    assert ours == MARK + inspect.getsourcefile(app.module.plain)


def test_release_puts_the_very_same_code_objects_back(write, agent):
    import importlib

    write("application", SOURCE)
    module = importlib.import_module("application")
    functions = [module.plain, module.later, module.streaming, module.adding, module.Square.area, module.Point.norm]
    codes = [function.__code__ for function in functions]
    agent("application:*")
    assert all(function.__code__ is not code for function, code in zip(functions, codes, strict=True))
    lifecycle.stop()
    assert all(function.__code__ is code for function, code in zip(functions, codes, strict=True))


def test_closures_share_their_variables_with_the_hijacked_function(load):
    app = load(SOURCE)
    before = app.adding(0)
    assert (app.adding(1), app.adding(2)) == (before + 1, before + 3)
    [cell] = app.adding.__closure__
    assert cell.cell_contents == before + 3
    cell.cell_contents = 0
    assert app.adding(5) == 5


def test_defaults_that_change_are_seen_by_the_hijacked_function(load):
    app = load("def f(a, b=1, *, c=2):\n    return a, b, c\n")
    app.f.__defaults__ = (7,)
    app.f.__kwdefaults__ = {"c": 8}
    assert app.f(0) == (0, 7, 8)
    assert app.calls("f") == 1


def test_a_function_that_somebody_recompiles_is_left_to_them(load):
    app = load("def f():\n    return 1\n")
    theirs = (lambda: 2).__code__
    app.f.__code__ = theirs
    lifecycle.stop()
    assert app.module.f.__code__ is theirs
    assert app.module.f() == 2


def test_a_copy_of_a_hijacked_function_works_and_survives_the_release(load):
    app = load("def f(a):\n    return a + 1\n")
    twin = types.FunctionType(app.f.__code__, app.f.__globals__)
    assert twin(1) == 2
    lifecycle.stop()
    assert twin(1) == 2


def test_a_hijacked_function_can_call_any_of_its_frames_by_name(load):
    app = load(
        """
        import sys

        def here():
            return locals()

        def caller_of(n):
            return sys._getframe(n).f_code.co_name

        def asking():
            return caller_of(1)
        """
    )
    assert app.here() == {}
    assert app.asking() == "asking"
    assert "reads the frame of its caller" in app.why("caller_of")


def test_a_pickled_function_runs_in_a_process_pool(program, receiver):
    program.write("work.py", "def double(n):\n    return 2 * n\n")
    script = program.write(
        "script.py",
        """
        import pickle, sys
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from work import double

        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
                    print(list(pool.map(double, range(20), chunksize=5)))
        """,
    )
    ended = program.run([script], receiver.port)
    assert (ended.code, ended.out, ended.err) == (0, f"{[2 * n for n in range(20)]}\n" * 3, "")
    assert receiver.settle({"work:double": 60}) == {"work:double": 60}

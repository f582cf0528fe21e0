"""Every reference to a function is reached, also those that were taken before the agent came (H9)."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from importlib.machinery import SourceFileLoader

from tests.host.hijack.conftest import Watched

SOURCE = """
    import functools

    def plain(a, b=2, *rest, key=0, **more):
        return (a, b, rest, key, more)

    table = {"plain": plain}
    half = functools.partial(plain, 1)

    def passing(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)
        return wrapper

    def hiding(function):
        def wrapper(*args):
            return function(*args)
        return wrapper

    @passing
    def decorated(n):
        return n + 1

    @hiding
    @passing
    def twice_decorated(n):
        return n + 2

    @functools.lru_cache
    def remembered(n):
        return n + 3

    @functools.singledispatch
    def dispatched(x):
        return "any"

    @dispatched.register
    def _for_int(x: int):
        return "int"

    class Shop:
        def __init__(self, name):
            self.name = name

        def sell(self, what):
            return f"{self.name} sells {what}"

        @classmethod
        def open(cls, name):
            return cls(name)

        @staticmethod
        def price(n):
            return n * 3

        @property
        def sign(self):
            return self.name.upper()

        @sign.setter
        def sign(self, text):
            self.name = text

        @functools.cached_property
        def stock(self):
            return [self.name]

        class Till:
            def count(self):
                return 7

    shop = Shop("corner")
    sell = shop.sell

    def factory():
        def inner(n):
            return n * 2
        return inner

    made = factory()
"""


def test_a_reference_of_any_kind_reaches_the_hijack(load, write):
    write("neighbour", "from application import plain, Shop\nheld = [plain, Shop.price]\n")
    app = load(SOURCE)
    neighbour = importlib.import_module("neighbour")
    assert app.plain(1) == app.table["plain"](1) == app.half() == neighbour.plain(1) == neighbour.held[0](1)
    assert app.half(key=3, x=1) == (1, 2, (), 3, {"x": 1})
    assert app.calls("plain") == 6
    assert app.sell("tea") == "corner sells tea"
    assert app.shop.sell("tea") == app.Shop.sell(app.shop, "tea")
    assert app.calls("Shop.sell") == 3
    assert neighbour.held[1](2) == app.Shop.price(2) == app.shop.price(2) == 6
    assert app.calls("Shop.price") == 3


def test_a_reference_from_another_module_taken_before_the_agent_reaches_the_hijack(write, agent):
    write("application", SOURCE)
    write("neighbour", "from application import plain as renamed, sell, half\n")
    neighbour = importlib.import_module("neighbour")
    agent("application:*")
    assert neighbour.renamed(1) == neighbour.half()
    assert neighbour.sell("tea") == "corner sells tea"
    app = Watched(importlib.import_module("application"))
    assert (app.calls("plain"), app.calls("Shop.sell")) == (2, 1)


def test_what_a_decorator_wraps_is_counted_beside_its_wrapper(load):
    app = load(SOURCE)
    assert (app.decorated(1), app.twice_decorated(1)) == (2, 3)
    assert (app.remembered(1), app.remembered(1)) == (4, 4)
    assert (app.dispatched("x"), app.dispatched(1)) == ("any", "int")
    assert (app.calls("decorated"), app.calls("twice_decorated")) == (1, 1)
    assert app.calls("passing.<locals>.wrapper") == 2
    assert app.calls("hiding.<locals>.wrapper") == 1
    assert app.calls("remembered") == 1
    assert (app.calls("dispatched"), app.calls("_for_int")) == (1, 1)


def test_methods_of_every_kind_are_counted(load):
    app = load(SOURCE)
    shop = app.Shop.open("new")
    assert (shop.sign, shop.stock, shop.stock, shop.Till().count()) == ("NEW", ["new"], ["new"], 7)
    shop.sign = "old"
    assert shop.sign == "OLD"
    assert app.calls("Shop.open") == 1
    assert app.calls("Shop.sign") == 3
    assert app.calls("Shop.stock") == 1
    assert app.calls("Shop.Till.count") == 1


def test_a_closure_that_a_module_holds_is_counted(load):
    app = load(SOURCE)
    assert app.made(4) == 8
    assert app.calls("factory.<locals>.inner") == 1


def test_functions_of_the_main_script_are_counted_from_its_first_lines_on(program, receiver):
    script = program.write(
        "script.py",
        """
        def early(n):
            return n + 1

        results = [early(i) for i in range(3)]

        class Job:
            def run(self):
                return late(early(1))

        def late(n):
            return n * 2

        if __name__ == "__main__":
            print(sum(results) + Job().run())
        """,
    )
    ended = program.run([script], receiver.port)
    assert (ended.code, ended.out, ended.err) == (0, "10\n", "")
    expected = {"__main__:early": 4, "__main__:late": 1, "__main__:Job.run": 1}
    assert receiver.settle(expected) == expected


def test_a_hijacked_module_has_the_loader_it_has_without_the_agent(agent, write):
    write("application", "own = __loader__, __spec__.loader\ndef f():\n    return 1\n")
    agent("application:*")
    asked = importlib.util.find_spec("application")
    assert isinstance(asked.loader, SourceFileLoader)
    assert "def f()" in asked.loader.get_source("application")
    module = importlib.import_module("application")
    for loader in (*module.own, module.__loader__, module.__spec__.loader):
        assert type(loader) is SourceFileLoader
    assert pkgutil.get_data("application", "application.py").startswith(b"own")


def test_a_reloaded_module_and_one_that_loads_when_first_used_are_counted(agent, write):
    write("application", "def f():\n    return 1\n")
    agent("application:*", "lazy:*")
    app = Watched(importlib.import_module("application"))
    old = app.f
    importlib.reload(app.module)
    assert app.f is not old
    assert (app.f(), old()) == (1, 1)
    assert app.calls("f") == 1
    write("lazy", "import application\napplication.seen = True\ndef g():\n    return 2\n")
    spec = importlib.util.find_spec("lazy")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lazy)
    assert not hasattr(app.module, "seen")
    assert lazy.g() == 2
    assert app.seen is True


def test_imports_of_several_threads_go_on_while_the_agent_comes_up(program):
    for n in range(8):
        program.write(
            f"part{n}.py", f"import asyncio, email.message, http.client, part{(n + 1) % 8}\ndef f():\n    pass\n"
        )
    script = program.write(
        "script.py",
        """
        import builtins, importlib, threading

        def tracking(name, *more, real=builtins.__import__):
            return real(name, *more)

        builtins.__import__ = tracking  # takes the interpreter's short cut for what is loaded already
        threads = [threading.Thread(target=importlib.import_module, args=(f"part{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("loaded")
        """,
    )
    for _ in range(3):
        assert program.run([script], 9) == (0, "loaded\n", "")

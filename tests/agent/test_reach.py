"""What code reaches besides its arguments is found without running it, with the way there."""

from __future__ import annotations

import pytest
from module_under_test import application
from mystic_agent.cache.reach import reach
from mystic_agent.contract.analysis import REACH
from mystic_agent.strategies.named import holder_of

SOURCE = """
    import datetime, json, logging, os, random, socket, sqlite3, subprocess, threading, time, urllib.request, uuid
    import html as markup
    from contextvars import ContextVar
    from datetime import date
    from pathlib import Path
    from random import randint
    from time import time as moment

    user = ContextVar("user")
    here = threading.local()
    memo, listed = {}, []
    counter = 0
    log = logging.getLogger("app")
    SETTINGS = {"a": 1}

    def pure(x): return json.dumps(sorted(markup.escape(x).split())) + SETTINGS["a"] * "x"
    def says_time(): return time.time()
    def says_moment(): return moment()
    def says_now(): return datetime.datetime.now()
    def says_today(): return date.today()
    def measures(): time.sleep(0.1); return time.perf_counter()
    def rolls(): return random.random()
    def rolls_too(): return randint(1, 6)
    def names(): return uuid.uuid4()
    def reads_user(): return user.get()
    def reads_here(): return here.value
    def connects(): return socket.create_connection(("a", 1))
    def fetches(url): return urllib.request.urlopen(url).read()
    def asks(q): return sqlite3.connect(":memory:").execute(q)
    def runs(): return subprocess.run(["true"])
    def opens(p): return open(p).read()
    def writes(p):
        with open(p, "w") as file: file.write("x")
    def writes_path(p): Path(p).write_text("x")
    def removes(p): os.remove(p)
    def looks(p): return os.path.exists(p)
    def home(): return os.environ["HOME"]
    def logs(): log.info("x")
    def prints(): print("x")
    def counts():
        global counter
        counter += 1
    def remembers(x):
        memo[x] = 1
    def lists(x):
        listed.append(x)
    def local_list(x):
        listed = []; listed.append(x); return listed
    def imports():
        import time
        return time.time()
    def imports_from():
        from time import time as now
        return now()
    def deep(): return middle()
    def middle(): return says_time()
    def inner(): return [time.time() for _ in range(3)]
    def decorated(): return time.time()
    async def waits(): return says_time()
    def runs_none(): return (lambda: random.random())
    class Shop:
        def __init__(self): self.stock = 1
        def sell(self): self.stock -= 1
        def price(self): return self.fee()
        def fee(self): return time.time()
        @staticmethod
        def chance(): return random.random()
        def plain(self, x): return x + 1
    def makes(): return Shop()
    def recurses(n): return recurses(n - 1) if n else 0
    def even(n): return odd(n - 1) if n else True
    def odd(n): return even(n - 1) if n else False
    class Visitor:
        def visit(self, node): return getattr(self, "visit_" + node[0])(node)
        def visit_list(self, node): return [self.visit(one) for one in node[1:]]
        def render(self, parts): return [one.render() for one in parts]
        def plainly(self): return getattr(self, "x", None)

    class Based(Shop):
        def __init__(self, items): super().__init__(items)

    def builds(items): return Based(items)
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    with application(tmp_path_factory.mktemp("reach"), SOURCE) as (module, attachments):
        yield module, attachments


def touched(module, qualname):
    app, attachments = module
    [swap] = attachments.by_name[f"{app.__name__}:{qualname}"].swaps
    found = reach(swap.original, holder_of(app.__name__, qualname), lambda name: name == app.__name__)
    return {(one.category, one.name.replace(app.__name__, "app")): one.path for one in found}


@pytest.mark.parametrize(
    ("qualname", "category", "name"),
    [
        ("says_time", "time", "time.time"),
        ("says_moment", "time", "time.time"),
        ("says_now", "time", "datetime.datetime.now"),
        ("says_today", "time", "datetime.date.today"),
        ("measures", "clock", "time.perf_counter"),
        ("rolls", "random", "random.Random.random"),
        ("rolls_too", "random", "random.Random.randint"),
        ("names", "random", "uuid.uuid4"),
        ("reads_user", "context", "app:user"),
        ("reads_here", "context", "app:here"),
        ("connects", "network", "socket.create_connection"),
        ("fetches", "network", "urllib.request.urlopen"),
        ("asks", "database", "sqlite3.connect"),
        ("runs", "process", "subprocess.run"),
        ("opens", "file", "open"),
        ("writes", "writes", "open(…, 'w')"),
        ("writes_path", "writes", "….write_text"),
        ("removes", "writes", "os.remove"),
        ("looks", "file", "os.path.exists"),
        ("home", "environment", "os.environ"),
        ("prints", "logging", "print"),
        ("counts", "global", "app.counter"),
        ("remembers", "global", "app.memo"),
        ("lists", "global", "app.listed"),
        ("imports", "time", "time.time"),
        ("imports_from", "time", "time.time"),
        ("inner", "time", "time.time"),
        ("waits", "time", "time.time"),
        ("runs_none", "random", "random.Random.random"),
        ("Shop.sell", "self", "self.stock"),
        ("Shop.chance", "random", "random.Random.random"),
        ("recurses", "recursion", "app:recurses"),
        ("even", "recursion", "app:even"),
        ("Visitor.visit", "recursion", "getattr(self, …)"),
        ("Visitor.visit_list", "recursion", "getattr(self, …)"),
        ("Visitor.render", "recursion", "….render"),
    ],
)
def test_what_a_function_reaches_is_found_and_nothing_is_run_for_it(module, qualname, category, name):
    assert (category, name) in touched(module, qualname)
    assert category in REACH


def test_the_way_there_is_told(module):
    app = module[0].__name__
    assert touched(module, "deep")["time", "time.time"] == (f"{app}:deep", f"{app}:middle", f"{app}:says_time")
    assert touched(module, "Shop.price")["time", "time.time"] == (f"{app}:Shop.price", f"{app}:Shop.fee")


@pytest.mark.parametrize("qualname", ["pure", "Shop.plain", "local_list", "makes", "Visitor.plainly"])
def test_pure_functions_reach_nothing(module, qualname):
    assert touched(module, qualname) == {}


def test_the_constructor_of_a_base_is_no_recursion(module):
    assert "recursion" not in {category for category, _ in touched(module, "builds")}


def test_logging_is_told_apart_from_what_matters(module):
    assert {category for category, _ in touched(module, "logs")} == {"logging"}
    assert {category for category, _ in touched(module, "measures")} == {"clock"}

"""One application with a function of every form, and what a test asks of it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter

import pytest
from module_under_test import application, hijack, offer
from mystic_agent.contract.strategy import parse_strategy
from mystic_agent.strategies import Subject, known

SOURCE = """
    runs = []

    class Failure(Exception):
        pass

    class Needy(Exception):
        def __init__(self, one, two): ...

    failure = Failure("as it was")

    def _run(a, b, rest, c, more):
        runs.append(a)
        if a == "fail":
            raise failure
        return a, b, rest, c, more

    def plain(a, b=2, *rest, c=3, **more):
        return _run(a, b, rest, c, more)

    async def coroutine(a, b=2, *rest, c=3, **more):
        return _run(a, b, rest, c, more)

    def generator(n):
        runs.append(n)
        for i in range(n):
            yield i

    async def async_generator(n):
        runs.append(n)
        for i in range(n):
            yield i

    def other_plain(a, b=2, *rest, c=3, **more):
        return "other"

    async def other_coroutine(a, b=2, *rest, c=3, **more):
        return "other"

    class Thing:
        def method(self, a, b=2, *rest, c=3, **more):
            return _run(a, b, rest, c, more)

        @classmethod
        def by_class(cls, a, b=2, *rest, c=3, **more):
            return _run(a, b, rest, c, more)

        @staticmethod
        def static(a, b=2, *rest, c=3, **more):
            return _run(a, b, rest, c, more)

        def other_method(self, a, b=2, *rest, c=3, **more):
            return "other"

        @classmethod
        def other_by_class(cls, a, b=2, *rest, c=3, **more):
            return "other"

        @staticmethod
        def other_static(a, b=2, *rest, c=3, **more):
            return "other"
"""

CUSTOM = """
    class Through:
        def __init__(self, function, options):
            pass

        def call(self, call):
            return call.proceed()

        async def call_async(self, call):
            return await call.proceed()

    class Instead(Through):
        def call(self, call):
            return "other"

        async def call_async(self, call):
            return "other"
"""


class App:
    """The application and the hijacks in force in it."""

    def __init__(self, module, attachments):
        self.module = module
        self.attachments = attachments
        self.archive = attachments.archive = Kept()
        self.tracer = attachments.tracer

    @property
    def runs(self):
        return self.module.runs

    def name(self, qualname):
        return f"{self.module.__name__}:{qualname}"

    def apply(self, qualname, *strategies):
        """Put strategies on one function, in place of any others; return its report."""
        self.attachments.apply([hijack(self.name(qualname), *strategies)])
        return self.attachments.reports()[self.name(qualname)]

    def release(self):
        self.attachments.apply([])

    def function(self, qualname):
        """Return the plain function under a qualname."""
        holder = self.module
        for part in qualname.split("."):
            held = vars(holder)[part]
            holder = getattr(held, "__func__", held)
        return holder

    def bound(self, qualname):
        """Return what callers call."""
        if not qualname.startswith("Thing."):
            return getattr(self.module, qualname)
        return getattr(self.module.Thing(), qualname.partition(".")[2])

    def call(self, qualname, *args, **kwargs):
        """Call it, and run it to its end when it is a coroutine."""
        result = self.bound(qualname)(*args, **kwargs)
        return asyncio.run(result) if asyncio.iscoroutine(result) else result

    def decisions(self, qualname, strategy=None):
        """Return the counted decisions: ``outcome`` or ``outcome reason`` → count."""
        counted = Counter()
        for count in self.attachments.by_name[self.name(qualname)].meter.counts():
            told = dict(count.attributes)
            if count.metric == "mystic.function.decisions" and strategy in (None, told["mystic.strategy"]):
                counted[" ".join(filter(None, (told["mystic.decision"], told.get("mystic.reason"))))] += count.value
        return dict(counted)

    def calls(self, qualname):
        return self.attachments.by_name[self.name(qualname)].meter.calls


@pytest.fixture
def app_of(tmp_path):
    """Load an application of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda source: App(*stack.enter_context(application(tmp_path, source, traces=float("inf"))))


@pytest.fixture
def app(tmp_path, monkeypatch):
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        offer(tmp_path, module.__name__, CUSTOM, through="Through", instead="Instead")
        monkeypatch.syspath_prepend(tmp_path)
        yield App(module, attachments)
        sys.modules.pop(f"{module.__name__}_custom", None)


class Kept:
    """An archive in this process."""

    def __init__(self):
        self.outcomes = {}

    def keep(self, recording, outcome):
        self.outcomes[recording, outcome.function, outcome.key] = outcome

    def load(self, recording, function, most, take):
        found = [one for key, one in self.outcomes.items() if key[:2] == (recording, function)]
        take(found[:most])


class Steps:
    """A source of numbers or moments that a test sets; also a pause that takes no time and remembers its length."""

    def __init__(self, *values):
        self.values = list(values)
        self.slept = []
        self.now = 0

    def __call__(self):
        return self.values.pop(0) if self.values else self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += round(seconds * 1e9)

    async def wait(self, seconds):
        self.sleep(seconds)
        return True


@pytest.fixture
def steps():
    return Steps


@pytest.fixture
def staged(app):
    """Make one stage by hand, with a clock or chance of the test's own; return it and what counts its decisions."""

    def make(qualname, name, options=None, following=None, **parameters):
        strategy, attached = known(name), app.attachments.by_name[app.name(qualname)]
        [swap] = attached.swaps
        kind, meter, keep = attached.kind, attached.meter, attached.keep
        subject = Subject(
            attached.name, swap.original, swap.code, kind, meter, app.tracer, keep, app.attachments.allowed
        )
        chosen = parse_strategy({name: options or {}}, "s").options
        assert strategy.refuse(subject, chosen) == ""
        return strategy.make(subject, chosen, following or swap.original, **parameters)

    return make

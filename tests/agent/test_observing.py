"""Exact figures and right parents, for every kind of function."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest
from module_under_test import application, hijack

SOURCE = """
    import asyncio, functools

    def leaf(x=1):
        return x

    def branch():
        leaf()
        return leaf(2)

    def broken(kind):
        raise kind("no")

    async def pause(n=0):
        await asyncio.sleep(0)
        return leaf(n)

    async def tree():
        await asyncio.gather(pause(1), pause(2), asyncio.to_thread(branch))
        return branch()

    def counting(n):
        for i in range(n):
            got = yield i
            if got:
                yield got
        return "done"

    async def streaming(n):
        for i in range(n):
            got = yield i
            if got:
                yield got

    class Thing:
        def method(self): return leaf()
        @classmethod
        def klass(cls): return cls
        @staticmethod
        def static(): return 3
        @property
        def prop(self): return 4
        @functools.cached_property
        def once(self): return 5
        class Inner:
            def deep(self): return 6

    def outer(x):
        def inner(y):
            return x + y
        return inner

    early = outer(10)
    table = {"leaf": leaf}
    part = functools.partial(leaf, 9)
"""


@pytest.fixture
def app(tmp_path):
    with application(tmp_path, SOURCE) as made:
        yield made


def figures(attachments, module):
    return {a.qualname: a.meter.calls for a in attachments.by_name.values() if a.meter.calls}


def test_references_taken_before_the_agent_came_are_counted(app):
    module, attachments = app
    thing = module.Thing()
    bound = thing.method
    module.table["leaf"]()
    module.part()
    bound()
    thing.klass()
    module.Thing.static()
    assert (thing.prop, thing.once, thing.once) == (4, 5, 5)
    module.Thing.Inner().deep()
    assert figures(attachments, module) == {
        "leaf": 3,
        "Thing.method": 1,
        "Thing.klass": 1,
        "Thing.static": 1,
        "Thing.prop": 1,
        "Thing.once": 1,
        "Thing.Inner.deep": 1,
    }


def test_functions_defined_inside_others_are_counted_whether_made_before_or_after(app):
    module, attachments = app
    assert module.early(1) == 11
    assert module.outer(1)(1) == 2
    assert figures(attachments, module) == {"outer": 1, "outer.<locals>.inner": 2}


def test_errors_are_counted_and_control_flow_is_not(app):
    module, attachments = app
    for kind in (ValueError, KeyError, StopIteration, KeyboardInterrupt, SystemExit, asyncio.CancelledError):
        with pytest.raises(kind):
            module.broken(kind)
    reading = attachments.by_name[f"{module.__name__}:broken"].meter.read()
    assert sum(reading.buckets) == 6
    assert reading.errors == 2


def test_total_and_extremes_bound_the_histogram(app):
    module, attachments = app
    for _ in range(500):
        module.branch()
    reading = attachments.by_name[f"{module.__name__}:branch"].meter.read()
    lowest = next(b for b, count in enumerate(reading.buckets) if count)
    highest = max(b for b, count in enumerate(reading.buckets) if count)
    assert sum(reading.buckets) == 500
    assert reading.min_ns.bit_length() == lowest
    assert reading.max_ns.bit_length() == highest
    assert reading.min_ns * 500 <= reading.total_ns <= reading.max_ns * 500


def test_extremes_of_the_whole_life_survive_the_intervals(app):
    module, attachments = app
    meter = attachments.by_name[f"{module.__name__}:leaf"].meter
    module.leaf()
    first = meter.read()
    meter.forget_extremes()
    for _ in range(100):
        module.leaf()
    after = meter.read()
    assert after.min_ns <= first.min_ns
    assert after.max_ns >= first.max_ns


def test_no_call_is_lost_when_many_threads_call_at_once(app):
    module, attachments = app
    threads, each = 16, 3000
    barrier = threading.Barrier(threads)

    def work():
        barrier.wait()
        for _ in range(each):
            module.leaf()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    reading = attachments.by_name[f"{module.__name__}:leaf"].meter.read()
    assert sum(reading.buckets) == threads * each


def test_generators_keep_their_protocol_and_count_once(app):
    module, attachments = app
    one = module.counting(3)
    assert next(one) == 0
    assert one.send("sent") == "sent"
    assert list(one) == [1, 2]
    two = module.counting(3)
    next(two)
    with pytest.raises(KeyError):
        two.throw(KeyError("k"))
    three = module.counting(3)
    next(three)
    three.close()
    reading = attachments.by_name[f"{module.__name__}:counting"].meter.read()
    assert (sum(reading.buckets), reading.errors) == (3, 1)


def test_async_generators_keep_their_protocol_and_count_once(app):
    module, attachments = app

    async def use():
        one = module.streaming(2)
        assert await one.__anext__() == 0
        assert await one.asend("sent") == "sent"
        assert [i async for i in one] == [1]
        two = module.streaming(2)
        await two.asend(None)
        with pytest.raises(KeyError):
            await two.athrow(KeyError("k"))
        three = module.streaming(2)
        await three.asend(None)
        await asyncio.create_task(three.aclose())

    asyncio.run(use())
    reading = attachments.by_name[f"{module.__name__}:streaming"].meter.read()
    assert (sum(reading.buckets), reading.errors) == (3, 1)


def test_a_sampled_trace_has_the_parents_that_the_calls_had(tmp_path):
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        attachments.tracer.arm(1)
        asyncio.run(module.tree())
        spans = attachments.tracer.collect()
    by_id = {span.span_id: span for span in spans}
    edges = sorted(
        (span.function.partition(":")[2], by_id[span.parent_id].function.partition(":")[2] if span.parent_id else "")
        for span in spans
    )
    assert edges == sorted(
        [("tree", "")]
        + [("pause", "tree")] * 2
        + [("leaf", "pause")] * 2
        + [("branch", "tree")] * 2
        + [("leaf", "branch")] * 4
    )
    assert len({span.trace_id for span in spans}) == 1


def test_spans_in_threads_that_share_a_context_do_not_mix(tmp_path):
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        source = vars(module)
        exec("async def wide():\n    await asyncio.gather(*(asyncio.to_thread(branch) for _ in range(40)))\n", source)
        source["wide"].__code__ = source["wide"].__code__.replace(co_filename=module.__file__)
        attachments.arrive(module)
        attachments.tracer.arm(1)
        asyncio.run(module.wide())
        spans = attachments.tracer.collect()
    by_id = {span.span_id: span.function.partition(":")[2] for span in spans}
    parents = sorted((span.function.partition(":")[2], by_id.get(span.parent_id, "")) for span in spans)
    assert parents == [("branch", "wide")] * 40 + [("leaf", "branch")] * 80 + [("wide", "")]


def test_without_a_wanted_trace_the_first_call_of_each_function_and_errors_are_kept(tmp_path):
    with application(tmp_path, SOURCE, traces=1.0) as (module, attachments):
        module.branch()
        module.branch()
        with pytest.raises(ValueError, match="no"):
            module.broken(ValueError)
        spans = attachments.tracer.collect()
    names = [span.function.partition(":")[2] for span in spans]
    assert sorted(names) == ["branch", "broken", "leaf"]
    assert [span.error for span in spans if span.error] == [("ValueError", "no")]


def test_a_running_opentelemetry_trace_is_joined(tmp_path):
    trace = pytest.importorskip("opentelemetry.sdk.trace", reason="the application side of this test needs the SDK")
    tracer = trace.TracerProvider().get_tracer("app")
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        attachments.tracer.arm(1)
        with tracer.start_as_current_span("theirs") as theirs:
            module.branch()
        spans = {span.function.partition(":")[2]: span for span in attachments.tracer.collect()}
    context = theirs.get_span_context()
    assert spans["branch"].trace_id == context.trace_id.to_bytes(16, "big")
    assert spans["branch"].parent_id == context.span_id.to_bytes(8, "big")
    assert spans["leaf"].parent_id == spans["branch"].span_id


def test_a_function_that_reads_its_callers_frame_is_left_alone_and_named(tmp_path):
    with application(tmp_path, "import sys\ndef peek():\n    return sys._getframe(1).f_code.co_name\n") as (
        module,
        attachments,
    ):
        report = attachments.reports()[f"{module.__name__}:peek"]
        assert module.peek() == "test_a_function_that_reads_its_callers_frame_is_left_alone_and_named"
    assert (report.state, report.reason) == ("skipped", "reads the frame of its caller")


def test_hijacks_come_and_go_and_what_is_missing_is_named(app):
    module, attachments = app
    name = module.__name__
    attachments.apply([hijack(f"{name}:leef", "observe"), hijack("no.such.module:f", "observe", identity="h2")])
    reports = attachments.reports()
    assert reports[f"{name}:leef"].state == "failed"
    assert "close: leaf" in reports[f"{name}:leef"].reason
    assert reports["no.such.module:f"].state == "pending"


def test_c_functions_are_observed_and_the_references_that_are_missed_are_named(app):
    import math

    module, attachments = app
    module.sqrt = math.sqrt
    before = math.sqrt
    attachments.apply([hijack("math:sqrt", "observe")])
    assert math.sqrt(4) == 2
    report = attachments.reports()["math:sqrt"]
    assert (report.state, report.kind) == ("attached", "native")
    assert f"{module.__name__}.sqrt" in report.references
    assert attachments.by_name["math:sqrt"].meter.calls == 1
    attachments.apply([])
    assert math.sqrt is before


def test_the_agent_does_not_hijack_itself(app):
    _, attachments = app
    attachments.apply([hijack("mystic_agent.guard:Guard.run", "observe")])
    assert attachments.reports()["mystic_agent.guard:Guard.run"].state == "failed"

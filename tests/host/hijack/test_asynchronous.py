"""Generators, tasks and executors: values, ends and parents are right (H11, H12)."""

from __future__ import annotations

import asyncio
import contextlib
import inspect

import pytest
from mystic_agent import lifecycle

GENERATORS = """
    import contextlib

    log = []

    def counting(n):
        try:
            for i in range(n):
                got = yield i
                if got is not None:
                    log.append(got)
            return "done"
        except ValueError as error:
            log.append(str(error))
            yield "caught"
        finally:
            log.append("closed")

    def delegating(n):
        result = yield from counting(n)
        log.append(result)

    async def streaming(n):
        try:
            for i in range(n):
                got = yield i
                if got is not None:
                    log.append(got)
        except ValueError as error:
            log.append(str(error))
            yield "caught"
        finally:
            log.append("closed")

    @contextlib.contextmanager
    def managed():
        log.append("in")
        try:
            yield 1
        finally:
            log.append("out")

    @contextlib.asynccontextmanager
    async def managed_later():
        log.append("in")
        try:
            yield 1
        finally:
            log.append("out")
"""


@pytest.fixture(params=[0.0, float("inf")], ids=["not sampled", "every call sampled"])
def generators(request, early):
    return early(GENERATORS, sample_rate=request.param)


def _spans(app, qualname):
    spans = lifecycle.current().tracer.collect()
    return [span for span in spans if span.function == f"{app.module.__name__}:{qualname}"]


def test_a_generator_takes_and_gives_all_it_does_without_the_agent(generators):
    app = generators
    assert list(app.counting(3)) == [0, 1, 2]
    one = app.counting(3)
    assert (next(one), one.send("hello"), one.throw(ValueError("thrown"))) == (0, 1, "caught")
    with pytest.raises(StopIteration):
        next(one)
    ended = app.counting(0)
    with pytest.raises(StopIteration) as stop:
        next(ended)
    assert stop.value.value == "done"
    assert app.log == ["closed", "hello", "thrown", "closed", "closed"]
    assert app.calls("counting") == 3
    del app.log[:]
    assert list(app.delegating(2)) == [0, 1]
    assert app.log == ["closed", "done"]


def test_a_generator_that_is_left_or_dropped_is_closed_at_once(generators):
    app = generators
    for i in app.counting(5):
        if i == 2:
            break
    assert app.log == ["closed"]
    one = app.counting(5)
    next(one)
    one.close()
    one.close()
    assert app.log == ["closed", "closed"]
    with pytest.raises(StopIteration):
        next(one)
    never_begun = app.counting(5)
    del never_begun
    assert app.calls("counting") == 2


def test_a_generator_says_of_itself_what_it_says_without_the_agent(generators):
    one = generators.counting(2)
    assert inspect.getgeneratorstate(one) == inspect.GEN_CREATED
    next(one)
    assert inspect.getgeneratorstate(one) == inspect.GEN_SUSPENDED
    assert (one.__name__, one.__qualname__) == ("counting", "counting")
    one.close()
    assert inspect.getgeneratorstate(one) == inspect.GEN_CLOSED


def test_a_context_manager_made_of_a_generator_works(generators):
    app = generators

    async def use():
        async with app.managed_later() as got:
            assert got == 1
        with pytest.raises(KeyError):
            async with app.managed_later():
                raise KeyError(1)

    with app.managed() as got:
        assert got == 1
    with pytest.raises(KeyError), app.managed():
        raise KeyError(1)
    asyncio.run(use())
    assert app.log == ["in", "out"] * 4
    assert (app.calls("managed"), app.calls("managed_later")) == (2, 2)


def test_an_async_generator_takes_and_gives_all_it_does_without_the_agent(generators):
    app = generators

    async def use():
        assert [i async for i in app.streaming(3)] == [0, 1, 2]
        one = app.streaming(3)
        assert (await one.__anext__(), await one.asend("hello")) == (0, 1)
        assert await one.athrow(ValueError("thrown")) == "caught"
        with pytest.raises(StopAsyncIteration):
            await one.__anext__()
        async with contextlib.aclosing(app.streaming(5)) as left:
            async for i in left:
                if i == 2:
                    break

    asyncio.run(use())
    assert app.log == ["closed", "hello", "thrown", "closed", "closed"]
    assert app.calls("streaming") == 3


def test_an_async_generator_may_be_closed_by_another_task_or_by_the_loop(generators):
    app = generators
    problems = []

    async def use():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        one, dropped, never_begun = app.streaming(5), app.streaming(5), app.streaming(5)
        assert await one.__anext__() == 0
        await asyncio.create_task(one.aclose())
        assert await dropped.__anext__() == 0
        del dropped, never_begun
        await asyncio.sleep(0)
        kept = app.streaming(5)
        assert await kept.__anext__() == 0
        return kept

    asyncio.run(use())
    assert (problems, app.log) == ([], ["closed"] * 3)
    assert app.calls("streaming") == 3


def test_every_call_of_a_generator_is_one_span_however_it_ends(early):
    app = early(
        GENERATORS + "\n    def root():\n        list(counting(2))\n        next(counting(2))\n"
        "        for i in counting(9):\n            break\n",
        sample_rate=float("inf"),
    )
    app.root()
    assert len(_spans(app, "counting")) == 3
    assert all(fault["where"] != "observe" for fault in lifecycle.current().status()["faults"])


def test_a_cache_on_a_generator_is_refused_with_the_reason(generators):
    app = generators
    name = app.module.__name__
    app.apply({"id": "h", "target": f"{name}:counting", "stages": [{"cache": {}}]})
    assert app.calls("counting") == -1
    assert "generator" in app.why("counting")
    assert list(app.counting(2)) == [0, 1]


TASKS = """
    import asyncio, contextvars

    said = contextvars.ContextVar("said", default="nobody")

    async def leaf(n):
        await asyncio.sleep(0)
        return n

    async def branch(n):
        said.set(n)
        a = await leaf(n)
        b = await asyncio.create_task(leaf(n + 1))
        assert said.get() == n
        return a + b

    def blocking(n):
        return counted(n) if said.get() != "nobody" else -1

    def counted(n):
        return n

    async def root():
        said.set("root")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(branch(n)) for n in (1, 2, 3)]
        threaded = await asyncio.to_thread(blocking, 5)
        return [task.result() for task in tasks], threaded, said.get()

    async def waiting(event):
        event.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            cancelled.append(error)
            raise

    cancelled = []

    async def cancelling():
        event = asyncio.Event()
        task = asyncio.create_task(waiting(event))
        await event.wait()
        task.cancel("enough")
        try:
            await task
        except asyncio.CancelledError as error:
            return task.cancelled(), error.args

    async def timing_out():
        try:
            async with asyncio.timeout(0):
                await waiting(asyncio.Event())
        except TimeoutError:
            return "in time"

    async def failing_group():
        async def bad():
            raise ValueError("bad")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(bad())
                group.create_task(waiting(asyncio.Event()))
        except* ValueError as several:
            caught = [str(error) for error in several.exceptions]
        return caught
"""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Run a coroutine to its end on one of the loops."""
    if request.param == "asyncio":
        return asyncio.run
    uvloop = pytest.importorskip("uvloop")

    def run_on_uvloop(work):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)

    return run_on_uvloop


def test_spans_have_the_parents_that_called_them_across_tasks_and_threads(early, run):
    app = early(TASKS, sample_rate=float("inf"))
    assert run(app.root()) == ([3, 5, 7], 5, "root")
    spans = lifecycle.current().tracer.collect()
    [root] = [span for span in spans if span.function == "application:root"]
    names = {span.span_id: span.function.partition(":")[2] for span in spans}
    traced = [span for span in spans if span.trace_id == root.trace_id]
    children = sorted((names.get(span.parent_id, ""), names[span.span_id]) for span in traced)
    assert children == sorted(
        [("", "root"), ("root", "blocking"), ("blocking", "counted")]
        + [("root", "branch")] * 3
        + [("branch", "leaf")] * 6
    )
    assert app.calls("leaf") == 6


@pytest.mark.parametrize("rate", [0.0, float("inf")])
def test_cancellation_passes_through_and_is_no_error(early, run, rate):
    app = early(TASKS, sample_rate=rate)
    assert run(app.cancelling()) == (True, ("enough",))
    assert run(app.timing_out()) == "in time"
    assert run(app.failing_group()) == ["bad"]
    meter = lifecycle.current().attachments.by_name["application:waiting"].meter
    assert (meter.calls, meter.read().errors) == (len(app.cancelled), 0)
    assert len(app.cancelled) >= 2


def test_a_coroutine_that_is_never_awaited_is_warned_about_by_its_name(early):
    app = early(TASKS)
    with pytest.warns(RuntimeWarning, match=r"coroutine 'leaf' was never awaited"):
        app.leaf(1)
    assert app.calls("leaf") == 0


def test_an_asynchronous_call_in_a_thread_pool_keeps_its_own_context(early):
    app = early(TASKS, sample_rate=float("inf"))

    async def use():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(None, app.blocking, n) for n in range(20)))

    assert asyncio.run(use()) == [-1] * 20
    assert app.calls("blocking") == 20


def test_the_first_connection_of_a_loop_that_is_loaded_late_is_seen(program, receiver):
    """A pool that opens its connections when the application starts keeps them; none may be missed until a tick."""
    pytest.importorskip("uvloop")
    program.write(
        "serving.py",
        """
        import asyncio, socket, sys, threading
        from mystic_agent import lifecycle

        def serve(listening):
            connection, _ = listening.accept()
            connection.sendall(connection.recv(100))
            connection.close()

        async def talk(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            return await reader.read()

        def main():
            lifecycle.flush(10)  # nothing is looked at by the clock from here on
            assert "uvloop" not in sys.modules
            import uvloop
            with socket.create_server(("127.0.0.1", 0)) as listening:
                answering = threading.Thread(target=serve, args=(listening,))
                answering.start()
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    assert runner.run(talk(listening.getsockname()[1])) == b"hello"
                answering.join()
            counted = lifecycle.current().external.counts()
            print([dict(count.attributes)["mystic.function"] for count in counted])

        if __name__ == "__main__":
            main()
        """,
    )
    ended = program.run(["serving.py"], receiver.port, MYSTIC_EXPORT_INTERVAL="1h")
    assert (ended.code, ended.err) == (0, "")
    assert "__main__:talk" in ended.out

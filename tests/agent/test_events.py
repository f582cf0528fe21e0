"""Events that strategies tell: bounded, never in the way, and tied to the call that is running."""

from __future__ import annotations

import threading
import time

from module_under_test import application, hijack
from mystic_agent.observe.events import LONGEST_BODY, LONGEST_VALUE, MOST_ATTRIBUTES, NOWHERE, EventQueue, Events


def test_an_event_carries_its_function_its_time_and_its_attributes() -> None:
    queue = EventQueue()
    before = time.time_ns()
    Events("shop:buy", queue).put("mystic.snapshot", "text", severity=17, number=3, **{"mystic.x": True})

    [event] = queue.collect()
    assert (event.name, event.body, event.severity) == ("mystic.snapshot", "text", 17)
    assert event.attributes == (("mystic.function", "shop:buy"), ("number", 3), ("mystic.x", True))
    assert before <= event.time_ns <= time.time_ns()
    assert (event.trace_id, event.span_id) == (b"", b"")
    assert queue.collect() == []


def test_what_is_beyond_the_bounds_is_dropped_and_counted() -> None:
    queue = EventQueue(3)
    for number in range(5):
        Events("a:b", queue).put("e", n=number)
    assert [dict(event.attributes)["n"] for event in queue.collect()] == [0, 1, 2]
    assert queue.dropped == 2

    heavy = EventQueue(100, most_bytes=10_000)
    for _ in range(5):
        Events("a:b", heavy).put("e", "x" * 4000)
    assert (len(heavy.collect()), heavy.dropped) == (2, 3)
    Events("a:b", heavy).put("e", "x" * 4000)
    assert len(heavy.collect()) == 1, "room comes back with the collection"

    NOWHERE.put("e")


def test_one_event_is_bounded_in_text_and_attributes() -> None:
    queue = EventQueue()
    Events("a:b", queue).put("n" * 10_000, "b" * 10**6, **{f"k{n}": "v" * 10**6 for n in range(200)})

    [event] = queue.collect()
    assert len(event.name) <= 200
    assert len(event.body) == LONGEST_BODY
    assert len(event.attributes) == MOST_ATTRIBUTES + 1
    assert max(len(str(value)) for _, value in event.attributes) == LONGEST_VALUE


def test_threads_lose_no_count() -> None:
    queue = EventQueue(1000)
    start = threading.Barrier(8)
    taken: list[int] = []

    def tell() -> None:
        start.wait(20)
        for _ in range(500):
            Events("a:b", queue).put("e", "x")

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken.append(len(queue.collect()))
    for thread in threads:
        thread.join()
    taken.append(len(queue.collect()))
    assert sum(taken) + queue.dropped == 4000
    assert queue._bytes == 0, "what was collected weighs nothing any more"


SOURCE = """
    def work(): ...
"""


def test_an_event_in_a_sampled_call_has_the_ids_of_its_span(tmp_path) -> None:
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        attachments.apply([hijack(f"{module.__name__}:work", "log")])
        attachments.tracer.arm(1)
        [swap] = attachments.by_name[f"{module.__name__}:work"].swaps
        subject = attachments._subject(attachments.by_name[f"{module.__name__}:work"], swap)

        class Handler:
            level = 0

            def handle(self, record: object) -> None:
                subject.events.put("inside")

        import logging

        logger = logging.getLogger("mystic.calls")
        logger.addHandler(Handler())
        logger.setLevel(logging.INFO)
        try:
            module.work()
        finally:
            logger.handlers.clear()
            logger.setLevel(logging.NOTSET)
        [span] = attachments.tracer.collect()
        [event] = [one for one in attachments.events.collect() if one.name == "inside"]
        assert (event.trace_id, event.span_id) == (span.trace_id, span.span_id)


def test_a_forked_child_tells_none_of_its_parents_events() -> None:
    queue = EventQueue(1)
    Events("a:b", queue).put("e")
    Events("a:b", queue).put("e")
    queue.reset()
    assert (queue.collect(), queue.dropped) == ([], 0)

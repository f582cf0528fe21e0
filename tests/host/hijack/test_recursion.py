"""No re-entry and no new RecursionError, whatever is hijacked (H17)."""

from __future__ import annotations

import logging
import sys

import pytest
from mystic_agent import lifecycle

DEEP = """
    import sys, threading

    def down(n):
        return 0 if n == 0 else 1 + down(n - 1)

    class Node:
        def down(self, n, *rest, **more):
            return 0 if n == 0 else 1 + self.down(n - 1, *rest, **more)

    def depth():
        "How many frames of the application's are above."
        frame, n = sys._getframe(), 0
        while frame is not None:
            n += not frame.f_code.co_filename.startswith("<mystic")
            frame = frame.f_back
        return n
"""


@pytest.fixture(autouse=True)
def limit():
    before = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("rate", [0.0, float("inf")], ids=["not sampled", "every call sampled"])
def test_recursion_to_95_percent_of_the_limit_works(load, rate):
    app = load(DEEP, sample_rate=rate)
    deep = int(sys.getrecursionlimit() * 0.95) - app.depth()
    assert app.down(deep) == deep
    # 3.12 counts calls of methods with * and ** against a limit of its own C stack, at some 750, also without us.
    starred = min(deep, 600) if sys.version_info[:2] == (3, 12) else deep
    assert app.Node().down(starred, 1, a=2) == starred


def test_recursion_to_95_percent_works_after_the_application_has_set_the_limit(load):
    app = load(DEEP)
    for limit in (3000, 400):
        sys.setrecursionlimit(limit)
        assert sys.getrecursionlimit() == limit
        deep = int(limit * 0.95) - app.depth()
        assert app.down(deep) == deep


def test_recursion_to_95_percent_works_in_a_thread(program):
    script = program.write(
        "script.py",
        """
        import sys, threading

        def down(n):
            return 0 if n == 0 else 1 + down(n - 1)

        def work():
            deep = int(sys.getrecursionlimit() * 0.95)
            print(down(deep - 10) == deep - 10)

        for limit in (1000, 5000):
            sys.setrecursionlimit(limit)
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        work()
        """,
    )
    ended = program.run([script], 9)
    assert ended == program.run([script]) == (0, "True\nTrue\nTrue\n", "")


def test_endless_recursion_still_ends_in_a_recursion_error(load):
    app = load("def endless(n):\n    return endless(n + 1)\n")
    with pytest.raises(RecursionError, match="maximum recursion depth exceeded"):
        app.endless(0)
    assert app.calls("endless") > 100


@pytest.mark.parametrize("value", [0, -1, "many", 10**12, None])
def test_a_bad_limit_is_refused_as_without_the_agent(agent, value):
    def refusal():
        with pytest.raises((ValueError, TypeError, OverflowError)) as refused:
            sys.setrecursionlimit(value)
        return type(refused.value), str(refused.value)

    before = sys.getrecursionlimit()
    without = refusal()
    agent("nothing:*")
    assert refusal() == without
    assert sys.getrecursionlimit() == before


HIJACKED_STDLIB = "json:*,json.*:*,logging:*,threading:*,queue:*,re:*,socket:*,contextlib:*,functools:*,weakref:*,abc:*"


def test_hijacking_what_the_agent_itself_uses_changes_nothing_and_counts_the_application_alone(program, receiver):
    script = program.write(
        "script.py",
        """
        import json, logging, queue, re, threading

        logging.basicConfig(format="%(levelname)s %(message)s")

        def work():
            for n in range(100):
                assert json.loads(json.dumps({"n": n})) == {"n": n}

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        logging.warning("hello %s", re.sub("a", "b", "banana"))
        lines = queue.Queue()
        lines.put("x")
        print(lines.get(), threading.active_count() >= 1)
        """,
    )
    without = program.run([script])
    ended = program.run([script], receiver.port, MYSTIC_TARGETS=HIJACKED_STDLIB, MYSTIC_TRACES_PER_SECOND="all")
    assert ended == without == (0, "x True\n", "WARNING hello bbnbnb\n")
    expected = {"json:loads": 400, "json:dumps": 400, "json.decoder:JSONDecoder.decode": 400, "logging:warning": 1}
    assert receiver.settle(expected) == expected


def test_logging_and_caching_what_logging_itself_calls_does_not_recur(load, caplog):
    app = load("import logging\n\ndef work(n):\n    logging.getLogger('app').warning('work %s', n)\n    return n\n")
    app.apply(
        {"id": "a", "target": "logging:*", "stages": [{"log": {"level": "warning"}}]},
        {"id": "b", "target": "application:work", "stages": [{"log": {"level": "warning", "result": True}}]},
    )
    with caplog.at_level(logging.WARNING):
        assert app.work(3) == 3
    lifecycle.stop()
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("work 3") == 1
    assert any(message.startswith("application:work(n=3) returned 3") for message in messages)


@pytest.mark.parametrize(
    "target", ["mystic_agent.link.link:Link.flush", "mystic_agent.*:*", "wrapt:*", "mystic_bootstrap:activate"]
)
def test_the_agent_refuses_to_hijack_itself(load, target):
    app = load("def f():\n    return 1\n")
    app.apply({"id": "h", "target": target, "stages": [{"log": {}}]})
    agent = lifecycle.current()
    report = agent.report(True)
    [refused] = [one for one in report.functions if one.hijacks == ("h",)]
    assert refused.state == "failed"
    assert refused.reason
    assert not any(name.startswith(("mystic_", "wrapt")) for name in agent.attachments.by_name)
    assert app.f() == 1

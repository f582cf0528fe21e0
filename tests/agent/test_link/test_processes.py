"""The link as a guest: forks, exit and footprint, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

HEAD = """
import os, sys, threading
from mystic_agent import link as links
from mystic_agent.otlp import encode_resource
from mystic_agent.outbox import Outbox
from mystic_agent.records import Batch, Count

applied = threading.Event()

def make(name, port, **more):
    endpoint = links.Endpoint("127.0.0.1", port, service="shop", instance=name)
    return links.Link(endpoint, collect=lambda: Batch([], [], [Count("n", 1)]), report=lambda complete: None,
                      apply=lambda *_: applied.set(), resource=encode_resource((("service.instance.id", name),)),
                      start_ns=1, outbox=Outbox(), on_fault=lambda *_: None, **more)

port = int(sys.argv[1])
"""


def run(script: str, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEAD + script, str(port)], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_main_thread_pays_for_none_of_the_imports_and_nobody_for_the_heavy_ones(collector, event) -> None:
    collector.greeting = [event(1)]

    done = run(
        """
def loaded(*names):
    return [name for name in names if name in sys.modules]

link = make("one", port)
late = loaded("socket", "json", "zlib")
link.start()
assert applied.wait(20) and link.flush(20)
print(late, loaded("http.client", "email", "ssl", "urllib.parse", "urllib.request", "random", "gzip", "asyncio"))
print(sorted(thread.name for thread in link._threads() if thread.is_alive()), threading.active_count())
link.stop(20)
print([thread.name for thread in link._threads() if thread.is_alive()])
""",
        collector.port,
    )

    assert done.stderr == ""
    assert done.stdout.split("\n") == ["[] []", "['mystic-link', 'mystic-listen', 'mystic-send'] 1", "[]", ""]


def test_children_forked_at_any_moment_make_links_of_their_own_and_leave_the_parents_alone(collector, event) -> None:
    collector.greeting = [event(1)]

    done = run(
        """
import gc, warnings
warnings.simplefilter("ignore")
os.register_at_fork(before=links.hold, after_in_parent=links.let_go, after_in_child=links.renew)
link = make("parent", port, interval=0.001)
link.start()
for i in range(40):
    child = os.fork()
    if not child:
        link.abandon()
        own = make(f"child{i}", port, interval=3600)
        del link
        gc.collect()
        own.start()
        os._exit(0 if own.flush(30) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, i
assert link.connected and link.flush(30)
link.stop(20)
""",
        collector.port,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    opened = [asked.path for asked in collector.asked if "instance=parent" in asked.path]
    assert len(opened) == 1, "the parent's stream was never broken"
    assert sum(b"child" in posted.body for posted in map(unzipped, collector.of("/v1/metrics"))) >= 40


def unzipped(posted):
    import gzip

    return posted._replace(body=gzip.decompress(posted.body))


def test_a_process_that_ends_without_a_word_ends_at_once_and_quietly(collector) -> None:
    done = run("link = make('one', port)\nlink.start()\nsys.exit(3)", collector.port)

    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_stop_in_a_child_says_nothing_on_the_parents_connection(collector, event) -> None:
    collector.greeting = [event(1)]

    done = run(
        """
import warnings
warnings.simplefilter("ignore")
link = make("parent", port)
link.start()
assert applied.wait(20)
child = os.fork()
if not child:
    link.stop(20)
    os._exit(link.flush(20))
assert os.waitpid(child, 0)[1] == 0
assert link.connected and link.flush(20)
""",
        collector.port,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(collector.asked) == 1

"""Celery workers that live for one task, and applications whose threads are greenlets (H6, H8)."""

from __future__ import annotations

import pytest

from tests.host.hijack.serving import WSGI

REQUESTS = 60
CELERY = """
    import os
    from celery import Celery

    app = Celery("tasks", broker="filesystem://")
    folder = os.path.dirname(__file__)
    app.conf.broker_transport_options = {
        "data_folder_in": folder + "/queue", "data_folder_out": folder + "/queue", "control_folder": folder + "/control"
    }
    app.conf.task_ignore_result = True

    def compute(n):
        return n * n

    @app.task
    def work(n):
        compute(n)

    if __name__ == "__main__":
        for n in range(10):
            work.delay(n)
"""


def test_every_task_of_a_celery_worker_that_lives_for_one_task_is_counted(program, receiver, serve, installed):
    script = program.write("tasks.py", CELERY)
    (program.folder / "queue").mkdir()
    python = installed("celery")
    assert program.run([script], python=python[0]) == (0, "", "")
    argv = [*python, "-A", "tasks", "worker", "-c", "5", "--max-tasks-per-child", "1", "--without-mingle"]
    worker = serve([*argv, "--without-gossip", "--without-heartbeat"], wait=False, MYSTIC_EXPORT_INTERVAL="30s")
    assert receiver.settle({"tasks:compute": 10}) == {"tasks:compute": 10}
    assert receiver.processes("tasks:compute") == 10
    worker.stop()


GREEN = """
    {patch}
    import queue, socket, threading, time

    lock = threading.RLock()

    def leaf(n):
        with lock:
            time.sleep(0.001)
        return n

    def work(n):
        return leaf(n) + 1

    def main():
        {spawn}
        received = queue.Queue()
        threads = [threading.Thread(target=lambda n=n: received.put(work(n))) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        print(sorted(done) == list(range(1, 81)), received.qsize())

    main()
"""
GEVENT = "jobs = [gevent.spawn(work, n) for n in range(80)]; gevent.joinall(jobs); done = [job.value for job in jobs]"


@pytest.mark.parametrize("traces", ["5", "all"])
def test_calls_of_greenlets_are_counted_when_gevent_patches_everything_after_the_agent(
    program, receiver, installed, traces
):
    patch = "import gevent.monkey; gevent.monkey.patch_all(); import gevent"
    script = program.write("script.py", GREEN.replace("{patch}", patch).replace("{spawn}", GEVENT))
    python = installed("gunicorn")[0]
    without = program.run([script], python=python)
    assert without == (0, "True 20\n", "")
    assert program.run([script], receiver.port, python=python, MYSTIC_TRACES_PER_SECOND=traces) == without
    counts = {"__main__:work": 100, "__main__:leaf": 100}
    assert receiver.settle(counts) == counts


def test_the_agent_steps_aside_for_eventlet_in_one_line(program, receiver, installed):
    patch = "import eventlet; eventlet.monkey_patch()"
    spawn = "done = list(eventlet.GreenPool(80).imap(work, range(80)))"
    script = program.write("script.py", GREEN.replace("{patch}", patch).replace("{spawn}", spawn))
    python = installed("gunicorn")[0]
    without = program.run([script], python=python)
    ended = program.run([script], receiver.port, python=python)
    assert (ended.code, ended.out) == (without.code, without.out) == (0, "True 20\n")
    assert ended.err.count("mystic: eventlet replaces locks") == 1
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("options", [["--preload"], []], ids=["loaded before the fork", "loaded by each worker"])
def test_every_request_to_gevent_workers_of_gunicorn_is_counted_once(program, receiver, serve, installed, options):
    program.write("site_wsgi.py", WSGI)
    # A gevent worker misses the SIGTERM of its master now and then, without the agent too; it is killed so much later.
    argv = [*installed("gunicorn"), "-k", "gevent", "-w", "2", "-b", "127.0.0.1:PORT", "--graceful-timeout", "3"]
    server = serve([*argv, "--no-control-socket", *options, "site_wsgi:application"])
    server.ask_often(REQUESTS)
    assert receiver.settle({"site_wsgi:view": REQUESTS}) == {"site_wsgi:view": REQUESTS}
    server.ask_often(REQUESTS)
    server.stop()
    assert receiver.settle({"site_wsgi:view": 2 * REQUESTS}) == {"site_wsgi:view": 2 * REQUESTS}


LATE = """
    import _thread, sys, time

    deadline = time.monotonic() + 20
    while "mystic_agent.link.link" not in sys.modules and time.monotonic() < deadline:
        time.sleep(0.001)
    print("mystic_agent.link.link" in sys.modules)

    import threading

    print(threading.main_thread().ident == _thread.get_ident(), threading.current_thread().name)
"""


def test_the_main_thread_stays_it_when_the_agent_needs_threads_before_the_application(program, receiver, tmp_path):
    script = program.write("script.py", LATE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ended = program.run([script], receiver.port, PROJECT_ROOT=elsewhere)
    assert ended == (0, "True\nTrue MainThread\n", "")

"""A program ends as it does without the agent: exit code, output and time (H14)."""

from __future__ import annotations

import signal
import textwrap

import pytest

ENDINGS = {
    "a normal end": "",
    "an exit code": "raise SystemExit(3)",
    "an exit text": "raise SystemExit('gone')",
    "exit functions": """
        import atexit
        atexit.register(work, 5)
        atexit.register(lambda: print("last", work(6)))
        """,
    "daemon threads at work": """
        import threading
        ready = threading.Event()
        def busy():
            while True:
                work(1)
                ready.set()
        for _ in range(3):
            threading.Thread(target=busy, daemon=True).start()
        ready.wait()
        """,
    "a thread that outlives the main one": """
        import threading
        def late():
            threading.main_thread().join()
            print("late", work(2), flush=True)
        threading.Thread(target=late).start()
        """,
    "a thread that fails": """
        import threading
        threading.excepthook = lambda args: print("thread", args.exc_value, flush=True)
        def failing():
            raise ValueError(work(1))
        thread = threading.Thread(target=failing)
        thread.start()
        thread.join()
        """,
    "the default answer to SIGTERM": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "a handler of SIGTERM": """
        import os, signal, sys
        def handler(number, frame):
            print("handled", work(number), flush=True)
            sys.exit(7)
        signal.signal(signal.SIGTERM, handler)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
    "SIGINT": "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)",
    "no clean-up at all": "import os; print('x', flush=True); os._exit(4)",
    "a crash": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "objects that die last": """
        class Last:
            def __del__(self):
                print("deleted", work(1), flush=True)
        kept = Last()
        """,
    "a program put in its place": """
        import os, sys
        print("first", flush=True)
        os.execv(sys.executable, [sys.executable, "-c", "print('second')"])
        """,
    "a broken pipe on stdout": "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); print('x')",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_is_the_same_with_the_collector_down_and_with_it_up(program, receiver, ending):
    source = "def work(n):\n    return n + 1\nprint(work(1), flush=True)\n" + textwrap.dedent(ENDINGS[ending])
    script = program.write("script.py", source)
    without = program.run([script])
    assert program.run([script], 9) == without
    assert program.run([script], receiver.port) == without


def test_calls_in_exit_functions_and_late_threads_are_counted(program, receiver):
    script = program.write(
        "script.py",
        """
        import atexit, threading
        from mystic_agent import lifecycle

        def work(n):
            return n + 1

        def late():
            threading.main_thread().join()
            work(2)

        # The last flush is given less than a second. That is plenty for what is new, but on a busy machine not for
        # a process that has just begun and still has to import, connect and introduce itself.
        assert lifecycle.flush(20)

        atexit.register(work, 5)
        atexit.register(work, 6)
        threading.Thread(target=late).start()
        work(1)
        """,
    )
    ended = program.run([script], receiver.port, MYSTIC_TRACES_PER_SECOND="all", MYSTIC_EXPORT_INTERVAL="60s")
    assert ended == (0, "", "")
    assert receiver.settle({"__main__:work": 4}) == {"__main__:work": 4}


def test_a_failing_module_leaves_the_traceback_it_leaves_without_the_agent(program):
    program.write("broken.py", "def fine():\n    pass\n\n1 / 0\n")
    program.write("outer.py", "import broken\n")
    script = program.write("script.py", "import outer\n")
    without = program.run([script])
    assert "ZeroDivisionError" in without.err
    assert program.run([script], 9) == without
    script = program.write("script.py", "import absent_module_of_nobody\n")
    assert program.run([script], 9) == program.run([script])


def test_an_uncaught_exception_prints_what_it_prints_without_the_agent_but_for_the_marked_frames(program):
    script = program.write("script.py", "def work(n):\n    return 1 / n\n\n\nwork(0)\n")
    without, ours = program.run([script]), program.run([script], 9)
    assert (ours.code, ours.out) == (without.code, without.out)
    lines = ours.err.splitlines()
    [marked] = [i for i, line in enumerate(lines) if "<mystic importlib._bootstrap>" in line]
    assert lines[marked + 1].strip() == "def work(n):"
    assert lines[:marked] + lines[marked + 2 :] == without.err.splitlines()


def test_sigterm_to_a_busy_program_ends_it_at_once(program):
    script = program.write(
        "script.py", "def work(n):\n    return n + 1\nprint('up', flush=True)\nwhile True:\n    work(1)\n"
    )
    process = program.popen([script], 9)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
    finally:
        process.kill()
        process.stdout.close()
        process.wait(10)

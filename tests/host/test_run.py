"""``mystic run`` becomes its command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from mystic_agent.cli.run import child_environment

MYSTIC = [sys.executable, "-m", "mystic_agent.cli"]
RUN = [*MYSTIC, "run", "--no-collector"]


def test_arguments_arrive_as_they_were_written(host):
    words = ["--service", "x y", "--", "-v", "", "$HOME", "*", "--format", "json"]
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    for dashes in (["--"], []):
        assert json.loads(host.run([*RUN, *dashes, sys.executable, "-c", code, *words]).out) == words


@pytest.mark.parametrize("code", [0, 1, 2, 77, 255])
def test_the_exit_code_is_the_commands_own(host, code):
    assert host.run([*RUN, "--", "/bin/sh", "-c", f"exit {code}"]).code == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGKILL"])
def test_a_signal_reaches_the_command_itself(host, name):
    code = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    reset = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    process = subprocess.Popen(
        [*RUN, "--", sys.executable, "-c", reset + code],
        stdout=subprocess.PIPE,
        text=True,
        env=host.environ(),
        cwd=host.folder,
    )
    with process:
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(getattr(signal, name))
        assert process.wait(30) == -getattr(signal, name)


def test_a_command_that_is_no_python_finds_the_signals_of_a_shell(host):
    """Python ignores SIGPIPE, and a program that inherits that does not end with its reader."""
    assert host.run([*RUN, "--", "/bin/sh", "-c", "kill -PIPE $$; echo survived"]).out == ""


def test_a_script_with_a_shebang_runs_with_the_agent(host):
    path = host.folder / "tool"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:], sys.modules['mystic_agent.lifecycle'].active())\n"
    )
    path.chmod(0o755)
    ended = host.run([*RUN, "--", path, "app:app"])
    assert (ended.code, ended.out, ended.err) == (0, "['app:app'] True\n", "")


def test_the_command_is_found_on_the_path_and_standard_input_is_passed_on(host):
    done = subprocess.run([*RUN, "--", "cat"], input="through", capture_output=True, text=True, env=host.environ())
    assert (done.returncode, done.stdout, done.stderr) == (0, "through", "")


def test_the_flags_become_the_environment_of_the_command(host):
    code = "import os; print([os.environ.get(n) for n in ('MYSTIC_SERVICE', 'MYSTIC_ENV', 'MYSTIC_TARGETS')])"
    argv = [*RUN, "--service", "shop", "--env", "staging", "--targets", "a.*:*,b", "--", sys.executable, "-c", code]
    assert host.run(argv).out == "['shop', 'staging', 'a.*:*,b']\n"


@pytest.mark.parametrize(
    ("flag", "given"), [("--service", "a/b"), ("--env", "my stage"), ("--targets", "a b:c"), ("--targets", "ok,a b:c")]
)
def test_a_bad_flag_ends_with_2_and_names_the_value(host, flag, given):
    ended = host.run([*RUN, flag, given, "--", "true"])
    assert ended.code == 2
    assert ended.err.startswith(f"mystic: {flag} is {given!r}: ")


def test_a_command_that_does_not_exist_ends_with_127_and_starts_no_collector(host):
    ended = host.run([*MYSTIC, "run", "--", "no-such-command"])
    assert (ended.code, ended.out) == (127, "")
    assert ended.err == "mystic: command 'no-such-command' was not found; check its spelling, or give its path\n"


def test_a_file_that_is_not_executable_ends_with_126_and_a_hint(host, script):
    ended = host.run([*RUN, "--", script("print(1)")])
    assert ended.code == 126
    assert f"write 'mystic run -- python {host.folder / 'app.py'}'" in ended.err


def test_no_command_ends_with_2(host):
    for argv in (RUN, [*RUN, "--"]):
        ended = host.run(argv)
        assert (ended.code, ended.err.startswith("mystic: no command was given; write it after --")) == (2, True)


def test_a_collector_that_cannot_start_costs_one_line_and_the_command_runs(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = host.run([*MYSTIC, "run", "--", "echo", "ran"], MYSTIC_PORT=port, MYSTIC_DATA_DIR="/dev/null/no")
    assert (ended.code, ended.out, ended.err.count("\n")) == (0, "ran\n", 1)
    assert ended.err.startswith(f"mystic: no collector at 127.0.0.1:{port} and none could be started (")


def test_no_collector_is_started_for_a_host_that_is_not_this_machine(host):
    ended = host.run([*MYSTIC, "run", "--", "echo", "ran"], MYSTIC_HOST="mystic.invalid")
    assert (ended.code, ended.out, ended.err) == (0, "ran\n", "")


def test_the_environment_of_the_command_is_changed_in_two_variables_only():
    before = {"A": "1", "PYTHONPATH": os.pathsep.join(["/x", "/boot", "/y"])}
    after = child_environment(before, {}, "/boot")
    assert after == {"A": "1", "PYTHONPATH": os.pathsep.join(["/boot", "/x", "/y"]), "MYSTIC_ENABLED": "true"}
    assert child_environment(after, {}, "/boot") == after
    assert child_environment({}, {}, "/boot")["PYTHONPATH"] == "/boot"


def test_a_collector_is_started_beside_the_command_and_ends_after_it(host):
    pytest.importorskip("uvicorn", reason="the collector is not installed here")
    pytest.importorskip("starlette", reason="the collector is not installed here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    code = (
        "import http.client, json, os\n"
        f"c = http.client.HTTPConnection('127.0.0.1', {port}, timeout=5); c.request('GET', '/health')\n"
        "print(c.getresponse().status); c.close()\n"
        "try: print(os.waitpid(-1, os.WNOHANG))\n"
        "except ChildProcessError: print('no child')\n"
    )
    ended = host.run([*MYSTIC, "run", "--", sys.executable, "-c", code], MYSTIC_PORT=port)
    assert (ended.code, ended.out) == (0, "200\nno child\n")
    assert ended.err == f"mystic: collector at http://127.0.0.1:{port}, until this command ends\n"
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            break
        assert time.monotonic() < deadline, "the collector outlived its command"
        time.sleep(0.05)


def test_the_collector_beside_a_command_never_gets_the_key_that_agents_sign_with(host):
    pytest.importorskip("uvicorn", reason="the collector is not installed here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    code = (
        "import os, pathlib\n"
        "for process in pathlib.Path('/proc').glob('[0-9]*'):\n"
        "    try: words = (process / 'cmdline').read_bytes().split(b'\\0')\n"
        "    except OSError: continue\n"
        f"    if b'{port}' in words and b'serve' in words:\n"
        "        told = (process / 'environ').read_bytes()\n"
        "        print(b'MYSTIC_ENABLED=false' in told, b'only for agents' in told)\n"
        "print('MYSTIC_CACHE_KEY' in os.environ)\n"
    )
    key = "a secret only for agents"
    ended = host.run([*MYSTIC, "run", "--", sys.executable, "-c", code], MYSTIC_PORT=port, MYSTIC_CACHE_KEY=key)
    assert (ended.code, ended.out) == (0, "True False\nTrue\n")

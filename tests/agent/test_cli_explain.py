"""``mystic explain`` and ``mystic doctor``, against a receiver that answers as a collector does."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import stat
import sys
import threading

import pytest
from mystic_agent.cli import main
from mystic_agent.cli.locate import locate
from mystic_agent.cli.reach import interpreter, probe
from mystic_agent.contract import wire
from mystic_agent.contract.target import parse_target
from mystic_agent.settings import load

SOURCE = """
import functools
from json import dumps as to_text
def plain(n):
    def inner():
        return n
    return inner
async def coro():
    pass
def gen():
    yield 1
async def agen():
    yield 1
def not_gen():
    return [(lambda: (yield)) for _ in ()]
class Shop:
    @property
    def name(self):
        return ""
    class Till:
        def ring(self):
            pass
if True:
    def branch():
        pass
"""


class Collector(http.server.BaseHTTPRequestHandler):
    """Answers what its server was told to."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        status, body = self.server.replies.get(self.path.split("?")[0], (404, b"{}"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        """Speak MCP, as little as a doctor needs."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        result = self.server.chat.get(asked["method"])
        self.send_response(200 if "id" in asked else 202)
        self.end_headers()
        if "id" in asked:
            self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **result}).encode())

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.daemon_threads = False
    server.replies, server.asked = {wire.HEALTH_PATH: (200, b'{"status": "ok"}')}, []
    server.chat = {
        "initialize": {"result": {"serverInfo": {"name": "gnosis-mystic", "version": "1"}}},
        "tools/list": {"result": {"tools": [{"name": "mystic_status"}]}},
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("MYSTIC_PORT", str(server.server_address[1]))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("MYSTIC_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MYSTIC_PORT", "9")
    folder = tmp_path / "shop"
    (folder / "pack").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "pack" / "__init__.py").touch()
    (folder / "pack" / "shop.py").write_text(SOURCE)
    monkeypatch.chdir(folder)
    return folder


def place(text, **environ):
    return locate(parse_target(text), load(environ))


# -- from the source ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("qualname", "line", "kind"),
    [
        ("plain", 4, "function"),
        ("coro", 8, "coroutine"),
        ("not_gen", 14, "function"),
        ("Shop.name", 18, "function"),
        ("Shop.Till.ring", 21, "function"),
        ("branch", 24, "function"),
    ],
)
def test_a_function_of_the_project_has_a_place_and_nothing_against_it(qualname, line, kind, project):
    found = place(f"pack.shop:{qualname}")
    assert (found.file, found.line, found.kind, found.reasons) == (str(project / "pack/shop.py"), line, kind, ())


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("pack.shop:gen", "it is a generator: a cache on it is refused"),
        ("pack.shop:agen", "it is a generator: a cache on it is refused"),
        ("pack.shop:plain.<locals>.inner", "made anew by every call"),
        ("pack.shop:Shop", "is a class: name a method, e.g. 'Shop.name'"),
        ("pack.shop:to_text", "only imported there: name it as 'json:dumps'"),
        ("pack.shop:plian", "did you mean 'plain'?"),
        ("pack.shop:zzz", "no function 'zzz' is defined in 'pack.shop'"),
        ("pack.nothing:f", "module 'pack.nothing' was not found in"),
        ("nothing.at.all:f", "module 'nothing.at.all' was not found in"),
        ("json.decoder:JSONDecoder.decode", "lies outside the project root"),
        ("builtins:len", "built into Python"),
        ("_json:scanner", "not references taken earlier"),
        ("__main__:f", "only a running process can tell"),
        ("mystic_agent.guard:Guard.run", "do not hijack themselves"),
    ],
)
def test_each_obstacle_is_named(target, said):
    reasons = " ".join(place(target).reasons)
    if target.startswith("_json") and "_json" in sys.builtin_module_names:
        said = "built into Python"
    assert said in reasons


def test_an_ignored_file_names_its_pattern(project):
    (project / ".mystic").mkdir()
    (project / ".mystic" / "config.json").write_text('{"ignore_patterns": ["pack"]}')
    assert "left out by the ignore pattern 'pack'" in place("pack.shop:plain").reasons[0]


def test_targets_that_do_not_name_a_function_are_named():
    assert place("pack.shop:plain", MYSTIC_TARGETS="pack.*").reasons == ()
    assert "MYSTIC_TARGETS names other:*" in place("pack.shop:plain", MYSTIC_TARGETS="other").reasons[0]


def test_a_source_that_does_not_parse_is_named(project):
    (project / "broken.py").write_text("def (")
    assert "its source cannot be read" in place("broken:f").reasons[0]


def test_locating_imports_nothing_of_the_application(project):
    (project / "pack" / "__init__.py").write_text("raise SystemExit")
    assert place("pack.shop:plain").line == 4
    assert "pack" not in sys.modules


# -- from the collector ------------------------------------------------------------------------------


def functions(*rows):
    return 200, json.dumps({"functions": rows}).encode()


ROW = {"function": "pack.shop:plain", "service": "shop", "summary": "attached in 2 of 2 processes", "processes": 2}


def test_a_function_attached_everywhere_is_a_success(collector, capsys, monkeypatch):
    monkeypatch.setenv("MYSTIC_API_KEY", "s3cret")
    other = {**ROW, "function": "pack.shop:plainer", "states": {"failed": 2}}
    collector.replies["/api/functions"] = functions({**ROW, "states": {"attached": 1, "counting": 1}}, other)
    assert main(["explain", "pack.shop:plain"]) == 0
    shown = capsys.readouterr().out
    assert "shop: attached in 2 of 2 processes" in shown
    assert "pack/shop.py:4 (function)" in shown
    [(path, headers)] = collector.asked
    assert path.startswith("/api/functions?q=pack.shop%3Aplain")
    assert headers[wire.API_KEY_HEADER] == "s3cret"


@pytest.mark.parametrize("given", ["plain", "shop.plain", "pack.shop.plain"])
def test_a_name_that_one_running_function_has_is_enough(collector, capsys, given):
    other = {**ROW, "function": "pack.shop:not_plain", "states": {}}
    collector.replies["/api/functions"] = functions({**ROW, "states": {"attached": 2}}, other)
    assert main(["explain", given]) == 0
    assert capsys.readouterr().out.startswith("pack.shop:plain\n")


def test_a_name_that_several_functions_have_is_answered_with_all_of_them(collector, capsys):
    collector.replies["/api/functions"] = functions(ROW, {**ROW, "function": "pack.other:Shop.plain"})
    assert main(["explain", "plain"]) == 2
    assert "say which one: pack.other:Shop.plain, pack.shop:plain" in capsys.readouterr().err


def test_a_function_missed_somewhere_fails_and_names_process_and_reference(collector, capsys):
    instance = {"instance": "i-1", "pid": 7, "state": "failed", "reason": "too\x1b[31m late", "references": ["a.b:c"]}
    row = {**ROW, "summary": "attached in 1 of 2 processes", "states": {"attached": 1, "failed": 1}}
    collector.replies["/api/functions"] = functions({**row, "instances": [instance]})
    assert main(["explain", "pack.shop:plain"]) == 1
    shown = capsys.readouterr().out
    assert "i-1 (pid 7): failed: too [31m late" in shown
    assert "not reached: a.b:c" in shown


def test_a_function_nobody_reported_is_explained_from_its_source(collector, capsys):
    collector.replies["/api/functions"] = functions()
    assert main(["explain", "pack.shop:plain", "--format", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["attached"], answer["note"]) == (False, "no process has reported this function")
    assert answer["source"]["line"] == 4


def test_without_a_collector_the_source_still_explains(capsys):
    assert main(["explain", "pack.shop:Shop"]) == 1
    shown = capsys.readouterr().out
    assert "no collector answers at 127.0.0.1:9" in shown
    assert "start one with 'mystic serve'" in shown
    assert "is a class: name a method" in shown


@pytest.mark.parametrize("given", ["pack.*:f", "pack:", "a b:c"])
def test_a_target_that_is_not_one_function_ends_with_2(capsys, given):
    assert main(["explain", given]) == 2
    assert repr(given) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((401, b""), "refused the key (401); set MYSTIC_API_KEY"),
        ((500, b""), "answered 500"),
        ((200, b"<html>"), "is no collector"),
        ((302, b""), "answered 302"),
    ],
)
def test_an_answer_that_is_none_is_named(collector, capsys, reply, said):
    collector.replies["/api/functions"] = reply
    assert main(["explain", "pack.shop:plain"]) == 1
    assert said in capsys.readouterr().out


# -- doctor ------------------------------------------------------------------------------------------


def examine(capsys, *argv):
    code = main(["doctor", "--format", "json", *argv])
    data = json.loads(capsys.readouterr().out)
    return code, data, {finding["about"]: finding for finding in data["findings"]}


def test_the_doctor_finds_everything_well(collector, capsys, monkeypatch):
    collector.replies[wire.STREAM_PATH] = (200, b": hello\n\nevent: hijacks\ndata: {}\n\n")
    amiss = {"about": "project", "verdict": "warn", "detail": "it holds nothing"}
    collector.replies["/api/doctor"] = (200, json.dumps({"findings": [amiss, 7, {"verdict": "made up"}]}).encode())
    monkeypatch.setenv("MYSTIC_ENABLED", "true")
    code, data, findings = examine(capsys)
    assert (code, data["ok"]) == (0, True), data
    assert findings["chat"]["detail"] == "gnosis-mystic 1 answers by MCP with 1 tools"
    assert findings["collector's project"] == {**amiss, "about": "collector's project"}
    assert "MYSTIC_ENABLED" in findings["environment"]["detail"]
    assert findings["back from it"]["detail"] == "the stream opens and sends 'hijacks'"
    assert [(one["way"], one["active"]) for one in data["ways"]] == [
        ("PYTHONPATH", True),
        ("environment", True),
        ("command", True),
    ]


def test_the_doctor_names_a_collector_that_is_not_there(capsys):
    code, data, findings = examine(capsys)
    assert (code, data["ok"]) == (1, False)
    assert findings["to the collector"]["verdict"] == "fail"
    assert "mystic serve" in findings["to the collector"]["detail"]


@pytest.mark.parametrize("reply", [(404, b"{}"), (200, b""), (200, b": only comments\n" * 60)])
def test_the_doctor_names_a_stream_that_says_nothing(collector, capsys, reply):
    collector.replies[wire.STREAM_PATH] = reply
    code, _, findings = examine(capsys)
    assert (code, findings["back from it"]["verdict"]) == (1, "fail")


@pytest.mark.parametrize(
    ("method", "answer", "said"),
    [
        ("initialize", {"error": {"code": -32600, "message": "no"}}, "the chat answered 'initialize' with"),
        ("tools/list", {"id": 99}, "the chat gave no answer to 'tools/list'"),
        ("tools/list", {"result": {"tools": []}}, "lists no tools"),
    ],
)
def test_the_doctor_names_a_chat_that_does_not_answer_as_it_should(collector, capsys, method, answer, said):
    collector.replies[wire.STREAM_PATH] = (200, b"event: hijacks\n\n")
    collector.chat[method] = answer
    code, _, findings = examine(capsys)
    assert (code, findings["chat"]["verdict"]) == (1, "fail")
    assert said in findings["chat"]["detail"]


@pytest.mark.parametrize(
    ("status", "said"), [(421, "MYSTIC_ALLOWED_HOSTS"), (401, "MYSTIC_API_KEY_FILE"), (500, "see its log")]
)
def test_the_doctor_has_a_remedy_for_each_refusal(collector, capsys, status, said):
    collector.replies[wire.HEALTH_PATH] = (status, b"{}")
    _, _, findings = examine(capsys)
    assert said in findings["to the collector"]["detail"]


def test_the_doctor_tells_a_name_that_nobody_knows_and_another_release(collector, capsys, monkeypatch):
    collector.replies[wire.HEALTH_PATH] = (200, b'{"version": "0.0.1"}')
    _, _, findings = examine(capsys)
    assert "install the same release" in findings["releases"]["detail"]
    monkeypatch.setenv("MYSTIC_HOST", "mystic.invalid")
    _, _, findings = examine(capsys)
    assert "containers need a network that both are in" in findings["to the collector"]["detail"]


def test_the_doctor_warns_of_values_it_cannot_use_and_of_a_missing_root(capsys, monkeypatch):
    monkeypatch.chdir("/")
    monkeypatch.setenv("MYSTIC_ENV", "my stage")
    _, _, findings = examine(capsys)
    assert "MYSTIC_ENV is 'my stage'" in findings["settings"]["detail"]
    assert findings["project root"]["verdict"] == "warn"
    assert "PROJECT_ROOT" in findings["project root"]["detail"]


def reasons(python, **environ):
    plain = {name: text for name, text in os.environ.items() if not name.startswith(("MYSTIC_", "PYTHON"))}
    return {one.way: one.reason for one in probe([str(word) for word in python], {**plain, **environ})}


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        ([], {}, ["", "MYSTIC_ENABLED is not set", ""]),
        ([], {"MYSTIC_ENABLED": "no"}, ["MYSTIC_ENABLED is 'no'", "MYSTIC_ENABLED is 'no'", ""]),
        ([], {"MYSTIC_ENABLED": "ture"}, ["", "MYSTIC_ENABLED is 'ture', give true or false", ""]),
        (["-I"], {}, ["-I makes Python ignore PYTHONPATH", "MYSTIC_ENABLED is not set", ""]),
        (["-E"], {"MYSTIC_ENABLED": "1"}, ["", "", ""]),
        (["-S"], {"MYSTIC_ENABLED": "1"}, ["-S keeps Python", "-S keeps Python", "-S keeps Python"]),
    ],
    ids=str,
)
def test_each_way_that_would_not_work_in_a_child_has_its_reason(flags, environ, expected):
    found = reasons([sys.executable, *flags], **environ)
    for way, start in zip(("PYTHONPATH", "environment", "command"), expected, strict=True):
        assert found[way].startswith(start), way
        assert bool(found[way]) == bool(start), (way, found[way])


def test_a_sitecustomize_in_front_of_ours_is_named(project):
    import mystic_bootstrap

    (project / "sitecustomize.py").touch()
    found = reasons([sys.executable], PYTHONPATH=f"{project}:{mystic_bootstrap.FOLDER}")
    assert found["PYTHONPATH"].startswith(f"{project / 'sitecustomize.py'} was found first and hides ours")
    assert found["command"] == ""


def test_a_python_without_the_package_is_told_how_to_get_it(tmp_path):
    import venv

    venv.create(tmp_path / "other", symlinks=True, with_pip=False)
    found = reasons([tmp_path / "other" / "bin" / "python"], MYSTIC_ENABLED="true")
    assert found["environment"].startswith("gnosis_mystic.pth is not in its site-packages: run '")


def test_the_doctor_reads_interpreter_and_flags_from_the_applications_command(project):
    assert interpreter([]) == [sys.executable]
    assert interpreter([sys.executable, "-I", "-X", "dev", "-W", "error", "app.py", "-E"]) == [
        sys.executable,
        "-I",
        "-X",
        "dev",
        "-W",
        "error",
    ]
    assert interpreter([sys.executable, "-Es", "-m", "app", "-I"]) == [sys.executable, "-Es"]
    tool = project / "tool"
    tool.write_text(f"#!{sys.executable} -sE\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    assert interpreter([str(tool), "-I"]) == [sys.executable, "-sE"]
    tool.write_text("#!/usr/bin/env python3\n")
    assert interpreter([str(tool)]) == ["python3"]


@pytest.mark.parametrize(("cmd", "said"), [("no-such-command", "was not found"), ("/bin/sh", "not by Python")])
def test_a_command_that_is_no_python_is_refused(capsys, cmd, said):
    assert main(["doctor", "--", cmd]) == 1
    assert said in capsys.readouterr().err


def test_the_doctor_prints_a_line_for_each_finding(capsys):
    with contextlib.suppress(SystemExit):
        main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in ("ok", "note", "warn", "fail") for line in lines)
    assert any(line.startswith("ok   wrapt: ") for line in lines)

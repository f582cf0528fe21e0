"""The program's manners: usage, errors, exit codes, added commands, output."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from mystic_agent import __version__
from mystic_agent.cli import main, program
from mystic_agent.cli.command import Command
from mystic_agent.cli.extension import Extensions
from mystic_agent.cli.failure import Failure
from mystic_agent.cli.output import table
from mystic_agent.contract.errors import Invalid

OWN = ["run", "explain", "doctor", "config", "version"]


def nothing(parser: argparse.ArgumentParser) -> None:
    """Add no argument."""


def offer(monkeypatch, run):
    """Make ``mystic probe`` run ``run``."""
    command = Command("probe", "try", "mystic probe", nothing, run)
    monkeypatch.setattr(program, "OWN", (*program.OWN, command))


def test_the_version_names_the_package_and_the_python(capsys):
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"mystic {__version__} (Python 3.")
    assert main(["version", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["mystic"] == __version__


def test_the_version_option_says_the_same(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"mystic {__version__}")


def test_without_a_command_the_help_lists_them_all(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert [name for name in [*OWN, "serve", "status"] if f"\n    {name} " not in shown] == []


@pytest.mark.parametrize("name", OWN)
def test_every_command_shows_an_example_and_offers_json(capsys, name):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"example: mystic {name}" in shown
    assert "--format {text,json}" in shown


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nosuch"], "invalid choice: 'nosuch'"),
        (["version", "--format", "xml"], "invalid choice: 'xml'"),
        (["explain"], "required: function"),
        (["--colour"], "--colour"),
    ],
)
def test_bad_usage_ends_with_2_and_points_to_the_help(capsys, argv, said):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert shown.startswith("mystic: ")
    assert said in shown
    assert "--help'" in shown


def test_a_failure_is_one_line_with_its_remedy(capsys, monkeypatch):
    def fail(args):
        raise Failure("the sky fell", "hold it up")

    offer(monkeypatch, fail)
    assert main(["probe"]) == 1
    assert capsys.readouterr() == ("", "mystic: the sky fell; hold it up\n")


def test_a_bad_value_ends_with_2(capsys, monkeypatch):
    def refuse(args):
        raise Invalid("ttl", "never", "give a duration")

    offer(monkeypatch, refuse)
    assert main(["probe"]) == 2
    assert capsys.readouterr().err == "mystic: ttl is 'never': give a duration\n"


def test_an_interruption_ends_with_130_and_says_nothing(capsys, monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    offer(monkeypatch, interrupt)
    assert main(["probe"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_went_away_is_no_traceback():
    argv = [sys.executable, "-m", "mystic_agent.cli", "config", "show"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


# -- commands of others ------------------------------------------------------------------------------

added = Command("added", "one more", "mystic added", nothing, lambda args: 0)


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "mystic.commands")


def test_an_added_command_is_loaded_by_its_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "added_command", argparse.Namespace(command=added))
    extensions = Extensions([point("added", "added_command:command")])
    loaded = extensions.load("added")
    assert (loaded.name, loaded.help, loaded.run(argparse.Namespace())) == ("added", "one more", 0)
    assert extensions.summaries() == {"added": "one more"}


def test_nobody_offers_an_unknown_command():
    assert Extensions([]).load("nosuch") is None


@pytest.mark.parametrize(
    "points", [[], [point("serve", "not_there_at_all:command")]], ids=["a copied tree", "no extra"]
)
def test_a_command_of_the_collector_says_how_to_install_it(points):
    with pytest.raises(Failure) as failed:
        Extensions(points).load("serve")
    assert str(failed.value) == "'serve' needs the collector; pip install 'gnosis-mystic[collector]'"
    assert failed.value.code == 1


def test_a_command_of_the_collector_that_misses_its_parts_only_when_it_runs_says_the_same(monkeypatch):
    def serve(args):
        import not_there_at_all  # noqa: F401

    command = Command("serve", "serve", "mystic serve", nothing, serve)
    monkeypatch.setitem(sys.modules, "added_command", argparse.Namespace(command=command))
    with pytest.raises(Failure, match="'serve' needs the collector; pip install"):
        Extensions([point("serve", "added_command:command")]).load("serve").run(argparse.Namespace())


def test_an_added_command_whose_module_is_missing_names_it():
    with pytest.raises(Failure, match="'other' needs the module 'not_there_at_all'; install it"):
        Extensions([point("other", "not_there_at_all:command")]).load("other")


def test_an_added_command_that_breaks_is_named_and_does_not_break_the_list(monkeypatch):
    monkeypatch.setitem(sys.modules, "added_command", argparse.Namespace(command=3))
    extensions = Extensions([point("odd", "added_command:command"), point("lost", "added_command:nothing")])
    with pytest.raises(Failure, match="'odd' is 'added_command:command', not a command"):
        extensions.load("odd")
    with pytest.raises(Failure, match="'lost' cannot be loaded"):
        extensions.load("lost")
    assert set(extensions.summaries()) == {"odd", "lost"}


# -- output ------------------------------------------------------------------------------------------


def test_a_table_is_aligned_and_has_no_blanks_at_the_end():
    assert table([("A", "B", "C"), ("long", "x", "")]) == "A     B  C\nlong  x"


def test_colour_is_for_terminals_and_obeys_no_color(monkeypatch):
    from mystic_agent.cli.output import coloured

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert coloured("fail", {}) == "\033[31mfail\033[0m"
    assert coloured("fail", {"NO_COLOR": "1"}) == "fail"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert coloured("fail", {}) == "fail"


def test_config_show_gives_each_value_with_its_origin_and_never_the_key(capsys, monkeypatch):
    monkeypatch.setenv("MYSTIC_API_KEY", "s3cret")
    monkeypatch.setenv("MYSTIC_PORT", "70000")
    monkeypatch.setenv("MYSTIC_TRACES_PER_SECOND", "all")
    assert main(["config", "show", "--format", "json"]) == 0
    shown = capsys.readouterr().out
    data = json.loads(shown)
    assert "s3cret" not in shown
    assert data["settings"]["api_key"] == {"value": "(set)", "origin": "environment MYSTIC_API_KEY"}
    assert data["settings"]["sample_rate"]["value"] == "all"
    assert data["settings"]["port"] == {"value": 8899, "origin": "default"}
    assert data["warnings"][0].startswith("MYSTIC_PORT is '70000'")
    assert main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert "s3cret" not in shown
    assert "warning: MYSTIC_PORT is '70000'" in shown

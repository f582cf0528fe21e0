"""What ``mystic explain`` says of real processes under the agent, the whole way: process, collector, command."""

from __future__ import annotations

from pathlib import Path

from .applications import application
from .conftest import Running
from .test_commands import mystic

EARLY = "from math import sqrt\nfrom math import sqrt as root\ninput()\n"
LATE = "input()\n"


def explained(collector: Running, function: str) -> tuple[int, str]:
    done = mystic("explain", function, MYSTIC_PORT=str(collector.server.address[1]))
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_each_reference_to_a_c_function_that_is_not_reached_is_named_by_process(
    collector: Running, tmp_path: Path
) -> None:
    with application(collector.url, tmp_path / "early", EARLY) as pid:
        made = mystic("hijack", "math:sqrt", "--observe", MYSTIC_PORT=str(collector.server.address[1]))
        assert "attached in 1 of 1 processes" in made.stdout
        [row] = collector.get("/api/functions", function="math:sqrt")["functions"]
        [instance] = row["instances"]
        assert (instance["pid"], instance["state"], instance["hijacks"]) == (pid, "attached", row["hijacks"])
        assert instance["references"] == ["__main__.root", "__main__.sqrt"]
        code, text = explained(collector, "math:sqrt")
        assert code == 0, text
        assert f"(pid {pid}): attached" in text
        assert "not reached: __main__.sqrt\n" in text
        assert "not reached: __main__.root\n" in text


def test_a_process_that_has_not_loaded_the_module_is_named_and_is_no_failure(
    collector: Running, tmp_path: Path
) -> None:
    source = "import colorsys\ninput()\n"
    with (
        application(collector.url, tmp_path / "a", source) as loaded,
        application(collector.url, tmp_path / "b", LATE) as not_,
    ):
        made = mystic("hijack", "colorsys:rgb_to_hls", "--observe", MYSTIC_PORT=str(collector.server.address[1]))
        assert "attached in 1 of 2 processes; 1 has not loaded the module\n" in made.stdout
        assert made.stdout.count("\n") == 1  # nothing that looks like a failure
        code, text = explained(collector, "colorsys:rgb_to_hls")
        assert code == 0, text
        assert f"(pid {loaded}): attached" in text
        assert f"(pid {not_}): pending: no such module is loaded yet" in text


def test_a_process_that_never_spoke_of_a_function_is_named_too(collector: Running, tmp_path: Path) -> None:
    source = "def f(): ...\ninput()\n"
    with (
        application(collector.url, tmp_path / "a", source) as knows,
        application(collector.url, tmp_path / "b", LATE) as not_,
    ):
        code, text = explained(collector, "__main__:f")
        assert code == 0, text
        assert "sums: attached in 1 of 2 processes; 1 has not reported it" in text
        assert f"(pid {knows}): attached" in text
        assert f"(pid {not_}): absent: it has not reported this function" in text


def test_a_hundred_processes_are_named_those_with_a_miss_first_and_the_others_counted(collector: Running) -> None:
    for number in range(130):
        state = "failed" if number == 129 else "attached"
        function = {"function": "app:f", "state": state, "references": ["a.f"] if number == 128 else []}
        collector.report(f"i{number}", [function], pid=number)
    [row] = collector.get("/api/functions")["functions"]
    assert [one["instance"] for one in row["instances"][:3]] == ["i129", "i128", "i0"]
    assert (len(row["instances"]), row["instances_left_out"]) == (100, 30)
    assert "… and 30 more processes" in explained(collector, "app:f")[1]

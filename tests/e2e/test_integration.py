"""The module that ``mystic init`` writes into a project: with Mystic, without it, and switched off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lab import BIN, BOOTSTRAP, Lab, clean_environment, free_port, until

# The three ways of the deployment guide, as it has them.
TRANSPARENT = """
from app.mystic_integration import mystic_aware

@mystic_aware
async def process_ocr(image_data: bytes) -> dict:
    # Your existing OCR logic
    result = await ocr_model.process(image_data)
    return result
"""
MANUAL = """
from app.mystic_integration import mystic_client

async def process_with_cache(data):
    # Check cache first
    cached = await mystic_client.get_cache("process_data", str(data))
    if cached:
        return cached

    # Process normally
    result = expensive_processing(data)

    # Store in cache
    await mystic_client.set_cache("process_data", str(data), result)

    return result
"""
BY_ENVIRONMENT = """
import os

if os.getenv("MYSTIC_ENABLED") == "true":
    # Use optimized version
    from app.mystic_integration import mystic_aware
    process_function = mystic_aware(original_function)
else:
    # Use original version
    process_function = original_function
"""
PROGRAM = f"""
import asyncio, json, sys

runs = 0

class ocr_model:
    @staticmethod
    async def process(data):
        return {{"text": data.decode()}}

def expensive_processing(data):
    global runs
    runs += 1
    return {{"data": data, "length": len(data)}}

def original_function(x):
    return x + 1
{TRANSPARENT}
{MANUAL}
{BY_ENVIRONMENT}

@mystic_aware()
def with_parentheses():
    return 1

class Service:
    @mystic_aware
    def method(self): return self
    @mystic_aware
    @staticmethod
    def static(): return 2
    @classmethod
    @mystic_aware
    def made(cls): return cls

def main():
    found = [asyncio.run(process_ocr(b"page")), process_function(1), with_parentheses(), Service.static()]
    found += [asyncio.run(process_with_cache([1, "two"])) for _ in range(3)]
    assert Service().method().__class__ is Service.made() is Service
    ours = sorted(name for name in sys.modules if name.startswith("mystic"))
    print(json.dumps({{"found": found, "runs": runs, "ours": ours}}), flush=True)

main()
if "wait" in sys.argv:
    sys.stdin.readline()
    main()
"""
FOUND = [{"text": "page"}, 2, 1, 2, *[{"data": [1, "two"], "length": 2}] * 3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "ocr"
    folder.mkdir()
    done = subprocess.run([BIN / "mystic", "init", folder], capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert (folder / "app" / "mystic_integration.py").is_file()
    (folder / "service.py").write_text(PROGRAM)
    return folder


def run(project: Path, python: object, **more: str) -> dict[str, object]:
    """Run the program in an interpreter; the module's own code lies in the project alone."""
    command = [str(python), "service.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project, env=clean_environment(**more))
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("enabled", ["", "false", "true"])
def test_the_snippets_of_the_guide_run_where_mystic_is_not_installed(project: Path, enabled: str) -> None:
    python = Path(sys.base_prefix) / "bin" / "python3"
    installed = [str(python), "-c", "import mystic_agent"]
    if subprocess.run(installed, env=clean_environment(), capture_output=True).returncode == 0:
        pytest.skip(f"{python} has the agent installed")
    answer = run(project, python, **({"MYSTIC_ENABLED": enabled} if enabled else {}))
    assert (answer["found"], answer["runs"], answer["ours"]) == (FOUND, 3, [])


@pytest.mark.parametrize("enabled", ["", "false", "0"])
def test_switched_off_nothing_of_mystic_is_loaded(project: Path, enabled: str) -> None:
    answer = run(project, sys.executable, **({"MYSTIC_ENABLED": enabled} if enabled else {}))
    assert (answer["found"], answer["runs"]) == (FOUND, 3)
    assert [name for name in answer["ours"] if name.startswith("mystic_agent")] == []  # type: ignore[attr-defined]


def test_without_a_collector_the_client_is_as_if_nothing_were_kept(project: Path) -> None:
    answer = run(project, sys.executable, MYSTIC_ENABLED="true", MYSTIC_PORT=str(free_port()))
    assert (answer["found"], answer["runs"]) == (FOUND, 3)


def test_with_a_collector_marked_functions_are_observed_and_values_are_kept(lab: Lab, project: Path) -> None:
    environment = lab.environment(PYTHONPATH=str(BOOTSTRAP), MYSTIC_ENABLED="true", MYSTIC_TARGETS="nothing:else")
    command = [sys.executable, "service.py", "wait"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=project, env=environment
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["found"], first["runs"]) == (FOUND, 1)
        marked = [f"__main__:{name}" for name in ("process_ocr", "original_function", "with_parentheses")]
        marked += [f"__main__:Service.{name}" for name in ("method", "static", "made")]
        until(lambda: observed(lab) == sorted(marked), "the marked functions")
        assert lab.api("GET", "/api/cache/process_data/%5B1%2C%20%27two%27%5D")[1]["value"] == FOUND[-1]
        output, _ = process.communicate("\n", 30)
        assert json.loads(output)["runs"] == 1  # what the first round kept serves the second
    finally:
        process.kill()
        process.communicate()
    until(lambda: lab.count("__main__:process_ocr") > 0, "the counted call")


def observed(lab: Lab) -> list[str]:
    return sorted(
        one["function"] for one in lab.api("GET", "/api/functions")[1]["functions"] if one["states"].get("attached")
    )

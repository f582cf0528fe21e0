"""Processes that are measured: started on a core of their own, asked for what they use, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

MEASURED, BESIDE = 0, 1
"""The core of what is measured, and the core of everything that serves the measurement."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
RESIDENT = "print(int(open('/proc/self/statm').read().split()[1]))"
"""A line of Python that prints the pages the process holds in memory."""


class Served(NamedTuple):
    """A server that has said its port."""

    process: subprocess.Popen[str]
    port: int

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used so far, all threads, in user and kernel."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        """Return the memory it holds."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE_MB


def answered(module: str, *arguments: str, env: Mapping[str, str], core: int | None = None) -> Any:
    """Run ``python -m module``, on ``core`` alone if one is given, and return the JSON that it prints."""
    command = [*(pinned(core) if core is not None else ()), sys.executable, "-m", module, *arguments]
    return json.loads(subprocess.run(command, env=dict(env), stdout=subprocess.PIPE, check=True, text=True).stdout)


def megabytes(pages: str) -> float:
    """Return what RESIDENT printed, in MB."""
    return int(pages) * _PAGE_MB


def pinned(core: int) -> list[str]:
    """Return the start of a command that runs on ``core`` alone, where the system can do that."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(allowed) < 2:
        return []
    text = f"import os, sys; os.sched_setaffinity(0, {{{allowed[core]}}}); os.execvp(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-S", "-E", "-c", text]


@contextmanager
def serving(command: Sequence[str], env: Mapping[str, str], cwd: Path, core: int) -> Iterator[Served]:
    """Run a server that prints its port as its first line; end it on leaving.

    Raises:
        RuntimeError: when it ends before it has said its port.
    """
    whole = [*pinned(core), *command]
    with subprocess.Popen(whole, env=dict(env), cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.strip().isdigit():
                raise RuntimeError(f"{' '.join(command)!r} did not begin to serve; run it by hand to see why")
            yield Served(process, int(line))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

"""The ways to start a Python program: bare, under Mystic, under the peers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.settings import BOOTSTRAP, CLOSED, SHOP, clean, quiet

BARE, OURS, OTEL, DDTRACE, LOGFIRE = "bare", "Mystic", "opentelemetry-instrument", "ddtrace-run", "logfire"
_BIN = Path(sys.executable).parent


class Way(NamedTuple):
    """How to start a program.

    Attributes:
        before: what stands in front of ``python``.
        env: its whole environment.
        after: arguments after the program.
    """

    name: str
    before: tuple[str, ...]
    env: Mapping[str, str]
    after: tuple[str, ...] = ()

    def command(self, *program: str) -> list[str]:
        """Return the command for ``python program…``."""
        return [*self.before, sys.executable, *program, *self.after]


def bare() -> Way:
    """Nothing switched on."""
    return Way(BARE, (), clean())


def mystic(name: str = OURS, port: int = 9, root: Path = SHOP, **settings: str) -> Way:
    """Mystic through PYTHONPATH; on port 9 nothing answers."""
    env = {"PYTHONPATH": str(BOOTSTRAP), "MYSTIC_PORT": str(port), "PROJECT_ROOT": str(root), "MYSTIC_SERVICE": "shop"}
    return Way(name, (), clean() | env | settings)


def peers(receiver: str = CLOSED) -> list[Way]:
    """The peers' own ways to instrument a program that is not changed; logfire has only its lines of code."""
    env = clean() | quiet(receiver) | {"OTEL_SERVICE_NAME": "shop", "DD_SERVICE": "shop"}
    return [
        Way(OTEL, (str(_BIN / "opentelemetry-instrument"),), env),
        Way(DDTRACE, (str(_BIN / "ddtrace-run"),), env),
        Way(LOGFIRE, (), {k: v for k, v in env.items() if k != "PYDANTIC_DISABLE_PLUGINS"}, ("logfire",)),
    ]

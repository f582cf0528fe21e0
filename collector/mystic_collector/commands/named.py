"""Which hijacks a person means by an id, a target or a part of a name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from mystic_agent.contract.errors import Invalid

from mystic_collector.commands.connection import add_address
from mystic_collector.commands.ending import Failed
from mystic_collector.discovery.resolve import resolve


def naming(argument: str, told: str) -> Callable[[argparse.ArgumentParser], None]:
    """Return what adds the arguments of a command about one thing that a collector knows.

    Args:
        argument: the name of the first argument, described by ``told``.
    """

    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(argument, help=told)
        add_address(parser)

    return configure


def named(text: str, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the hijacks among ``listed`` that ``text`` names: at least one.

    Raises:
        Failed: when it names none, or several different targets.
    """
    found = [one for one in listed if text in (one["id"], one["target"])]
    if found:
        return found
    try:
        target = resolve(text, dict.fromkeys(one["target"] for one in listed))
    except Invalid as error:
        remedy = error.remedy if text.strip("*: ") else "'mystic status' lists them; 'mystic off' lets go of everything"
        raise Failed(f"no hijack is {text!r}", remedy if listed else "there are none", 2) from error
    found = [one for one in listed if one["target"] == target]
    if not found:
        raise Failed(f"no hijack is {text!r}", "'mystic status' lists them", 2)
    return found

"""``mystic config show``: every setting, its value and where it came from."""

from __future__ import annotations

import argparse

from mystic_agent.cli.command import Command
from mystic_agent.cli.output import show, table
from mystic_agent.settings import Settings, load

_HIDDEN = ("origins", "warnings")


def shown(settings: Settings) -> dict[str, dict[str, object]]:
    """Return setting → {"value", "origin"}, in JSON's types; keys only as ``set`` or null."""
    values = {}
    for name in Settings._fields:
        if name in _HIDDEN:
            continue
        value = getattr(settings, name)
        if name in ("api_key", "cache_key"):
            value = "(set)" if value else None
        elif isinstance(value, tuple):
            value = [str(one) for one in value]
        elif value == float("inf"):
            value = "all"
        values[name] = {"value": value, "origin": settings.origins[name]}
    return values


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=("show",), default="show", help="show the settings in force here")


def _run(args: argparse.Namespace) -> int:
    settings = load()
    values = shown(settings)
    rows = [("SETTING", "VALUE", "ORIGIN")]
    for name, entry in values.items():
        value = entry["value"]
        text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
        rows.append((name, text or "-", str(entry["origin"])))
    lines = [table(rows), *(f"warning: {warning}" for warning in settings.warnings)]
    show({"settings": values, "warnings": list(settings.warnings)}, "\n".join(lines), args.format)
    return 0


command = Command(
    "config", "show the settings in force and their origins", "mystic config show --format json", _configure, _run
)

"""docs/cache.md names the options there are, with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

from mystic_agent.contract.strategy import parse_strategy

PAGE = Path(__file__).parents[2] / "docs" / "cache.md"


def test_the_table_has_every_option_with_the_default_that_is_in_force():
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", PAGE.read_text(), re.MULTILINE)
    in_force = parse_strategy({"cache": {}}, "s").options
    assert [name for name, _ in rows] == list(in_force)
    for name, default in rows:
        given = {"false": False}.get(default, int(default) if default.isdigit() else default)
        assert parse_strategy({"cache": {name: given}}, "s").options[name] == in_force[name], name

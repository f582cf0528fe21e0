"""Files with comments, as editors have them: only the entry is written, and all else stays to the letter."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_collector.clients import comments
from mystic_collector.clients.install import install

from tests.collector.clients.test_install import entry_in, file_of, put

BEFORE = """\
{
\t// who may speak: "servers": {}
\t"servers": { /* none of mine } */
\t\t"time": {"url": "http://x//y"}, // not a comment in the address
\t\t"last": {"command": "z"} // the last
\t\t// the end
\t},
\t"inputs": [1, 2,], // kept as it is
}
"""
ENTRY: dict[str, Any] = {"command": "mystic", "args": ["mcp"]}
AFTER = BEFORE.replace(
    """\
\t\t"last": {"command": "z"} // the last
\t\t// the end
""",
    """\
\t\t"last": {"command": "z"}, // the last
\t\t// the end
\t\t"mystic": {
\t\t\t"command": "mystic",
\t\t\t"args": [
\t\t\t\t"mcp"
\t\t\t]
\t\t}
""",
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_entry_is_put_in_and_taken_out_and_nothing_else_is_touched(tmp_path: Path, end: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(BEFORE.replace("\n", end).encode())
    assert install(path, "servers", "mystic", ENTRY, commented=True).state == "added"
    assert path.read_bytes().decode() == AFTER.replace("\n", end)
    assert install(path, "servers", "mystic", ENTRY, commented=True).state == "unchanged"
    assert install(path, "servers", "mystic", None, commented=True).state == "removed"
    assert path.read_bytes().decode() == BEFORE.replace("\n", end)


def test_what_a_person_has_noted_in_our_entry_stays_when_it_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"servers": {"m": {\n  "command": "old", // the lab\n  "url": "gone",\n  "disabled": true,\n}}}')
    assert install(path, "servers", "m", ENTRY, commented=True).state == "replaced"
    text = path.read_text()
    assert '"command": "mystic", // the lab\n  "disabled": true,\n' in text
    assert json.loads(comments.strict(text))["servers"]["m"] == {**ENTRY, "disabled": True}


@pytest.mark.parametrize("client", ["vscode", "cursor"])
def test_editors_are_told_of_the_chat_beside_their_comments(tmp_path: Path, client: str) -> None:
    path = file_of(tmp_path, client, "{\n  // mine\n}\n")
    done = put(tmp_path, "--client", client)
    assert done.returncode == 0, done.stderr
    assert path.read_text().startswith("{\n  // mine\n")
    plain = path.with_name("plain.json")
    plain.write_text(comments.strict(path.read_text()))
    assert entry_in(plain, client)["args"][-1] == "mcp"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["//", "/*", "*/", '"', ","]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_SERVERS = st.dictionaries(st.sampled_from(["a", "b", "//", "m"]), st.dictionaries(st.text(max_size=4), _VALUES))


@given(servers=_SERVERS, others=st.dictionaries(st.text(max_size=4), _VALUES, max_size=3), seed=st.integers(0, 2**32))
def test_whatever_the_file_says_and_wherever_comments_are_they_and_all_values_stay(
    servers: dict[str, Any], others: dict[str, Any], seed: int
) -> None:
    value = {**others, "servers": {**servers, "mystic": {"url": 1}}}
    chance = random.Random(seed)
    text = _strewn(value, chance)
    assert json.loads(comments.strict(text)) == value
    for path, wanted in ((("servers", "mystic"), ENTRY), (("servers", "new"), ENTRY), (("more", "new"), ENTRY)):
        changed = comments.put(text, path, wanted, "  ")
        section = value.get(path[0], {})
        assert json.loads(comments.strict(changed)) == {**value, path[0]: {**section, path[1]: wanted}}
        if wanted != section.get(path[1]) and path[1] == "new":
            assert comments.of(changed) == comments.of(text)
    gone = comments.taken_out(_strewn(value, chance), ("servers", "mystic"))
    assert json.loads(comments.strict(gone)) == {**others, "servers": servers}


def _strewn(value: Any, chance: random.Random) -> str:
    """Return ``value`` as JSON with comments, spaces and last commas anywhere between its tokens."""

    def gap() -> str:
        return chance.choice(["", " ", "\n", "/* a, } */", '// b ] "\n', "/**/ "])

    if isinstance(value, dict):
        inner = [f"{gap()}{json.dumps(key)}{gap()}:{gap()}{_strewn(one, chance)}{gap()}" for key, one in value.items()]
        return "{" + ",".join(inner) + (chance.choice(["", ","]) if inner else "") + gap() + "}"
    if isinstance(value, list):
        inner = [f"{gap()}{_strewn(one, chance)}{gap()}" for one in value]
        return "[" + ",".join(inner) + (chance.choice(["", ","]) if inner else "") + gap() + "]"
    return json.dumps(value)

"""What the pages of docs/ show, written down as the files and requests they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lab import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Page:
    """One page.

    Attributes:
        files: name → content of the blocks that begin with a comment that names a file.
        requests: the blocks of JSON, in order.
    """

    def __init__(self, name: str) -> None:
        blocks = _BLOCK.findall((ROOT / "docs" / name).read_text())
        named = [
            (text.partition("\n")[0].removeprefix("# "), text) for kind, text in blocks if kind in ("python", "toml")
        ]
        self.files: dict[str, str] = dict(named)
        self.requests: list[dict[str, Any]] = [json.loads(text) for kind, text in blocks if kind == "json"]

    def write(self, folder: Path, *names: str) -> None:
        """Write some of the files."""
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).write_text(self.files[name])

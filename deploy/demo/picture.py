"""Draws what the tour really prints: ``python deploy/demo/picture.py`` runs it and writes docs/images/*.svg.

Two pictures: the tour's own output, and ``mystic status`` of the service it leaves running. Nothing is made up;
lines that are too long for a page are cut at its edge.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parents[1] / "docs" / "images"
COLUMNS = 126
FONT_SIZE, LINE_HEIGHT, ADVANCE = 13, 18, 7.83  # pixels; a monospaced character is 0.602 of its size wide
MARGIN, BAR = 18, 30

PAPER, INK, DIM, PROMPT, GOOD, NUMBER = "#10161d", "#c9d4df", "#7d8b99", "#6cb6ff", "#7ee2a8", "#f0c674"
_RULES: Sequence[tuple[str, str]] = (
    (r"^\$ ", PROMPT),
    (r"times faster|attached in \d+ of \d+|released|with the cache", GOOD),
    (r"^ *(SERVICE|FUNCTION|HIJACK|slowest functions|median) ", DIM),
    (r"^(overhead|… and)|^no hijacks|^\.\.\.", DIM),
)


def colour(line: str) -> str:
    """Return the colour of a whole line."""
    return next((shade for pattern, shade in _RULES if re.search(pattern, line)), INK)


def picture(title: str, lines: Iterable[str]) -> str:
    """Return an SVG document that shows ``lines`` in a terminal's window."""
    shown = [line.rstrip()[:COLUMNS] for line in lines]
    width = round(2 * MARGIN + ADVANCE * max(map(len, shown)))
    height = BAR + MARGIN + LINE_HEIGHT * len(shown)
    rows = [
        f'<text x="{MARGIN}" y="{BAR + MARGIN + i * LINE_HEIGHT}" fill="{colour(line)}">{escape(line)}</text>'
        for i, line in enumerate(shown)
        if line
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f' role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            "<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
            "white-space:pre}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
            *(f'<circle cx="{MARGIN + 4 + i * 16}" cy="15" r="5" fill="{DIM}"/>' for i in range(3)),
            f'<text x="{width / 2}" y="19" fill="{DIM}" text-anchor="middle">{escape(title)}</text>',
            '<g xml:space="preserve">',
            *rows,
            "</g>",
            "</svg>\n",
        ]
    )


def tour() -> tuple[list[str], list[str]]:
    """Run the tour once; return what it printed, and what ``mystic status`` says of the service it keeps."""
    command = [sys.executable, "-u", str(HERE / "demo.py"), "--keep"]
    printed: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603
        try:
            assert demo.stdout is not None  # noqa: S101 -- asked for above
            for line in demo.stdout:
                printed.append(line.rstrip())
                if "/openapi.json" in line:
                    break
            port = re.search(r"the collector at http://127\.0\.0\.1:(\d+)", "\n".join(printed))
            if port is None:
                raise SystemExit("picture: the demo ended early; run 'make demo' to see why")
            mystic = str(Path(sys.executable).with_name("mystic"))
            status = [mystic, "status", "--sort", "total_time", "--top", "9", "--port", port[1]]
            said = subprocess.run(status, check=True, capture_output=True, text=True, env=os.environ)  # noqa: S603
        finally:
            demo.send_signal(signal.SIGINT)
    return printed, said.stdout.splitlines()


def main() -> None:
    """Write both pictures."""
    printed, status = tour()
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / "demo.svg").write_text(picture("make demo", ["$ make demo", *printed]), encoding="utf-8")
    told = ["$ mystic status --sort total_time --top 9", *status]
    (IMAGES / "status.svg").write_text(picture("mystic status", told), encoding="utf-8")


if __name__ == "__main__":
    main()

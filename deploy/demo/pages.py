"""Takes the pictures of the page: ``python deploy/demo/pages.py URL FUNCTION`` writes docs/images/page-*.png.

The collector at URL must have been busy with a real service, such as the one that ``make demo KEEP=1`` leaves running.
Needs ``chromium`` on PATH, and Pillow.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
COLOURS = 128
"""Of a picture: enough for a page, and a quarter of the bytes."""


def main() -> int:
    """Take the pictures; return the exit code."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    url, function = sys.argv[1].rstrip("/"), sys.argv[2]
    chromium = shutil.which("chromium")
    pages = (
        ("overview", "", "light", 1280, 860),
        ("function", f"functions/{function}", "light", 1280, 1250),
        ("hijacks", "hijacks", "dark", 1280, 620),
        ("traces", "traces", "dark", 1280, 720),
        ("narrow", "", "light", 390, 800),
    )
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, place, scheme, width, height in pages:
            size = {"width": width, "height": height}
            page = browser.new_page(viewport=size, color_scheme="dark" if scheme == "dark" else "light")
            page.goto(f"{url}/#/{place}")
            page.wait_for_selector("#main[aria-busy=false]")
            page.wait_for_selector("#live[data-state=live]")
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
            picture.save(IMAGES / f"page-{name}.png", optimize=True)
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A sheet to draw on: in points, drawn at twice the size so that it is sharp on any screen."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

from PIL import Image, ImageDraw, ImageFont

INK, MUTED, GRID, PAPER, PANEL = "#1b2733", "#5d6b7a", "#dfe4ea", "#ffffff", "#f5f7f9"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d1380e", "#a6538b", "#56b4e9"
"""Told apart also by people who do not see all colours: the palette of Okabe and Ito, 2008."""

_SCALE = 2
_FILES = {False: "Lato-Regular.ttf", True: "Lato-Bold.ttf"}


@lru_cache(maxsize=32)
def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    data = (resources.files("font_lato") / "files" / _FILES[bold]).read_bytes()
    return ImageFont.truetype(io.BytesIO(data), round(size * _SCALE))


class Canvas:
    """An empty sheet.

    Args:
        width, height: in points.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def text(
        self, x: float, y: float, text: str, size: float = 12, colour: str = INK, anchor: str = "la", bold: bool = False
    ) -> None:
        """Write one line; ``anchor`` as Pillow has it: left, middle or right, then ascender, middle, baseline, …"""
        self._draw.text((x * _SCALE, y * _SCALE), text, fill=colour, font=_font(size, bold), anchor=anchor)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: str, radius: float = 0) -> None:
        """Fill a rectangle; at least a hair wide."""
        corners = (x0 * _SCALE, y0 * _SCALE, max(x1 * _SCALE - 1, x0 * _SCALE + 1), max(y1, y0) * _SCALE)
        self._draw.rounded_rectangle(corners, radius * _SCALE, fill=colour)

    def line(self, points: Sequence[tuple[float, float]], colour: str = GRID, width: float = 1) -> None:
        """Draw through ``points``."""
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * _SCALE), joint="curve")

    def dashes(self, x: float, y0: float, y1: float, colour: str) -> None:
        """Draw a dashed upright line."""
        y = y0
        while y < y1:
            self.line([(x, y), (x, min(y + 4, y1))], colour, 1.5)
            y += 7

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """Draw a disc."""
        corners = [(one + sign * radius) * _SCALE for sign in (-1, 1) for one in (x, y)]
        self._draw.ellipse(corners, fill=colour)

    def cut(self, height: float) -> Canvas:
        """End the sheet at ``height`` points."""
        self.height = min(round(height), self.height)
        self._image = self._image.crop((0, 0, self.width * _SCALE, self.height * _SCALE))
        self._draw = ImageDraw.Draw(self._image)
        return self

    def png(self) -> bytes:
        """Return the sheet; with at most 256 colours, which flat drawings never miss."""
        kept = io.BytesIO()
        self._image.quantize(256, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
        return kept.getvalue()


def wide(text: str, size: float = 12, bold: bool = False) -> float:
    """Return how wide a text is, in points."""
    return _font(size, bold).getlength(text) / _SCALE


def fitted(text: str, room: float, size: float = 12, from_left: bool = True) -> str:
    """Return ``text`` shortened to ``room`` points; from the left, because the end of a dotted name tells more."""
    if wide(text, size) <= room:
        return text
    low, high = 0, len(text)
    while low < high:  # the most characters that fit beside the ellipsis
        middle = (low + high + 1) // 2
        shown = f"…{text[-middle:]}" if from_left else f"{text[:middle]}…"
        low, high = (middle, high) if wide(shown, size) <= room else (low, middle - 1)
    if not low:
        return ""
    return f"…{text[-low:]}" if from_left else f"{text[:low]}…"


def steps(most: float, wanted: int = 4) -> list[float]:
    """Return round numbers from 0 that reach ``most``: 1, 2 or 5 times a power of ten apart."""
    if most <= 0:
        return [0.0, 1.0]
    power = 10.0 ** (len(f"{most / wanted:.0f}") - 1) if most >= wanted else 1.0
    while most / power < wanted:
        power /= 10
    apart = next(one * power for one in (1, 2, 5, 10, 20, 50, 100) if most / (one * power) <= wanted)
    count = int(-(-most // apart))
    return [apart * index for index in range(count + 1)]


def counted(value: float) -> str:
    """Return a number as people read it: 1,204 and 3.4M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if value >= size:
            return f"{value / (size if unit != 'k' else 1e3):.3g}{unit}"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"

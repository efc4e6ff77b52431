"""The picture that social networks and messengers show beside a link to `/changes`: 1200 × 630, as a PNG.

Those who fetch it run no scripts and draw no SVG, so it is drawn here, by Pillow, with fonts that come along: two cuts
of DejaVu with the letters of European languages and Cyrillic, so that it looks the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.ImageFont import FreeTypeFont

WIDTH: Final = 1200
HEIGHT: Final = 630
_FONTS: Final = Path(__file__).parent / "fonts"
_KEPT: Final = 128
_MARGIN: Final = 84
_GROUND: Final = "#0e3a33"
_RING: Final = "#1b5349"
_SPARK: Final = "#ff8d6b"
_INK: Final = "#fffdf7"
_QUIET: Final = "#b9cdc3"
_SIZES: Final = (84, 74, 64, 56, 48)
"""Of the headline, from what one line takes to what five lines do."""
_MOST_LINES: Final = 5
_ROOM: Final = 330
"""Pixels of height that the headline may take."""
_LEADING: Final = 1.16
_SMOOTH: Final = 3
"""Arcs are drawn so many times larger and made small again: Pillow draws their edges hard."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the picture says: the company, what it is about, the headline, and a day where there is one."""

    company: str
    label: str
    headline: str
    on: str = ""


@lru_cache(maxsize=_KEPT)
def drawn(card: Card) -> bytes:
    """The picture as a PNG. Takes tens of milliseconds of a core the first time; call it in a thread."""
    image = _ground().copy()
    draw = ImageDraw.Draw(image)
    width = WIDTH - 2 * _MARGIN
    draw.text((_MARGIN, 76), _shortened(card.company, _font(30, bold=True), width), _QUIET, _font(30, bold=True))
    draw.text((_MARGIN, 134), card.label, _SPARK, _font(34, bold=True))
    font, lines = _headline(card.headline, width)
    step = round(font.size * _LEADING)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, 200 + number * step), line, _INK, font)
    if card.on:
        draw.text((_MARGIN, HEIGHT - 86), card.on, _QUIET, _font(28))
    kept = BytesIO()
    image.save(kept, "PNG", optimize=True)
    return kept.getvalue()


@lru_cache(maxsize=1)
def _ground() -> Image.Image:
    """The ring of the product, three quarters closed, runs out of the picture below on the right."""
    size = (WIDTH * _SMOOTH, HEIGHT * _SMOOTH)
    image = Image.new("RGB", size, _GROUND)
    draw = ImageDraw.Draw(image)
    x, y, radius, stroke = (each * _SMOOTH for each in (1080, 560, 300, 46))
    box = (x - radius, y - radius, x + radius, y + radius)
    draw.arc(box, 180, 262, _RING, stroke)
    draw.arc(box, 276, 352, _RING, stroke)
    draw.arc(box, 98, 168, _RING, stroke)
    dot = 26 * _SMOOTH
    draw.ellipse((x - dot, y - dot, x + dot, y + dot), _SPARK)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _headline(said: str, width: int) -> tuple[FreeTypeFont, Sequence[str]]:
    """The largest letters in which it has room; shortened where even the smallest have none."""
    for size in _SIZES:
        font = _font(size, bold=True)
        lines = _lines(said, font, width)
        if len(lines) <= min(_MOST_LINES, int(_ROOM / (size * _LEADING))):
            return font, lines
    kept = lines[:_MOST_LINES]
    return font, [*kept[:-1], _shortened(f"{kept[-1]} {lines[_MOST_LINES]}", font, width)]


def _lines(said: str, font: FreeTypeFont, width: int) -> list[str]:
    """Broken between words; within one that is wider than a line."""
    lines = [""]
    for word in said.split():
        tried = f"{lines[-1]} {word}".strip()
        if font.getlength(tried) <= width:
            lines[-1] = tried
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line]


def _shortened(said: str, font: FreeTypeFont, width: int) -> str:
    if font.getlength(said) <= width:
        return said
    kept = said
    while kept and font.getlength(f"{kept}…") > width:
        kept = kept[:-1].rstrip(" ,.;:–-")
    return f"{kept}…"


@lru_cache(maxsize=16)
def _font(size: int, *, bold: bool = False) -> FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    # The basic layout is the same on every machine; the other one comes from a library that may be there or not.
    return ImageFont.truetype(_FONTS / name, size, layout_engine=ImageFont.Layout.BASIC)

"""What the pictures of the documentation have in common: an SVG in two colours, for light and dark pages.

A picture is drawn for a phone: 360 units wide, so that text is as large there as it says. The page shows
`NAME-light.svg` or `NAME-dark.svg` by the fragment of its address, `#only-light` and `#only-dark`.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import NamedTuple

ASSETS = Path(__file__).parents[1] / "docs" / "assets"
WIDTH = 360
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


class Colours(NamedTuple):
    ink: str
    soft: str
    line: str
    strong: str
    on_strong: str
    usual: str
    usual_line: str
    plain: str
    warm: str
    bad: str


THEMES = {
    "light": Colours(
        ink="#263238",
        soft="#546e7a",
        line="#90a4ae",
        strong="#00796b",
        on_strong="#ffffff",
        usual="#e0f2f1",
        usual_line="#4db6ac",
        plain="#ffffff",
        warm="#ef6c00",
        bad="#c62828",
    ),
    "dark": Colours(
        ink="#e6edf3",
        soft="#a7b4bd",
        line="#78909c",
        strong="#26a69a",
        on_strong="#06201c",
        usual="#17403b",
        usual_line="#4db6ac",
        plain="#1e2530",
        warm="#ffa726",
        bad="#ff8a80",
    ),
}


def svg(title: str, told: str, height: float, parts: list[str]) -> str:
    """Put the parts of a picture together; `told` says the same in words."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH * 1.4:.0f}" height="{height * 1.4:.0f}" role="img" '
        f'aria-labelledby="title desc" font-family="{FONT}" font-size="12">'
    )
    words = f'<title id="title">{escape(title)}</title>\n<desc id="desc">{escape(told)}</desc>'
    return "\n".join([opening, words, *parts, "</svg>\n"])


def text(
    x: float,
    y: float,
    words: str,
    colour: str,
    *,
    size: float = 12,
    anchor: str = "start",
    weight: int = 400,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{colour}">{escape(words)}</text>'
    )


def write(name: str, draw: Callable[[Colours], str], folder: Path = ASSETS) -> None:
    for theme, colours in THEMES.items():
        (folder / f"{name}-{theme}.svg").write_text(draw(colours), encoding="utf-8")

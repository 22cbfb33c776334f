"""Draws the results as an SVG: bars of time relative to the library that owns the loop.

One section per backend, two bars per row (Creche, AnyIO), a line at 1.0 for the native library.
Bars that are longer than the scale are cut, with a gap to show it, and carry their figure. The
colours follow the reader's light or dark mode; the SVG needs no font and no script.
"""

from __future__ import annotations

from html import escape
from typing import Any

from .model import ANYIO, CRECHE, LOOPS, Backend
from .results import Result, native

WIDTH, LEFT, RIGHT = 860, 236, 60
SCALE_MAX = 4.0
ROW, BAR, GAP = 34, 11, 2
SECTIONS: dict[Backend, str] = {
    name: f"on {loop.title}: 1× is "
    + (
        f"{loop.title} itself"
        if name == loop.kernel
        else f"{loop.kernel}'s streams on {loop.title}"
    )
    for name, loop in LOOPS.items()
}
STYLE = """
text { font: 13px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
.title { font-size: 17px; font-weight: 600 } .section { font-weight: 600 }
.soft { fill: #57606a; font-size: 12px } .end { text-anchor: end } .mid { text-anchor: middle }
.strong { font-weight: 600 }
.creche { fill: #0a7d5c } .anyio { fill: #b8bfc8 }
.grid { stroke: #d8dee4; stroke-width: 1 } .one { stroke: #24292f; stroke-width: 1.5 }
.cut { stroke: #ffffff; stroke-width: 3 }
.halo { stroke: #ffffff; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
 text { fill: #e6edf3 } .soft { fill: #9198a1 } .creche { fill: #2fbf8f } .anyio { fill: #59636e }
 .grid { stroke: #2f363d } .one { stroke: #e6edf3 } .cut, .halo { stroke: #0d1117 }
}
"""


def at(ratio: float) -> float:
    """Where a ratio lies on the x axis."""
    return LEFT + min(ratio, SCALE_MAX) / SCALE_MAX * (WIDTH - LEFT - RIGHT)


def words(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(text)}</text>'


def rule(x: float, top: float, bottom: float, style: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" class="{style}"/>'


def bar(y: float, ratio: float, style: str) -> list[str]:
    width = max(at(ratio) - LEFT, 1.5)
    shape = f'<rect x="{LEFT}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" rx="2" '
    parts = [shape + f'class="{style}"/>']
    if ratio > SCALE_MAX:
        x = LEFT + width - 14
        parts.append(
            f'<line x1="{x - 3:.1f}" x2="{x + 3:.1f}" y1="{y + BAR + 1:.1f}" y2="{y - 1:.1f}" '
            'class="cut"/>'
        )
    label = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
    strong = " strong" if style == CRECHE else ""
    place = at(ratio) + 5, y + BAR - 1.5
    # Twice, since not every renderer knows paint-order: the halo keeps the grid off the figure.
    return [
        *parts,
        words(*place, label, "soft halo" + strong),
        words(*place, label, "soft" + strong),
    ]


def row(result: Result, y: float) -> list[str]:
    peer = native(result.backend)
    parts = [words(LEFT - 12, y + BAR + 5, result.label, "end")]
    for index, label in enumerate((CRECHE, ANYIO)):
        if ratio := result.ratio(label, peer):
            parts += bar(y + index * (BAR + GAP), ratio.median, label)
    return parts


def drawable(results: list[Result], backend: Backend) -> list[Result]:
    """The main rows that have a native peer."""
    rows = [each for each in results if each.backend == backend and each.in_chart]
    return [each for each in rows if each.median(native(backend))]


def section(backend: Backend, rows: list[Result], top: float) -> tuple[list[str], float]:
    """The lines of a section and the y where it ends."""
    first = top + 50
    bottom = first + len(rows) * ROW
    parts = [words(16, top + 10, SECTIONS[backend], "section")]
    for mark in range(int(SCALE_MAX) + 1):
        parts.append(rule(at(mark), first - 8, bottom, "grid"))
        parts.append(words(at(mark), first - 13, f"{mark}×", "soft mid"))
    parts.append(rule(at(1), first - 8, bottom, "one"))
    for index, result in enumerate(rows):
        parts += row(result, first + index * ROW)
    return parts, bottom + 26


def legend(about: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items() if number)
    return [
        words(16, 28, "Time (or memory) per operation, beside the loop's own library", "title"),
        f'<rect x="16" y="44" width="{BAR}" height="{BAR}" rx="2" class="creche"/>',
        words(33, 54, "Creche", "strong"),
        f'<rect x="96" y="44" width="{BAR}" height="{BAR}" rx="2" class="anyio"/>',
        words(113, 54, "AnyIO"),
        words(164, 54, "shorter is better", "soft"),
        words(WIDTH - 16, 54, f"{about['python']}; {versions}", "soft end"),
    ]


def draw(results: list[Result], about: dict[str, Any]) -> str:
    parts, y = legend(about), 84.0
    for backend in SECTIONS:
        if rows := drawable(results, backend):
            lines, y = section(backend, rows, y)
            parts += lines
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" '
        f'width="{WIDTH}" height="{y:.0f}" role="img" '
        'aria-label="Time per operation of Creche and AnyIO, relative to the native library">'
    )
    return "\n".join([opening, f"<style>{STYLE}</style>", *parts, "</svg>\n"])

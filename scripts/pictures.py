"""Draws the pictures of the chapters on services: states in boxes, and what leads from one to another.

    python3 scripts/pictures.py          writes docs/assets/service.svg and docs/assets/stop.svg

A picture is a table of boxes and arrows, so a change of the states is a change of a line here.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

ASSETS = Path(__file__).parents[1] / "docs" / "assets"
WIDTH, HEIGHT = 150, 52
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


class Box(NamedTuple):
    """A state, by the middle of its box."""

    name: str
    x: int
    y: int
    note: str = ""
    kind: str = "usual"


class Arrow(NamedTuple):
    """A way from one state to another; `label` says what leads there, moved by `place`."""

    start: str
    end: str
    label: str
    place: tuple[int, int] = (0, -8)


class Picture(NamedTuple):
    title: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


SERVICE = Picture(
    "The life of a service of a supervisor",
    (860, 290),
    (
        Box("starting", 110, 90, "until started()"),
        Box("running", 370, 90, kind="strong"),
        Box("finished", 730, 50, "it returned", "end"),
        Box("failed", 730, 130, "it raised", "end"),
        Box("waiting", 110, 240, "for its backoff or turn"),
        Box("stopping", 370, 240, "within stop_grace"),
        Box("stopped", 730, 240, "for good", "end"),
    ),
    (
        Arrow("starting", "running", "started()"),
        Arrow("running", "finished", "not restarted", place=(0, -10)),
        Arrow("running", "failed", "", place=(0, 16)),
        Arrow("running", "waiting", "it failed", place=(-34, 0)),
        Arrow("running", "stopping", "stop, or another failed", place=(84, 4)),
        Arrow("stopping", "waiting", "to run again", place=(0, 18)),
        Arrow("stopping", "stopped", "stop()"),
        Arrow("waiting", "starting", "its turn", place=(-34, 4)),
    ),
)
STOP = Picture(
    "The life of a stop",
    (860, 240),
    (
        Box("running", 110, 80, kind="strong"),
        Box("stopping", 400, 80, "finish what is in hand"),
        Box("left", 740, 80, "all came to an end", "end"),
        Box("cancelled", 400, 190, "every checkpoint raises"),
    ),
    (
        Arrow("running", "stopping", "stop(grace=10)"),
        Arrow("stopping", "left", "listened: until_stop()"),
        Arrow("stopping", "cancelled", "the grace is over", place=(70, 4)),
        Arrow("running", "cancelled", "cancel()", place=(-30, 14)),
        Arrow("cancelled", "left", "finally blocks ran", place=(40, 18)),
    ),
)

TIP = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
    'markerHeight="8" orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#37474f"/>'
    "</marker></defs>"
)
FILL = {"usual": "#e0f2f1", "strong": "#00796b", "end": "#fff"}
STROKE = {"usual": "#80cbc4", "strong": "#00796b", "end": "#b0bec5"}


def draw(picture: Picture) -> str:
    width, height = picture.size
    places = {box.name: box for box in picture.boxes}
    told = "; ".join(
        f"from {arrow.start} to {arrow.end}: {arrow.label or 'as well'}" for arrow in picture.arrows
    )
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title desc" font-family="{FONT}" '
        f'font-size="14">'
    )
    frame = (
        f'<rect x="1" y="1" width="{width - 2}" height="{height - 2}" rx="12" fill="#fafafa" '
        f'stroke="#cfd8dc"/>'
    )
    parts = [
        opening,
        f'<title id="title">{escape(picture.title)}</title>',
        f'<desc id="desc">{escape(told)}</desc>',
        TIP,
        frame,
        *(draw_arrow(arrow, places) for arrow in picture.arrows),
        *(draw_box(box) for box in picture.boxes),
        "</svg>\n",
    ]
    return "\n".join(parts)


def draw_box(box: Box) -> str:
    colour = "#fff" if box.kind == "strong" else "#263238"
    lines = [(box.name, "600", box.y + (5 if not box.note else -3))]
    if box.note:
        lines.append((box.note, "400", box.y + 16))
    text = "".join(
        f'<text x="{box.x}" y="{y}" text-anchor="middle" font-weight="{weight}" '
        f'font-size="{14 if weight == "600" else 12}" fill="{colour}">{escape(line)}</text>'
        for line, weight, y in lines
    )
    return (
        f'<rect x="{box.x - WIDTH // 2}" y="{box.y - HEIGHT // 2}" width="{WIDTH}" '
        f'height="{HEIGHT}" rx="8" fill="{FILL[box.kind]}" stroke="{STROKE[box.kind]}" '
        f'stroke-width="1.6"/>{text}'
    )


def draw_arrow(arrow: Arrow, places: dict[str, Box]) -> str:
    start, end = places[arrow.start], places[arrow.end]
    x1, y1 = edge(start, end)
    x2, y2 = edge(end, start)
    x, y = (x1 + x2) / 2 + arrow.place[0], (y1 + y2) / 2 + arrow.place[1]
    return (
        f'<path d="M{x1:.0f} {y1:.0f} L{x2:.0f} {y2:.0f}" fill="none" stroke="#37474f" '
        f'stroke-width="1.6" marker-end="url(#tip)"/>'
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" font-size="12" '
        f'fill="#37474f">{escape(arrow.label)}</text>'
    )


def edge(box: Box, towards: Box) -> tuple[float, float]:
    """Return where the way from the middle of a box to that of another leaves the box."""
    dx, dy = towards.x - box.x, towards.y - box.y
    share = min(
        (WIDTH / 2 + 3) / abs(dx) if dx else float("inf"),
        (HEIGHT / 2 + 3) / abs(dy) if dy else float("inf"),
    )
    return box.x + dx * share, box.y + dy * share


def main() -> None:
    for name, picture in (("service", SERVICE), ("stop", STOP)):
        (ASSETS / f"{name}.svg").write_text(draw(picture), encoding="utf-8")


if __name__ == "__main__":
    main()

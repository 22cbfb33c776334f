"""Draws the pictures of states: boxes, and what leads from one to another.

    python3 scripts/pictures.py          writes docs/assets/NAME-light.svg and NAME-dark.svg

A picture is a table of boxes and arrows, so a change of the states is a change of a line here.
"""

from __future__ import annotations

from typing import NamedTuple

from drawing import Colours, svg, text, write

WIDE, HIGH = 136, 44


class Box(NamedTuple):
    """A state, by the middle of its box."""

    name: str
    x: int
    y: int
    note: str = ""
    kind: str = "usual"


class Arrow(NamedTuple):
    """A way from one state to another; `label` says what leads there.

    `place` moves the label from the middle of the way: to the right of it, to the left, or above.
    """

    start: str
    end: str
    label: str = ""
    place: tuple[int, int] = (8, 4)
    around: bool = False
    """Along the right edge, around what is in between."""


class Picture(NamedTuple):
    title: str
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


LEFT, RIGHT, MIDDLE, EDGE = 72, 274, 173, 355
ABOVE = (0, -6)
PICTURES = {
    "service": Picture(
        "The life of a service of a supervisor",
        344,
        (
            Box("starting", LEFT, 30, "until started()"),
            Box("running", RIGHT, 30, kind="strong"),
            Box("waiting", LEFT, 140, "for backoff or turn"),
            Box("stopping", RIGHT, 140, "within stop_grace"),
            Box("stopped", RIGHT, 236, "for good", "end"),
            Box("ended", RIGHT, 318, "finished, or failed", "end"),
        ),
        (
            Arrow("starting", "running", "started()", ABOVE),
            Arrow("running", "waiting", "it failed", (-10, -2)),
            Arrow("running", "stopping", "a stop", (8, 8)),
            Arrow("stopping", "waiting", "again", ABOVE),
            Arrow("stopping", "stopped", "stop()"),
            Arrow("waiting", "starting", "its turn", (-8, 4)),
            Arrow("running", "ended", "not restarted", (-78, 148), around=True),
        ),
    ),
    "stop": Picture(
        "The life of a stop",
        310,
        (
            Box("running", LEFT, 34, kind="strong"),
            Box("stopping", RIGHT, 34, "finish what is in hand"),
            Box("cancelled", LEFT, 160, "checkpoints raise"),
            Box("left", RIGHT, 284, "all came to an end", "end"),
        ),
        (
            Arrow("running", "stopping", "stop()", ABOVE),
            Arrow("running", "cancelled", "cancel()", (-8, 4)),
            Arrow("stopping", "cancelled", "grace is over", (-4, -12)),
            Arrow("stopping", "left", "it listened"),
            Arrow("cancelled", "left", "finally blocks ran", (-8, 18)),
        ),
    ),
    "group": Picture(
        "The life of a task group",
        326,
        (
            Box("open", MIDDLE, 30, "takes tasks", "strong"),
            Box("waiting", LEFT, 144, "for its tasks"),
            Box("cancelled", RIGHT, 144, "all tasks inside"),
            Box("left", LEFT, 298, "nothing was raised", "end"),
            Box("raised", RIGHT, 298, "ExceptionGroup", "end"),
        ),
        (
            Arrow("open", "waiting", "end of the block", (-8, -4)),
            Arrow("open", "cancelled", "error, cancel()", (8, -4)),
            Arrow("waiting", "cancelled", "error", ABOVE),
            Arrow("waiting", "left", "all ended", (-8, 4)),
            Arrow("cancelled", "left", "by cancel()", (-4, -12)),
            Arrow("cancelled", "raised", "by an error"),
        ),
    ),
    "stream": Picture(
        "A memory stream closes",
        326,
        (
            Box("open", MIDDLE, 30, "items pass", "strong"),
            Box("draining", LEFT, 154, "senders are closed"),
            Box("broken", RIGHT, 154, "receivers are closed"),
            Box("ended", LEFT, 298, "EndOfStream", "end"),
            Box("refused", RIGHT, 298, "BrokenResourceError", "end"),
        ),
        (
            Arrow("open", "draining", "last send end closes", (-2, -22)),
            Arrow("open", "broken", "last receive end closes", (6, -20)),
            Arrow("draining", "ended", "nothing is left"),
            Arrow("broken", "refused", "send()"),
        ),
    ),
    "scopes": Picture(
        "Groups, tasks and scopes are a tree; a cancellation goes down from one place in it",
        290,
        (
            Box("main", MIDDLE, 30, "fail_after(2)"),
            Box("task group", MIDDLE, 112, "cancelled", "warm"),
            Box("Oslo", LEFT, 194, "cancelled", "warm"),
            Box("Lima", RIGHT, 194, "cancelled", "warm"),
            Box("shield", LEFT, 266, "not reached", "end"),
            Box("connection", RIGHT, 266, "cancelled", "warm"),
        ),
        (
            Arrow("main", "task group", "the time is over"),
            Arrow("task group", "Oslo"),
            Arrow("task group", "Lima"),
            Arrow("Oslo", "shield"),
            Arrow("Lima", "connection"),
        ),
    ),
    "cancellation": Picture(
        "What happens to a task in a cancelled scope on asyncio",
        520,
        (
            Box("scope.cancel()", MIDDLE, 30, "no credit is left", "strong"),
            Box("where is it?", MIDDLE, 112, "after each step"),
            Box("waits", LEFT, 220, "on asyncio's future"),
            Box("Task.cancel()", LEFT, 300, "look when it is done", "end"),
            Box("steps", RIGHT, 220, "Creche's waits raise"),
            Box("call_soon(look)", RIGHT, 300, "look after the step", "end"),
            Box("has left", MIDDLE, 410, "done, or shielded"),
            Box("settled", MIDDLE, 490, "uncancel() ours", "end"),
        ),
        (
            Arrow("scope.cancel()", "where is it?"),
            Arrow("where is it?", "waits"),
            Arrow("where is it?", "steps"),
            Arrow("where is it?", "has left"),
            Arrow("waits", "Task.cancel()"),
            Arrow("steps", "call_soon(look)"),
            Arrow("has left", "settled"),
        ),
    ),
}


def draw(picture: Picture, colours: Colours) -> str:
    places = {box.name: box for box in picture.boxes}
    told = "; ".join(
        f"from {arrow.start} to {arrow.end}" + (f": {arrow.label}" if arrow.label else "")
        for arrow in picture.arrows
    )
    parts = [
        tip(colours),
        *(draw_arrow(arrow, places, colours) for arrow in picture.arrows),
        *(draw_box(box, colours) for box in picture.boxes),
    ]
    return svg(picture.title, told, picture.height, parts)


def tip(colours: Colours) -> str:
    return (
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="{colours.soft}"/></marker></defs>'
    )


def draw_box(box: Box, colours: Colours) -> str:
    fill, stroke = {
        "usual": (colours.usual, colours.usual_line),
        "strong": (colours.strong, colours.strong),
        "end": (colours.plain, colours.line),
        "warm": (colours.plain, colours.warm),
    }[box.kind]
    ink = colours.on_strong if box.kind == "strong" else colours.ink
    lines = [
        text(
            box.x,
            box.y + (-3 if box.note else 4),
            box.name,
            ink,
            size=13,
            anchor="middle",
            weight=600,
        )
    ]
    if box.note:
        lines.append(text(box.x, box.y + 13, box.note, ink, size=11, anchor="middle"))
    return (
        f'<rect x="{box.x - WIDE // 2}" y="{box.y - HIGH // 2}" width="{WIDE}" height="{HIGH}" rx="8" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>{"".join(lines)}'
    )


def draw_arrow(arrow: Arrow, places: dict[str, Box], colours: Colours) -> str:
    start, end = places[arrow.start], places[arrow.end]
    x1, y1 = edge(start, end)
    x2, y2 = edge(end, start)
    way = f"M{x1:.0f} {y1:.0f} L{x2:.0f} {y2:.0f}"
    if arrow.around:
        way = f"M{start.x + WIDE // 2} {start.y} H{EDGE} V{end.y} H{end.x + WIDE // 2 + 3}"
    x, y = (x1 + x2) / 2 + arrow.place[0], (y1 + y2) / 2 + arrow.place[1]
    anchor = "start" if arrow.place[0] > 0 else "end" if arrow.place[0] < 0 else "middle"
    line = f'<path d="{way}" fill="none" stroke="{colours.soft}" stroke-width="1.4" marker-end="url(#tip)"/>'
    return line + text(x, y, arrow.label, colours.soft, size=11, anchor=anchor)


def edge(box: Box, towards: Box) -> tuple[float, float]:
    """Return where the way from the middle of a box to that of another leaves the box."""
    dx, dy = towards.x - box.x, towards.y - box.y
    share = min(
        (WIDE / 2 + 3) / abs(dx) if dx else float("inf"),
        (HIGH / 2 + 3) / abs(dy) if dy else float("inf"),
    )
    return box.x + dx * share, box.y + dy * share


def main() -> None:
    for name, picture in PICTURES.items():
        write(name, lambda colours, shown=picture: draw(shown, colours))  # type: ignore[misc]


if __name__ == "__main__":
    main()

"""Draws tasks in time, from what the programs of the documentation do.

    .venv/bin/python scripts/timelines.py          writes docs/assets/NAME-light.svg and NAME-dark.svg

A block of a page is run in virtual time, with an instrument that notes what its tasks do. So a picture shows what
its program does, and a program that is changed gets another picture. Needs Python 3.12 or later.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from drawing import WIDTH, Colours, svg, text, write

import creche
from creche import insight, testing

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UNKNOWN = "an event of its loop"
LEFT, RIGHT, ROW, TOP = 92, 22, 27, 12


class Timeline(NamedTuple):
    """A picture: the page, the number of its block (from 1), and what the picture shows."""

    page: str
    block: int
    title: str
    timeouts: tuple[tuple[str, float], ...] = ()
    """Tasks in which a timeout ended a block, and when: the tasks themselves have returned."""


PICTURES = {
    "learn-one-by-one": Timeline("learn/waiting.md", 2, "Three requests, one after the other"),
    "learn-together": Timeline("learn/together.md", 1, "Three requests at the same time"),
    "learn-failure": Timeline(
        "learn/failing.md", 1, "One task fails, and the others are cancelled"
    ),
    "learn-timeout": Timeline("learn/timeouts.md", 1, "A timeout ends one task", (("Oslo", 2.5),)),
    "learn-stream": Timeline("learn/streams.md", 1, "Tasks send, and one task receives"),
    "learn-stop": Timeline("learn/stopping.md", 1, "A stop lets the work under way finish"),
    "backpressure": Timeline("backpressure.md", 1, "A producer waits while the buffer is full"),
    "fan": Timeline("how-to/fan-out.md", 1, "One task sends, three work, one collects"),
}


class Step(NamedTuple):
    time: float
    waits_for: str


class Row:
    """What one task has done."""

    def __init__(self, name: str, start: float) -> None:
        self.name = name
        self.start = start
        self.end: float | None = None
        self.outcome = "returned"
        self.steps: list[Step] = []


class Notes(insight.Instrument):
    """Notes when tasks begin, wait and end, and when groups are entered and left."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.groups: list[list[float]] = []
        self.open: dict[int, list[float]] = {}
        self.end = 0.0

    def row(self, task: creche.TaskInfo) -> Row:
        if task.id not in self.rows:
            short = (task.name or "").rpartition(".")[2]
            same = sum(each.name.partition(" #")[0] == short for each in self.rows.values())
            name = f"{short} #{same + 1}" if same else short
            self.rows[task.id] = Row(name, creche.current_time())
        return self.rows[task.id]

    def task_started(self, task: creche.TaskInfo) -> None:
        self.row(task)

    def before_step(self, task: creche.TaskInfo) -> None:
        self.row(task)

    def after_step(self, task: creche.TaskInfo, waits_for: str) -> None:
        row = self.row(task)
        if waits_for in {"", UNKNOWN} and row.steps:
            waits_for = row.steps[-1].waits_for
        row.steps.append(Step(creche.current_time(), waits_for))

    def task_ended(self, task: creche.TaskInfo, outcome: str) -> None:
        row = self.row(task)
        row.end, row.outcome = creche.current_time(), outcome.partition(" ")[0]

    def group_opened(self, scope: creche.CancelScope, host: creche.TaskInfo) -> None:
        self.row(host)
        self.open[id(scope)] = group = [creche.current_time(), 0.0]
        self.groups.append(group)

    def group_closed(self, scope: creche.CancelScope) -> None:
        self.open.pop(id(scope))[1] = creche.current_time()


def recorded(page: str, block: int) -> Notes:
    """Run a page as far as a block, and return what the tasks of that block did."""
    blocks = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))[:block]
    notes = Notes()
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(blocks, start=1):
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(virtual_time(notes))
            if number == block:
                stack.enter_context(insight.instrument(notes))
            exec(compile(source, page, "exec"), namespace)
    return notes


@contextlib.contextmanager
def virtual_time(notes: Notes) -> Iterator[None]:
    package: Any = creche
    run = package.run

    def run_and_note(func: Any, *args: Any, **_: Any) -> Any:
        @functools.wraps(func)
        async def main() -> Any:
            result = await func(*args)
            notes.end = creche.current_time()
            return result

        return testing.run(main)

    package.run = run_and_note
    try:
        yield
    finally:
        package.run = run


def draw(picture: Timeline, notes: Notes, colours: Colours) -> str:
    rows = list(notes.rows.values())
    end = notes.end
    for row in rows:
        row.end = end if row.end is None else row.end
    bottom = TOP + ROW * len(rows)
    parts = [*axis(end, bottom, colours), *groups(notes, len(rows), end, colours)]
    for number, row in enumerate(rows):
        parts += drawn_row(row, TOP + ROW * number, end, colours)
        for name, time in picture.timeouts:
            if name == row.name:
                assert time in {row.end, *(step.time for step in row.steps)}
                parts.append(
                    mark("cancelled", x_of(time, end) - 7, TOP + ROW * (number + 0.5), colours)
                )
    parts += legend(rows, bottom + 40, colours, timed_out=bool(picture.timeouts))
    told = "; ".join(f"{row.name}: {row.start:g} to {row.end:g} s, {row.outcome}" for row in rows)
    return svg(picture.title, told, bottom + 66, parts)


def x_of(time: float, end: float) -> float:
    return LEFT + time / end * (WIDTH - LEFT - RIGHT)


def axis(end: float, bottom: float, colours: Colours) -> Iterator[str]:
    step = next(
        each
        for unit in (0.001, 0.01, 0.1, 1, 10)
        for each in (unit, 2 * unit, 5 * unit)
        if end / each <= 7
    )
    number = 0
    while number * step <= end + step / 100:
        x = x_of(number * step, end)
        yield f'<path d="M{x:.1f} {TOP} V{bottom}" stroke="{colours.line}" stroke-width="0.6" opacity="0.5"/>'
        words = f"{number * step:g}" + (" s" if (number + 1) * step > end + step / 100 else "")
        yield text(x, bottom + 15, words, colours.soft, size=11, anchor="middle")
        number += 1


def groups(notes: Notes, count: int, end: float, colours: Colours) -> Iterator[str]:
    """The block of the first group: from when it was entered to when all its tasks had ended."""
    for start, stop in notes.groups[:1]:
        x, width = x_of(start, end) - 6, x_of(stop, end) - x_of(start, end) + 12
        yield (
            f'<rect x="{x:.1f}" y="{TOP + ROW - 2}" width="{width:.1f}" height="{ROW * (count - 1) + 2}" rx="7" '
            f'fill="none" stroke="{colours.usual_line}" stroke-dasharray="4 3"/>'
        )


def drawn_row(row: Row, y: float, end: float, colours: Colours) -> Iterator[str]:
    middle = y + ROW / 2
    yield text(LEFT - 12, middle + 4, row.name, colours.ink, anchor="end", weight=600)
    times = [row.start, *(step.time for step in row.steps), row.end or end]
    kinds = ["", *(kind_of(step.waits_for) for step in row.steps)]
    for begin, stop, kind in zip(times, times[1:], kinds, strict=False):
        if stop > begin:
            yield segment(x_of(begin, end), x_of(stop, end), middle, kind, colours)
    yield mark(row.outcome, x_of(row.end or end, end), middle, colours)


def kind_of(waits_for: str) -> str:
    if "group" in waits_for or "the end of" in waits_for:
        return "group"
    return "sleep" if "sleep" in waits_for else "wait"


def segment(x1: float, x2: float, y: float, kind: str, colours: Colours) -> str:
    if kind == "group":
        return f'<path d="M{x1:.1f} {y} H{x2:.1f}" stroke="{colours.line}" stroke-width="1.5"/>'
    fill = colours.strong if kind == "sleep" else colours.usual
    return (
        f'<rect x="{x1 + 0.5:.1f}" y="{y - 7}" width="{x2 - x1 - 1:.1f}" height="14" rx="3" fill="{fill}" '
        f'stroke="{colours.usual_line}" stroke-width="0.8"/>'
    )


def mark(outcome: str, x: float, y: float, colours: Colours) -> str:
    if outcome == "failed":
        return f'<path d="M{x - 5:.1f} {y - 5} l10 10 m0 -10 l-10 10" stroke="{colours.bad}" stroke-width="3"/>'
    if outcome == "cancelled":
        return f'<path d="M{x:.1f} {y - 9} v18" stroke="{colours.warm}" stroke-width="4"/>'
    return f'<circle cx="{x:.1f}" cy="{y}" r="4.5" fill="{colours.ink}"/>'


def legend(rows: list[Row], y: float, colours: Colours, *, timed_out: bool) -> Iterator[str]:
    """What the signs mean that are there."""
    kinds = {kind_of(step.waits_for) for row in rows for step in row.steps}
    outcomes = {row.outcome for row in rows} | ({"cancelled"} if timed_out else set())
    x = 10.0
    for kind, words in (("sleep", "takes its time"), ("wait", "waits for others")):
        if kind in kinds:
            yield segment(x, x + 18, y, kind, colours)
            yield text(x + 23, y + 4, words, colours.soft, size=11)
            x += 32 + 6 * len(words)
    for outcome in ("returned", "failed", "cancelled"):
        if outcome in outcomes:
            yield mark(outcome, x + 6, y, colours)
            yield text(x + 15, y + 4, outcome, colours.soft, size=11)
            x += 24 + 6 * len(outcome)


def main() -> None:
    for name, picture in PICTURES.items():
        notes = recorded(picture.page, picture.block)
        write(name, lambda colours, p=picture, n=notes: draw(p, n, colours))  # type: ignore[misc]


if __name__ == "__main__":
    main()

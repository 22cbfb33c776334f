"""`creche top`: a program's tasks in the terminal, live.

Owns what a key does, and how it looks. The rows are `rows.py`'s; a thread asks the program, so keys are answered
while it does not.

    live --p--> paused --p--> live
     `--the program ends--> ended: the last that was seen stays
"""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from time import localtime, strftime
from typing import ClassVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from .._insight.ask import TargetError, connect, is_alive
from .._insight.model import Snapshot, Task
from .._insight.text import duration, place_text, service_text
from .causes import chain_of
from .changes import ELSEWHERE
from .keys import keys_in
from .rows import ORDERS, Row, Rows, View, plain

EVERY = 1.0
_MOST_LINTS = 3
HELP = "↑ ↓ choose   → ← expand, fold   r cause   u back   / find   s sort (t b w a)   d compare   p pause   q quit"
_STATES = {
    "running": "bold green", "ready": "green", "waiting": "dim", "cancelling": "bold red", "shielded": "red",
}  # fmt: skip
_CHANGES = {"new": ("+", "green"), "ended": ("−", "red"), "changed": ("~", "yellow"), "": (" ", "")}


class Top:
    """What is shown, and what keys do to it. Knows no terminal."""

    def __init__(self) -> None:
        self.view = View()
        self.snapshot: Snapshot | None = None
        self.rows: Rows | None = None
        self.told = "connecting"
        self.paused = False
        self.finding = False
        self._latest: Snapshot | None = None
        self._first = 0
        self._back: list[str | None] = []

    def take(self, snapshot: Snapshot) -> None:
        """Take what was seen last."""
        self._latest = snapshot
        self.told = "paused" if self.paused else "live"
        if not self.paused or self.snapshot is None:
            self.snapshot = snapshot
            self._make_rows()

    def _make_rows(self) -> None:
        if self.snapshot is not None:
            self.rows = Rows(self.snapshot, self.view)

    # Keys

    def press(self, key: str) -> bool:
        """Do what a key means; return False if that is the end."""
        if self.finding:
            self._find(key)
        elif key == "q":
            return False
        elif key in self._KEYS:
            self._KEYS[key](self)
        self._make_rows()
        return True

    def _find(self, key: str) -> None:
        query = self.view.query
        if key in ("enter", "escape"):
            self.finding = False
            self.view.query = query if key == "enter" else ""
        elif key == "backspace":
            self.view.query = query[:-1]
        elif len(key) == 1:
            self.view.query = query + key

    def _begin_to_find(self) -> None:
        self.finding = True

    def _clear(self) -> None:
        self.view.query = ""
        self.view.mark = None

    def _move(self, by: int) -> None:
        if self.rows is None or not self.rows.list:
            return
        place = self.rows.place(self.view.chosen) + by
        self.view.chosen = self.rows.list[max(0, min(len(self.rows.list) - 1, place))].key

    def _chosen(self) -> tuple[int, Row | None]:
        if self.rows is None:
            return -1, None
        place = self.rows.place(self.view.chosen)
        return place, self.rows.list[place] if place >= 0 else None

    def _expand(self) -> None:
        _, row = self._chosen()
        if row is not None and row.open is False:
            self.view.choices[row.key] = True
        elif row is not None and row.open:
            self._move(1)

    def _fold(self) -> None:
        place, row = self._chosen()
        if row is None or self.rows is None:
            return
        if row.open:
            self.view.choices[row.key] = False
            return
        for above in reversed(self.rows.list[:place]):
            if above.depth < row.depth:
                self.view.chosen = above.key
                return

    def _toggle(self) -> None:
        _, row = self._chosen()
        if row is not None and row.open is not None:
            self.view.choices[row.key] = not row.open

    def _go_to_the_cause(self) -> None:
        _, row = self._chosen()
        if row is None or not row.tasks or self.rows is None:
            return
        chain = chain_of(row.tasks[0].id, self.rows.tasks, self.rows.stuck)
        self._back.append(row.key)
        self.view.query = ""
        self.rows.reveal(chain.cause)
        self.view.chosen = f"t{chain.cause}"

    def _go_back(self) -> None:
        if self._back:
            self.view.chosen = self._back.pop()

    def _sort(self, order: str | None = None) -> None:
        self.view.order = order or ORDERS[(ORDERS.index(self.view.order) + 1) % len(ORDERS)]

    def _compare(self) -> None:
        self.view.mark = self.snapshot if self.view.mark is None else None

    def _pause(self) -> None:
        self.paused = not self.paused
        self.told = "paused" if self.paused else "live"
        if not self.paused and self._latest is not None:
            self.snapshot = self._latest

    _KEYS: ClassVar[dict[str, Callable[[Top], None]]] = {
        "up": lambda self: self._move(-1), "k": lambda self: self._move(-1),
        "down": lambda self: self._move(1), "j": lambda self: self._move(1),
        "page up": lambda self: self._move(-20), "page down": lambda self: self._move(20),
        "home": lambda self: self._move(-10**9), "end": lambda self: self._move(10**9),
        "right": _expand, "left": _fold, "enter": _toggle, "r": _go_to_the_cause, "u": _go_back,
        "/": _begin_to_find, "escape": _clear, "s": _sort, "d": _compare, "p": _pause, " ": _pause,
        "t": lambda self: self._sort("tree"), "b": lambda self: self._sort("busy"),
        "w": lambda self: self._sort("waiting"), "a": lambda self: self._sort("age"),
    }  # fmt: skip

    # Looks

    def lines(self, width: int, height: int) -> list[Text]:
        """Return as many lines as the screen has."""
        rows = self.rows
        if rows is None:
            return [Text(f"creche top: {self.told}")]
        head = [self._title(rows), *self._alarms(rows), _columns(width)]
        details = self._details(rows)
        room = max(1, height - len(head) - len(details) - 1)
        shown = [self._row(rows, row, width) for row in self._visible(rows, room)]
        shown += [Text()] * (room - len(shown))
        lines = [*head, *shown, *details, self._foot()]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines[:height]

    def _visible(self, rows: Rows, room: int) -> list[Row]:
        place = max(0, rows.place(self.view.chosen))
        self._first = max(0, min(self._first, place, len(rows.list) - room))
        if place >= self._first + room:
            self._first = place - room + 1
        return rows.list[self._first : self._first + room]

    def _title(self, rows: Rows) -> Text:
        snapshot = rows.snapshot
        loops = ", ".join(f"{loop.backend} {loop.state}" for loop in snapshot.loops)
        title = Text(self.told, style="green" if self.told == "live" else "bold yellow")
        title.append(strftime(" %H:%M:%S", localtime(snapshot.time)), style="dim")
        if self.view.mark is not None:
            since = strftime("%H:%M:%S", localtime(self.view.mark.time))
            title.append(f"  compared with {since}", style="yellow")
        title.append(f"  {len(rows.tasks)} tasks, {loops}  process {snapshot.pid}  ", style="dim")
        title.append(" ".join(snapshot.argv), style="bold")
        return title

    def _alarms(self, rows: Rows) -> Iterator[Text]:
        for circle in rows.circles[:3]:
            names = " → ".join(map(rows.name, circle[:6]))
            yield Text(
                f"Deadlock: {len(circle)} tasks wait for each other: {names}", style="bold red"
            )
        for loop in rows.snapshot.loops:
            if loop.blocked_for is not None:
                yield Text(
                    f"{loop.backend} is blocked for {duration(loop.blocked_for)}", style="bold red"
                )
            lints = [lint for lint in loop.lints if lint.kind not in ELSEWHERE]
            for lint in lints[:_MOST_LINTS]:
                place = "" if lint.place is None else f"  {place_text(lint.place)}"
                yield Text(f"{lint.kind}: {lint.text}{place}", style="red")
            if len(lints) > _MOST_LINTS:
                yield Text(f"{len(lints) - _MOST_LINTS} more look wrong: see creche tree", "red")

    def _row(self, rows: Rows, row: Row, width: int) -> Text:
        mark, style = _CHANGES[row.change]
        fold = {None: " ", True: "▾", False: "▸"}[row.open]
        line = Text(mark, style=style)
        line.append(f"{'  ' * row.depth}{fold} ")
        if row.loop is not None:
            line.append(f"{row.loop.backend} in {row.loop.thread}: {row.loop.state}", style="bold")
        elif row.service is not None:
            line.append(row.service.name, style="bold").append(" service", style="dim")
            line.append(f"  {service_text(row.service)}", style="yellow")
        else:
            self._fill(rows, row, line, width)
        if row.key == self.view.chosen:
            line.pad_right(max(0, width - line.cell_len))
            line.stylize("reverse")
        return line

    def _fill(self, rows: Rows, row: Row, line: Text, width: int) -> None:
        task = row.tasks[0]
        name = task.name if len(row.tasks) == 1 else f"{plain(task.name)} ×{len(row.tasks)}"
        line.append(name, style="bold red" if task.id in rows.stuck else "bold")
        if task.kind in ("native", "detached", "starting"):
            line.append(f" {task.kind}", style="dim")
        doing = "ended" if row.change == "ended" else _most(map(rows.doing, row.tasks))
        line.append(f"  {doing}", style=_STATES.get(task.state, ""))
        figures = _figures(row.tasks)
        line.truncate(width - len(figures) - 1, overflow="ellipsis", pad=True)
        line.append(figures, style="dim")

    def _details(self, rows: Rows) -> list[Text]:
        _, row = self._chosen()
        if row is None or len(row.tasks) != 1 or row.tasks[0].id not in rows.tasks:
            return []
        task = row.tasks[0]
        line = Text(task.full_name, style="bold")
        if task.place is not None:
            line.append(f"  {place_text(task.place)}", style="dim")
        chain = chain_of(task.id, rows.tasks, rows.stuck)
        if len(chain.tasks) < 2:
            return [line]
        way = " → ".join(map(rows.name, chain.tasks[:8]))
        if chain.circle:
            return [line, Text(f"in a circle: {way} → {rows.name(chain.tasks[0])}", style="red")]
        return [line, Text(f"held up by: {way}")]

    def _foot(self) -> Text:
        if self.finding:
            return Text(f"/{self.view.query}▏", style="bold")
        found = f"found: {self.view.query}   " if self.view.query else ""
        sort = f"sorted by {self.view.order}   " if self.view.order != "tree" else ""
        return Text(f"{found}{sort}", style="yellow").append(HELP, style="dim")


def _columns(width: int) -> Text:
    line = Text("  Task  what it does", style="dim underline")
    line.pad_right(max(0, width - line.cell_len - 30))
    return line.append(f"{'waiting':>10}{'busy':>10}{'age':>10}")


def _figures(tasks: tuple[Task, ...]) -> str:
    since = [task.since for task in tasks if task.since is not None and task.state != "running"]
    busy = [task.busy for task in tasks if task.busy is not None]
    age = [task.age for task in tasks if task.age is not None]
    found = (max(since, default=None), sum(busy) if busy else None, max(age, default=None))
    return "".join(f"{'' if each is None else duration(each):>10}" for each in found)


def _most(texts: Iterator[str]) -> str:
    """Say what the tasks of a fold do, the most common first."""
    counts: dict[str, int] = {}
    for text in texts:
        what = text.partition(", for ")[0]
        counts[what] = counts.get(what, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    most = sorted(counts.items(), key=lambda pair: -pair[1])[:3]
    return "; ".join(f"{count} {text}" for text, count in most) + "; …" * (len(counts) > 3)


# The terminal


def show_top(pid: int, every: float = EVERY) -> None:
    """Show a program until the person has seen enough."""
    top, console = Top(), Console()
    asker = _Asker(pid, every)
    with (
        asker,
        _each_key() as keyboard,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        going = True
        while going:
            size = console.size
            live.update(Text("\n").join(top.lines(size.width, size.height)), refresh=True)
            ready, _, _ = select.select([keyboard, asker.news], [], [], every)
            if asker.news in ready:
                asker.tell(top)
            if keyboard in ready:
                data = os.read(keyboard, 1024)
                going = bool(data) and all(top.press(key) for key in keys_in(data))


class _Asker:
    """The thread that asks the program."""

    def __init__(self, pid: int, every: float) -> None:
        self._pid = pid
        self._every = every
        self._over = threading.Event()
        self._found: Snapshot | str = ""
        self.news, self._news = os.pipe()
        self._thread = threading.Thread(target=self._run, name="creche top", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._over.set()

    def tell(self, top: Top) -> None:
        """Hand on what was found."""
        os.read(self.news, 1024)
        found = self._found
        if isinstance(found, Snapshot):
            top.take(found)
        else:
            top.told = found

    def _run(self) -> None:
        ended = False
        while not ended and not self._over.is_set():
            try:
                with connect(self._pid) as target:
                    while not self._over.is_set():
                        self._note(target.snapshot())
                        self._over.wait(self._every)
            except TargetError as exc:
                ended = not is_alive(self._pid)
                self._note("the program has ended" if ended else str(exc))
                self._over.wait(self._every)

    def _note(self, found: Snapshot | str) -> None:
        self._found = found
        os.write(self._news, b"x")


@contextmanager
def _each_key() -> Generator[int]:
    """Have the terminal give each key at once, without showing it."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)

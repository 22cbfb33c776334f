"""Runs one example in the browser's Python, and writes down what its tasks did. `run.js` loads it.

Knows Creche's public API alone.
"""

from __future__ import annotations

import io
import json
import linecache
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from types import CodeType
from typing import Any

from creche import TaskInfo, insight

NAME, ABOVE = "the program", "the program, above"
MOST = 60
"""Rows of the timeline, and steps in a row: more can not be read."""


class Timeline(insight.Instrument):
    """A row for each task: from when to when it lived, when it ran, what it waited for, how it ended."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.began = time.perf_counter()
        self.more = 0

    def now(self) -> float:
        return (time.perf_counter() - self.began) * 1000

    def row(self, task: TaskInfo) -> dict[str, Any] | None:
        found = self.rows.get(task.id)
        if found is None:
            if len(self.rows) == MOST:
                self.more += 1
                return None
            name = (task.name or "task").removeprefix("__main__.")
            if name.startswith("creche."):
                name = name.rpartition(".")[2]
            found = self.rows[task.id] = {
                "name": name,
                "start": self.now(),
                "end": None,
                "outcome": "",
                "steps": [],
            }
        return found

    def before_step(self, task: TaskInfo) -> None:
        row = self.row(task)
        if row is not None and len(row["steps"]) < MOST:
            row["steps"].append([self.now(), None, ""])

    def after_step(self, task: TaskInfo, waits_for: str) -> None:
        new = task.id not in self.rows
        row = self.row(task)
        if row is not None and new:  # It ran before its loop was known.
            row["start"] = 0
            row["steps"].append([0, None, ""])
        if row is not None and row["steps"] and row["steps"][-1][1] is None:
            row["steps"][-1][1:] = [self.now(), waits_for]

    def task_ended(self, task: TaskInfo, outcome: str) -> None:
        row = self.row(task)
        if row is not None:
            row["end"], row["outcome"] = self.now(), outcome
            if row["steps"] and row["steps"][-1][1] is None:
                row["steps"][-1][1] = row["end"]

    def told(self) -> dict[str, Any]:
        return {"end": self.now(), "rows": list(self.rows.values()), "more": self.more}


class Writer(io.TextIOBase):
    """Hands on what is printed."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def write(self, text: str, /) -> int:
        self._write(text)
        return len(text)


def run_example(before: str, source: str, write: Callable[[str], object]) -> str:
    """Run a program after what it needs of the page. Return its timeline, as JSON; an error is printed."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    timeline = Timeline()
    writer = Writer(write)
    with redirect_stdout(writer), redirect_stderr(writer):
        try:
            exec(compiled(before, ABOVE), namespace)
            with insight.instrument(timeline):
                timeline.began = time.perf_counter()
                exec(compiled(source, NAME), namespace)
        except BaseException as exc:
            write("".join(lines_of(exc)))
    return json.dumps(timeline.told())


def compiled(source: str, name: str) -> CodeType:
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    return compile(source, name, "exec", dont_inherit=True)


def forget_the_page(exc: BaseException) -> None:
    """Take out what only says that the error has passed through the page, which `run` is suspended in."""
    for attribute in ("__cause__", "__context__"):
        other = getattr(exc, attribute)
        if type(other).__module__.partition(".")[0] in ("pyodide", "_pyodide"):
            setattr(exc, attribute, None)
        elif other is not None:
            forget_the_page(other)


def lines_of(exc: BaseException) -> list[str]:
    """Return a traceback with the frames of the program alone."""
    forget_the_page(exc)
    told = traceback.TracebackException.from_exception(exc)
    waiting = [told]
    while waiting:
        each = waiting.pop()
        each.stack[:] = [frame for frame in each.stack if frame.filename in (NAME, ABOVE)]
        related = (each.__cause__, each.__context__, *(each.exceptions or ()))
        waiting += [other for other in related if other is not None]
    return list(told.format())

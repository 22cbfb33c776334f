"""`Trace`: what happened in a run, one line for each step of a task.

    step  task    ran to      then
       1  main    app.py:30   waits for the end of add, add #2
       2  add     app.py:12   gives way
       3  add #2  app.py:12   gives way
       4  add     -           has ended
       5  add #2  app.py:13   raises KeyError

Owns the lines. The director reports each step, and the task's frames show where it is. A task
has one name from its first step to its last, which other texts of the run use as well.
"""

from __future__ import annotations

from collections.abc import Coroutine
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from .._introspection.frames import frames_of, place_of
from .._introspection.waits import Waits, wait_of
from .._kernel import current_task
from .._labels import in_library, short_path
from .._tasks.handle import TaskHandle

if TYPE_CHECKING:
    from types import FrameType

    from .._kernel.contract import Kernel, TaskRecord

_MOST = 60
"""Lines that are shown: of a longer run the last ones, where it went wrong."""


class Line(NamedTuple):
    """One step of one task."""

    task: str
    place: str
    """Where the program stands after the step: file and line."""
    then: str


class Trace:
    """The lines of a run."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._names: dict[Any, str] = {}
        self._main: Any = None
        self._error: BaseException | None = None
        """What the main function has raised."""
        self._kernel: Kernel | None = None
        self._record: TaskRecord | None = None

    async def main(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Await the main function, in its task."""
        task = current_task()
        self._kernel, self._main = task.kernel, task.info().native
        if task.kernel.simulation is not None:
            task.kernel.simulation.names = self._names
        try:
            return await coro
        except BaseException as exc:
            self._error = exc
            raise

    def close(self) -> None:
        """The run is over: keep nothing of it but the lines."""
        self._kernel = self._main = self._error = self._record = None
        self._names = {}

    def stepping(self, native: Any) -> None:
        """A task is about to step: afterwards it may be too late to ask for its name."""
        if self._kernel is not None:
            self._record = self._kernel.record(native)
            if native not in self._names:
                Waits(self._kernel)

    def stepped(self, native: Any) -> None:
        """A task has stepped."""
        kernel, record, self._record = self._kernel, self._record, None
        if kernel is None or kernel.simulation is None or kernel.simulation.failure is not None:
            return  # What a run does to come to an end, when it is stopped, is none of its story.
        if record is None:  # The step in which the main function was made known.
            record = kernel.record(native)
        waits = Waits(kernel)
        name = self._names.get(native, record.name)
        frames = frames_of(record.coro)
        if frames:
            then = _next(kernel.record(native), frames, waits)
            self.lines.append(Line(name, place_of(frames), then))
        else:
            self.lines.append(_end(name, self._error if native is self._main else _failure(record)))

    def __str__(self) -> str:
        first = max(0, len(self.lines) - _MOST)
        shown = self.lines[first:]
        names = max((len(line.task) for line in shown), default=4)
        places = max((len(line.place) for line in shown), default=6)
        head = f"  step  {'task'.ljust(names)}  {'ran to'.ljust(places)}  then"
        body = [
            f"  {number:4}  {line.task.ljust(names)}  {line.place.ljust(places)}  {line.then}"
            for number, line in enumerate(shown, first + 1)
        ]
        left_out = [f"  ... {first} steps before"] if first else []
        return "\n".join([head, *left_out, *body])


def _next(record: TaskRecord, frames: list[FrameType], waits: Waits) -> str:
    """Say what a task does after a step with which it has not ended."""
    wait = wait_of(record, frames, waits)
    interrupted = not wait.kind and wait.deadline == -inf  # a sleep, by a cancelled scope
    if wait.granted and not interrupted:
        return "gives way"
    held = "" if wait.kind != "lock" else ", ".join(map(waits.name, wait.holders))
    return f"waits for {wait.what}" + (f", which {held} holds" if held else "")


def _failure(record: TaskRecord) -> BaseException | None:
    """Return what a task of a group has ended with, None if it was no error."""
    handle: TaskHandle[Any] | None = record.label
    if handle is None or handle.status is not TaskHandle.Status.FAILED:
        return None
    return handle.exception


def _end(name: str, error: BaseException | None) -> Line:
    """Say how a task has ended, and where if it was with an error."""
    if error is None:
        return Line(name, "-", "has ended")
    place, traceback = "-", error.__traceback__
    while traceback is not None:
        if not in_library(traceback.tb_frame):
            place = f"{short_path(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return Line(name, place, f"raises {type(error).__name__}")

"""`Trace`: what happened in a run, one line for each step of a task.

    step  task      ran to            then
       1  main      app.py:30         waits for the end of add, add #2
       2  add       app.py:12         gives way
       3  add #2    app.py:12         gives way
       4  add       -                 has ended

Owns the lines. Is told of steps by the director, and reads where a task is off its frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .._waits import Waits, frames_of, place_of, short, wait_of

if TYPE_CHECKING:
    from .._kernel.contract import Kernel

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
        self._kernel: Kernel | None = None
        self._names: dict[int, str] = {}
        self._taken: dict[str, int] = {}
        self._coro: Any = None

    def begin(self, kernel: Kernel) -> None:
        """The main function begins."""
        self._kernel = kernel

    def stepping(self, number: int, native: Any) -> None:
        """A task is about to step: afterwards it may be too late to ask for its name."""
        if self._kernel is None:
            from .._kernel import current_kernel

            self._kernel = current_kernel()
        record = self._kernel.record(native)
        self._coro = record.coro
        if number not in self._names:
            name = short(record.name)
            count = self._taken[name] = self._taken.get(name, 0) + 1
            self._names[number] = name if count == 1 else f"{name} #{count}"

    def stepped(self, number: int, native: Any) -> None:
        """A task has stepped."""
        kernel, coro, self._coro = self._kernel, self._coro, None
        name = self._names.get(number)
        if name is None:  # The step in which the main function was made known.
            self.stepping(number, native)
            name, coro, self._coro = self._names[number], self._coro, None
        frames = frames_of(coro)
        if kernel is None or not frames:
            self.lines.append(Line(name, "-", "has ended"))
            return
        waits = Waits(kernel)
        wait = wait_of(kernel.record(native), frames, waits)
        gives_way = wait.what.endswith(("checkpoint()", "sleep(0)")) or wait.granted
        then = "gives way" if gives_way else f"waits for {wait.what}"
        self.lines.append(Line(name, place_of(frames), then))

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

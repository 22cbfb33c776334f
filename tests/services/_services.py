"""Services that do what a test tells them, and a journal of what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from creche import Event, current_time, get_cancelled_exc_class, sleep_forever
from creche.abc import TaskStatus
from creche.services import stop_requested, until_stop


class Broken(Exception):
    pass


class Stage:
    """Makes services, and notes when each starts, stops and fails, with the time since the start."""

    def __init__(self) -> None:
        self.begin = current_time()
        self.lines: list[str] = []
        self.kicks: dict[str, Event] = {}
        self.how: dict[str, BaseException | None] = {}
        self.failing_starts: dict[str, int] = {}
        self.lives: dict[str, int] = {}

    def note(self, line: str) -> None:
        self.lines.append(line)

    def take(self) -> list[str]:
        """Return what was noted since the last time."""
        lines, self.lines = self.lines, []
        return lines

    def now(self) -> float:
        return round(current_time() - self.begin, 6)

    def kick(self, name: str, error: BaseException | None = None) -> None:
        """End the present life of a service: with an error, or by a return."""
        self.how[name] = error
        self.kicks[name].set()

    def service(self, name: str, stopping: Callable[[], Any] | None = None) -> Any:
        """Return a service that runs until it is kicked, stopped or cancelled."""

        async def service(*, task_status: TaskStatus[str]) -> None:
            self.lives[name] = self.lives.get(name, 0) + 1
            if self.failing_starts.get(name, 0) > 0:
                self.failing_starts[name] -= 1
                self.note(f"{name} fails to start")
                raise Broken(f"{name} start")
            kick = self.kicks[name] = Event()
            task_status.started(f"{name}{self.lives[name]}")
            self.note(f"+{name}")
            try:
                with until_stop():
                    await kick.wait()
                if stop_requested() and not kick.is_set():
                    if stopping is not None:
                        await stopping()
                    self.note(f"-{name}")
                    return
            except get_cancelled_exc_class():
                self.note(f"x{name}")
                raise
            error = self.how.pop(name, None)
            self.note(f"!{name}")
            if error is not None:
                raise error

        service.__qualname__ = name
        return service


async def deaf(*, task_status: TaskStatus[None]) -> None:
    """A service that does not listen for a stop."""
    task_status.started()
    await sleep_forever()

"""`Cycle`: some services that are brought down, in the reverse of their order, and up again, in order.

Decides what comes next and never waits: `step` is called after whatever has changed, and looks at the
states. A pause is in between if the backoff asks for one. Stopping, starting and waiting are its
supervisor's.

    stopping, the last one first ──▸ pause ──▸ starting, the first one first ──▸ over

A service that fails while the cycle runs makes it begin anew, with what that failure takes in as well.
"""

# A cycle and its supervisor are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .._tasks.scope import CancelScope
    from .service import Service


class Hands(Protocol):
    """What a cycle has done for it. Each returns at once."""

    def _begin_stop(self, service: Service) -> None: ...

    def _begin_start(self, service: Service) -> None: ...

    def _begin_pause(self, cycle: Cycle, seconds: float) -> None: ...

    def _cycle_over(self, cycle: Cycle) -> None: ...


class Cycle:
    """One restart of one service or several."""

    __slots__ = ("_hands", "_to_start", "_to_stop", "pause", "pause_over", "timer")

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._to_stop: list[Service] = []
        self._to_start: list[Service] = []
        self.pause = 0.0
        self.pause_over = False
        self.timer: CancelScope | None = None

    def begin(self, services: Collection[Service], pause: float) -> None:
        """Begin, or begin anew, with these services and those that are still to be started."""
        members = sorted({*services, *self._to_start}, key=lambda service: service._order)
        for service in members:
            service._cycle = self
        self._to_stop = [service for service in members if service._alive]
        self._to_start = [service for service in members if service._wanted]
        self.end_pause()
        self.pause = pause
        self.pause_over = pause == 0

    def holds(self, service: Service) -> bool:
        """Tell whether the service is to be brought down, and its end is expected."""
        return service in self._to_stop

    def drop(self, service: Service) -> None:
        """Forget a service that is not to be started any more."""
        if service in self._to_start:
            self._to_start.remove(service)

    def end_pause(self) -> None:
        self.pause_over = True
        if self.timer is not None:
            self.timer.cancel("the pause before a restart was ended")
            self.timer = None

    def step(self) -> None:
        """Do what can be done now."""
        while self._to_stop:
            last = self._to_stop[-1]
            if last._alive:
                if last.state != "stopping":
                    self._hands._begin_stop(last)
                return
            self._to_stop.pop()
        if not self._to_start:
            self._over()
        elif not self.pause_over:
            if self.timer is None:
                self._hands._begin_pause(self, self.pause)
        else:
            self._start()

    def _start(self) -> None:
        while self._to_start:
            first = self._to_start[0]
            if first._wanted and first.state == "waiting":
                self._hands._begin_start(first)
                return
            if first.state == "starting":
                return
            self._to_start.pop(0)
            first._cycle = None
        self._over()

    def _over(self) -> None:
        self.end_pause()
        self._hands._cycle_over(self)

    def dissolve(self) -> list[Service]:
        """Give up; return the services that were not started again."""
        self.end_pause()
        left, self._to_start, self._to_stop = self._to_start, [], []
        for service in left:
            service._cycle = None
        return left

"""`Owner`: one context manager, and the task that enters and leaves it.

Owns the life of one resource. A task group, a cancel scope or a client session inside the context
manager is left by the task that entered it, for there is only this one. Knows no group: whoever made the
owner hears of the end through `ended`.

    opening ──▸ open ──▸ closing ──▸ closed
       ╰───────────────────▴           abandoned or failed while it opened: `open` is skipped

Rules
-----
* The task is shielded from what is around it for as long as it runs: it is told to close, and closes in
  its own time, for `close_timeout` seconds at most. Then it is cancelled.
* Each error has one taker. What opening raised goes to `enter`, what closing raised to the first
  `leave`, and what nobody waits for to the group.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeAlias

from .._kernel import current_kernel, current_task
from .._sync.event import Event
from .._tasks.errors import raise_as_it_was
from .._tasks.scope import CancelScope
from .._tasks.stop import is_inside
from .enclosure import wait_through

State: TypeAlias = Literal["opening", "open", "closing", "closed"]


class Owner:
    """The keeper of one context manager."""

    __slots__ = (
        "_asked",
        "_close_timeout",
        "_ended",
        "_scope",
        "_settled",
        "asked_to_close",
        "cm",
        "done",
        "error",
        "state",
        "takers",
        "timed_out",
        "value",
        "was_open",
    )

    def __init__(
        self,
        cm: AbstractAsyncContextManager[Any],
        close_timeout: float,
        ended: Callable[[Owner], object],
    ) -> None:
        self.cm = cm
        self.state: State = "opening"
        self.value: Any = None
        self.was_open = False
        self.asked_to_close = False
        """Whether somebody has asked for the close. If not, the resource ended by itself."""
        self.timed_out = False
        self.takers = 0
        """How many wait in `leave`, to take an error."""
        self.error: BaseException | None = None
        """What opening or closing raised, until somebody takes it."""
        self.done = Event()
        self._ended = ended
        self._close_timeout = close_timeout
        self._scope = CancelScope(shield=True)
        self._asked = Event()
        self._settled = Event()

    @property
    def name(self) -> str:
        """The function that made the context manager, or its class."""
        generator = getattr(self.cm, "gen", None)  # what `asynccontextmanager` drives
        return getattr(generator, "__qualname__", None) or type(self.cm).__qualname__

    async def run(self) -> None:
        """Enter the context manager, wait, and leave it. Raises nothing but cancellations."""
        try:
            with self._scope:
                async with self.cm as value:
                    self.value = value
                    if not self.asked_to_close:
                        self.state = "open"
                        self.was_open = True
                        self._settled.set()
                    try:
                        await self._asked.wait()
                    finally:
                        self._begin_closing()
            self.timed_out = self.was_open and self._scope.cancelled_caught
        except BaseException as exc:
            if isinstance(exc, current_kernel().cancelled_class):
                raise
            self.error = _without_our_frame(exc)
        finally:
            self.state = "closed"
            self._settled.set()
            self.done.set()
            self._ended(self)

    async def opened(self) -> None:
        """Wait until the resource is open, or has failed to open. A checkpoint.

        If that is cancelled, the resource is unwound before the cancellation is raised.
        """
        try:
            await self._settled.wait()
        except BaseException:
            self.close()
            await wait_through(self.done)
            if self.error is not None:
                self.raise_error()
            raise

    def close(self) -> None:
        """Have the resource closed. A resource that still opens is cancelled."""
        if self.asked_to_close or self.state == "closed":
            return
        self.asked_to_close = True
        if self.state == "opening":
            self._begin_closing()
            self._scope.cancel("the resource group was closed, or enter() cancelled")
        self._asked.set()

    def check_outside(self) -> None:
        """Refuse to close the resource from inside of it, for that would wait for its own end.

        :raises RuntimeError: the running task belongs to the resource
        """
        if self.state != "closed" and is_inside(current_task(), self._scope):
            raise RuntimeError(
                f"the resource {self.name} cannot be closed by a task of its own, which would wait "
                f"for its own end: leave that to a task outside"
            )

    async def closed(self) -> None:
        """Have the resource closed, wait for that, and raise what it has raised. A checkpoint."""
        self.close()
        self.takers += 1
        try:
            await self.done.wait()
        finally:
            self.takers -= 1
        self.raise_error()

    def take_error(self) -> BaseException | None:
        error, self.error = self.error, None
        return error

    def raise_error(self) -> None:
        """Raise the error, once, as it was raised in the owner's task."""
        error = self.take_error()
        try:
            if error is not None:
                raise_as_it_was(error)
        finally:
            del error

    def _begin_closing(self) -> None:
        if self.state in ("opening", "open"):
            self.state = "closing"
            self._scope.deadline = current_kernel().now() + self._close_timeout


def _without_our_frame(exc: BaseException) -> BaseException:
    traceback = exc.__traceback__
    return exc.with_traceback(traceback.tb_next if traceback is not None else None)

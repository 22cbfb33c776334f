"""`Delivery`: delivers a cancellation to one task, of its scopes or a native one that must wait.

asyncio's `Task.cancel()` fires once. So each cancelled task has a `Delivery`, which looks where the
task is and acts at most once for each await of the task. (A task that was struck once, and most likely
ends from it, has `STRUCK` in its place, which all such tasks share.)

    the task ...                      what happens
    ------------------------------    -----------------------------------------------------------
    waits on a pending future         cancel() it, and look again when that future is done
    was granted, or is in a step      look again after that step
    gave way (a bare yield)           cancel() it, so that it hears of it when its turn comes, as with
                                      AnyIO; and look again after its step
    waits shielded                    nothing; `deliver` is called at the end of that wait
    reaches a wait of Creche's own    `interrupt` raises at once, the first time by cancel() and a
                                      bare yield, so that `cancelling()` counts it
    is done, or out of the scope      stop

`deliver` begins that, from anywhere; `look` goes on with it, from the loop, where no task is running.
`defer` keeps a native cancel that met a grant or a shield for the next checkpoint. `settle` takes our
requests back when the task leaves the outermost cancelled scope. `take_back` does so where a shield
begins, so that `cancelling()` inside it counts native cancels alone. `scopes.py` has what scopes do.

"Look again" is a done-callback of the awaited future: it runs right after the task's own. If the future
never finishes, nothing runs, so a cancel that cannot land costs no CPU. A task that swallows
cancellations again and again is struck less and less often (`_PATIENCE`, `_LONGEST`), by a timer that
looks where the task is by then.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Generator
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..._tracebacks import PACKAGE
from .. import cleanup
from ..cut_off import chain_of
from . import cleaning, cut_off
from .probe import note
from .reach import reached
from .state import TaskState, grant, lower_bases, requests
from .swallowing import swallower

if TYPE_CHECKING:
    from ..scope import Scope

_log = logging.getLogger("creche")

_PATIENCE = 10
"""Cancellations in a row that a task may swallow before we slow down."""
_SHORTEST, _LONGEST = 0.001, 1.0
"""Seconds between two strikes at a task that refuses: doubled each time, from the first to the second."""


class Delivery:
    """Delivers cancellations to one task. Made at its first cancellation."""

    __slots__ = (
        "_before", "_timer", "deferred", "delivered", "first", "loop", "own", "pending", "raising", "refusals",
        "struck", "task", "unsure",
    )  # fmt: skip

    def __init__(self, task: TaskState) -> None:
        self.task = task
        self.loop = task.kernel.loop
        self.delivered = 0
        """How many of our calls of cancel() on the task we have not taken back."""
        self.refusals = 0
        """Cancellations in a row that the task met without leaving the scope."""
        self.struck = False
        """Whether the task met a cancellation of scopes, and has not left the outermost of them."""
        self.pending = False
        """Whether a look is on its way already."""
        self.raising = False
        """Whether `interrupt` has called cancel(), and asyncio is about to throw."""
        self.deferred: tuple[tuple[Any, ...], int] | None = None
        """A native cancel to raise at the next checkpoint; how many `cancelling()` does not count."""
        self.own: Scope | None = None
        """The scope that `cancel_child` put around the whole task."""
        self.unsure: Any = None
        """A clean-up that begins if the future that was cancelled ends so; and that future."""
        self.first: Scope | None = None
        """In debug mode, what the task was in when it was struck first: see `cut_off.py`."""
        self._timer: asyncio.TimerHandle | None = None
        self._before: list[Any] | None = None
        """The coroutines of the task before the last strike that we were patient with."""

    @classmethod
    def of(cls, task: TaskState) -> Delivery:
        delivery: Delivery | None = task.delivery
        if delivery is None or delivery is STRUCK:
            struck = delivery is not None
            delivery = task.delivery = cls(task)
            if struck:
                delivery.delivered = delivery.refusals = 1
                delivery.struck = True
        return delivery

    @property
    def stubborn(self) -> bool:
        """Whether the task has swallowed more cancellations than we are patient with."""
        return self.refusals > _PATIENCE

    def deliver(self, sweep: list[Delivery] | None = None) -> None:
        """Act now if the task waits, or look again as soon as its step is over.

        A task to look at after the steps that are due goes into `sweep`, if there is one.
        """
        task = self.task
        task.credit = 0
        native = task.native
        if self.pending or task.shield_depth or native is None or native.done():
            return
        waiter = getattr(native, "_fut_waiter", None)
        text = reached(task)
        if text is not None and (self._gave_way() if waiter is None else not waiter.done()):
            self._strike(waiter, text, sweep)
        else:
            # The task may be on the stack this moment: an eager task runs inside the step of
            # another. A look from the loop finds nobody there.
            self.look_after(None, sweep)

    def _gave_way(self) -> bool:
        """Tell whether the task is about to step from a bare yield, where nothing is thrown yet."""
        native: Any = self.task.native
        suspended: bool = getattr(native.get_coro(), "cr_suspended", False)
        thrown = self.raising or getattr(native, "_must_cancel", False)
        return suspended and self.task.begun() and not thrown

    def defer(self, args: tuple[Any, ...], *, uncounted: int = 0) -> None:
        """Keep a native cancel for the next checkpoint. The last of several is the one that counts."""
        if self.deferred is not None:
            uncounted += self.deferred[1]
        self.deferred = (args, uncounted)
        self.task.credit = 0
        if not self.pending and not self.task.shield_depth:
            self.look_after(None)

    def take_deferred(self) -> tuple[tuple[Any, ...], int] | None:
        """Return the deferred native cancel, unless all requests have been taken back."""
        deferred, self.deferred = self.deferred, None
        if deferred is None or not (deferred[1] or requests(self.task) > 0):
            return None
        return deferred

    def look(self, _: object = None) -> None:
        """Look where the task is. The loop calls this, so no task is running."""
        self.pending = False
        task = self.task
        native = task.native
        if self.unsure is not None:
            unsure, self.unsure = self.unsure, None
            cleaning.make_sure(task, *unsure)
        if native is None or native.done() or task.shield_depth:
            return
        text = reached(task)
        if text is None and self.deferred is None:
            self.refusals = 0
            return
        task.credit = 0
        lower_bases(task)
        waiter = getattr(native, "_fut_waiter", None)
        if self.raising or (waiter is None and not task.begun()):
            self.look_after(None)
        elif waiter is not None and waiter.done():
            if self.deferred is not None and not self.deferred[1] and waiter.cancelled():
                self.deferred = None  # Another one is on its way, and asyncio throws one for both.
            self.look_after(None)
        elif self.deferred is not None:
            self._strike_natively()
            self.look_after(waiter)
        else:
            assert text is not None
            self._strike(waiter, text)

    def linger(self) -> Generator[Any, Any, None]:
        """Hold a task that swallows every cancellation for a while, so that others can run."""
        self._warn(running=True)
        pause: asyncio.Future[None] = self.loop.create_future()
        self.loop.call_later(self._delay(), grant, pause)
        self.task.shield_depth += 1
        try:
            yield from pause
        finally:
            self.task.shield_depth -= 1
            if not self.pending:
                self.look_after(None)

    def look_after(self, waiter: Any, sweep: list[Delivery] | None = None) -> None:
        """Look again when `waiter` is done, or after the task's step if it waits on nothing."""
        self.pending = True
        if waiter is not None and not waiter.done():
            waiter.add_done_callback(self.look)
        elif sweep is None:
            self.loop.call_soon(self.look)
        else:
            sweep.append(self)

    def _strike(self, waiter: Any, text: str, sweep: list[Delivery] | None = None) -> None:
        self.refusals += 1
        if not self.stubborn:
            if self.refusals == _PATIENCE:
                native: Any = self.task.native
                self._before = chain_of(native.get_coro())
            self._strike_now(text, waiter)
            self.look_after(waiter, sweep)
            return
        self.look_after(waiter)
        if self._timer is None:
            self._warn()
            self._timer = self.loop.call_later(self._delay(), self._strike_late)

    def _strike_now(self, text: str, waiter: Any) -> None:
        self.delivered += 1
        self.struck = True
        if self.task.kernel.cut_offs is not None:
            self.first = cut_off.struck(self.task, self.first, running=False)
        self.task.strike(text)
        if cleanup.used:
            self.unsure = cleaning.begin(self.task, waiter)

    def _strike_late(self) -> None:
        """Strike a task that refuses, wherever it waits now. From there on, `look` goes on."""
        self._timer = None
        task = self.task
        native = task.native
        text = reached(task)
        if native is None or native.done() or text is None or task.shield_depth:
            return
        waiter = getattr(native, "_fut_waiter", None)
        if waiter is not None and not waiter.done():
            self._strike_now(text, waiter)
            if self.unsure is not None:
                self.look_after(waiter)
        elif not self.pending:
            self.look_after(None)

    def _strike_natively(self) -> None:
        deferred = self.take_deferred()
        if deferred is not None:
            args, uncounted = deferred
            for _ in range(uncounted or 1):
                self.task.strike(*args)
            if not uncounted:
                self.task.take_back(1)

    def _delay(self) -> float:
        return min(_SHORTEST * 2.0 ** min(self.refusals - _PATIENCE - 1, 30), _LONGEST)

    def _warn(self, *, running: bool = False) -> None:
        if self.refusals != _PATIENCE + 1:
            return
        before, self._before = self._before, None
        where = _users_line() if running else swallower(self.task.native, before)
        if where is not None:
            _log.warning(
                "task %r swallowed %d cancellations in a row and is still inside the cancelled "
                "scope, at %s: let the cancellation exception out, or shield the clean-up",
                self.task.info().name,
                _PATIENCE,
                where,
            )


def _shared_delivery() -> Delivery:
    shared = Delivery.__new__(Delivery)
    shared.delivered = shared.refusals = 1
    shared.struck = True
    shared.deferred = shared.own = shared.unsure = shared.first = None
    return shared


STRUCK = _shared_delivery()
"""Stands for the `Delivery` of a task that was struck once: most tasks end from it. Never changed."""


def settle(task: TaskState) -> None:
    """Take our requests back: the task is out of every cancelled scope."""
    delivery: Delivery | None = task.delivery
    if delivery is STRUCK:
        task.take_back(1)
        task.delivery = None
    elif delivery is not None:
        take_back(task)
        delivery.refusals = 0
        delivery.struck = False
        delivery.first = None


def take_back(task: TaskState) -> None:
    """Take our requests back from a task that is shielded now."""
    if task.delivery is not None:
        delivery = Delivery.of(task)
        strikes, delivery.delivered = delivery.delivered, 0
        task.take_back(strikes)


def interrupt(task: TaskState, waiter: asyncio.Future[Any] | None) -> Generator[Any, Any, None]:
    """Raise in the running task if it is cancelled. `waiter` is what it was about to wait on."""
    if task.shield_depth or (waiter is not None and waiter.done()):
        return
    delivery: Delivery | None = task.delivery
    deferred = delivery.take_deferred() if delivery is not None else None
    text = reached(task)
    if deferred is None and text is None:
        return
    lower_bases(task)
    if waiter is not None:
        waiter.cancel()
    note(task)
    if deferred is not None:
        yield from _raise_natively(task, *deferred)
    if getattr(task.native, "_must_cancel", False):
        yield  # A native cancel was asked for in this step: asyncio throws it here.
    assert text is not None, "asked above"
    yield from _raise_here(Delivery.of(task), text)


def _raise_here(delivery: Delivery, text: str) -> Generator[Any, Any, None]:
    delivery.refusals += 1
    delivery.struck = True
    if delivery.stubborn:
        yield from delivery.linger()
    if delivery.task.kernel.cut_offs is not None:
        delivery.first = cut_off.struck(delivery.task, delivery.first, running=True)
    if cleanup.used:
        cleaning.begin(delivery.task, None)
    if not delivery.delivered:
        delivery.delivered = 1
        delivery.raising = True
        try:
            delivery.task.strike(text)
            yield  # asyncio throws here.
        finally:
            delivery.raising = False
    raise asyncio.CancelledError(text)


def _raise_natively(
    task: TaskState, args: tuple[Any, ...], uncounted: int
) -> Generator[Any, Any, None]:
    for _ in range(uncounted):
        task.strike(*args)
    if uncounted:
        yield  # asyncio throws here.
    raise asyncio.CancelledError(*args)


def _users_line() -> str:
    """Return where the running task is: the innermost frame that is not Creche's own."""
    # No public function gives frames.
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return (
        f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "an unknown place"
    )

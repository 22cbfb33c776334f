"""`CancelScope` and the functions that make one with a deadline.

Knows no event loop: entering, leaving and cancelling are the kernel's verbs. The data and the
chain of scopes are in `_kernel/scope.py`.

    new --enter--> active --exit--> left

`cancel()` may be called in each state and is remembered: a scope cancelled before it is entered
cancels its block at the first checkpoint. `deadline` and `shield` may change while it is active,
and act at once.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import inf
from sys import _getframe  # pyright: ignore[reportPrivateUsage]  # nothing public gives frames
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .._kernel import current_kernel, current_task
from .._kernel.scope import Scope, reentered, unlink
from .._misuse import refuse_async_with
from .._tracebacks import place_in
from . import stop as _stop


class CancelScope(Scope):
    """A block of work that can be cancelled, by itself or at a deadline.

    :param deadline: the time, by `current_time()` in seconds, at which the scope is cancelled
    :param shield: whether cancellation from outside is kept out of the block
    :raises ValueError: if the deadline is not a number
    """

    __slots__ = ()

    def __init__(self, *, deadline: float = inf, shield: bool = False) -> None:
        if deadline != deadline:
            raise ValueError("deadline must not be NaN: use math.inf for no deadline")
        self._deadline = deadline  # As `Scope.__init__`, without the call.
        self._shield = shield
        self._cancelled = self._caught = self._left = False
        self._host = self._parent = self._reason = self._native = None
        self._reached = self._stopping = None

    if not TYPE_CHECKING:  # to type checkers there is no such thing
        __aenter__ = __aexit__ = refuse_async_with

    def __enter__(self) -> Self:
        task = current_task()
        if self._host is not None or self._left:
            raise reentered(self)
        # `link`, without the call: this is half the cost of a scope that does nothing.
        frame = _getframe(1)
        self._lost = False
        self._code = frame.f_code
        self._instruction = frame.f_lasti
        self._host = task
        self._parent = task.scope
        task.scope = self
        task.kernel.enter_scope(self, task)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        task = current_task()
        if task.scope is self:
            task.scope = self._parent
            self._host = None
            self._left = True
        else:
            unlink(self, task)
        rest = task.kernel.leave_scope(self, task, exc_val)
        if rest is exc_val:
            return False
        if rest is None:
            if self._stopping is not None:
                _stop.leave(self, task, exc_val)
            return True
        try:
            raise_as_is(rest)
        finally:
            del rest, exc_val, exc_tb  # Its frames lead here.
        return False

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the scope: every checkpoint in it raises until its block is left.

        :param reason: a text for the message of the cancellation
        """
        if not self._cancelled:
            self._cancelled = True
            self._reason = reason
            if self._host is not None:
                self._host.kernel.update_scope(self)

    def stop(self, reason: str | None = None, *, grace: float = inf) -> None:
        """Ask what is inside the scope to finish what it does and stop.

        Nothing is interrupted that does not listen for it: see `creche.services`. When the grace is
        over the scope is cancelled. The earliest grace wins, so a second stop may shorten it. Does
        nothing to a scope that was left.

        :param reason: a text for reports, and for the message of the cancellation
        :param grace: seconds until the scope is cancelled; 0 cancels it at once, `inf` never
        :raises ValueError: `grace` is negative or NaN
        :raises NoEventLoopError: no event loop runs in this thread
        """
        _stop.stop(self, reason, grace)

    @property
    def deadline(self) -> float:
        """The time at which the scope is cancelled, in seconds; `inf` for never. Settable."""
        return self._deadline

    @deadline.setter
    def deadline(self, value: float) -> None:
        if value != value:
            raise ValueError("deadline must not be NaN: use math.inf for no deadline")
        called = self.cancel_called  # The old deadline may have passed.
        if self._stopping is not None:
            value = min(value, self._stopping.cancel_at)
        self._deadline = float(value)
        if self._host is not None and not called:
            self._host.kernel.update_scope(self)

    @property
    def shield(self) -> bool:
        """Whether cancellation from outside is kept out. Settable, at once in effect."""
        return self._shield

    @shield.setter
    def shield(self, value: bool) -> None:
        if self._shield != value:
            self._shield = value
            if self._host is not None:
                self._host.kernel.update_scope(self)
                if _stop.ever_asked and not value:
                    _stop.tell(self._host.kernel)

    @property
    def cancel_called(self) -> bool:
        """Whether the scope was cancelled, or its deadline has passed while it was active."""
        host = self._host
        if (
            not self._cancelled
            and host is not None
            and self._deadline != inf
            and self._deadline <= host.kernel.now()
        ):
            host.kernel.update_scope(self)
        return self._cancelled

    @property
    def cancelled_caught(self) -> bool:
        """Whether the scope, when it was left, swallowed a cancellation of its own."""
        return self._caught

    def __repr__(self) -> str:
        host = self._host
        if host is not None:
            state = f"active in task {host.info().name!r}"
        else:
            state = "left" if self._left else "not entered"
        return f"<CancelScope {state}{self._conditions()}>"

    def _conditions(self) -> str:
        """Say what may end the block, for `repr`."""
        host, deadline, text = self._host, self._deadline, ""
        if deadline != inf:
            text = f", deadline={deadline:g}"
            if host is not None and not self._cancelled:
                text += f" ({deadline - host.kernel.now():.3g} s from now)"
        if self._shield:
            text += ", shielded"
        if self._cancelled:
            text += ", cancelled" if self._reason is None else f", cancelled: {self._reason}"
        return text


def raise_as_is(exc: BaseException) -> None:
    """Raise what was raised before, or split off from that, with the context that it came with."""
    context, cause = exc.__context__, exc.__cause__
    try:
        raise exc
    finally:
        exc.__cause__ = cause
        exc.__context__ = context
        del exc, context, cause


class _FailScope(CancelScope):
    """A scope that turns its own deadline into a TimeoutError."""

    __slots__ = ("_called", "_delay", "_message")

    def __init__(self, delay: float | None, deadline: float, shield: bool, reason: str | None):
        if delay != delay or deadline != deadline:
            raise ValueError("deadline must not be NaN: give a number of seconds, or None")
        Scope.__init__(self, deadline, shield)  # As super's, without a test made twice.
        self._called = False
        self._delay = delay
        self._message = reason

    def __enter__(self) -> Self:
        task = current_task()
        kernel = task.kernel
        if self._delay is not None:
            self._deadline = kernel.now() + self._delay
            if self._stopping is not None:
                self._deadline = min(self._deadline, self._stopping.cancel_at)
        if self._host is not None or self._left:
            raise reentered(self)
        frame = _getframe(1)  # `link`, without the call (`fail-after` in benchmarks).
        self._code = frame.f_code
        self._instruction = frame.f_lasti
        self._host = task
        self._parent = task.scope
        task.scope = self
        kernel.enter_scope(self, task)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        swallow = super().__exit__(exc_type, exc_val, exc_tb)
        # A loop with a coarse clock may fire a little early: then it was the deadline all the same.
        if self._caught and (not self._called or self._deadline <= current_kernel().now()):
            message = self._message
            raise TimeoutError(message if message is not None else f"{self._spoken()} timed out")
        return swallow

    def _expiry(self) -> str:
        return super()._expiry().replace("by the deadline of fail", "by fail")

    def _spoken(self) -> str:
        place = place_in(self._code, self._instruction)
        call = "fail_at(...)" if self._delay is None else f"fail_after({self._delay:g})"
        return call if place is None else f"{call} at {place}"

    def cancel(self, reason: str | None = None) -> None:
        self._called = self._called or not self._cancelled
        super().cancel(reason)


def move_on_after(delay: float | None, shield: bool = False) -> CancelScope:
    """Make a scope that is cancelled `delay` seconds from now, and then goes on after its block.

    :param delay: seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :return: the scope, to be used in a with-statement
    :raises NoEventLoopError: if no event loop runs in this thread
    """
    if delay is None:
        return CancelScope(shield=shield)
    return CancelScope(deadline=current_kernel().now() + delay, shield=shield)


def move_on_at(deadline: float | None, shield: bool = False) -> CancelScope:
    """Make a scope that is cancelled at `deadline`, and then goes on after its block.

    :param deadline: a time by `current_time()`, in seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :return: the scope, to be used in a with-statement
    """
    return CancelScope(deadline=inf if deadline is None else deadline, shield=shield)


def fail_after(
    delay: float | None, shield: bool = False, reason: str | None = None
) -> AbstractContextManager[CancelScope, bool | None]:
    """Make a scope whose block raises TimeoutError if it takes longer than `delay` seconds.

    The time runs from when the block is entered.

    :param delay: seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :param reason: the message of the TimeoutError
    :return: a context manager that gives the scope
    """
    return _FailScope(delay, inf, shield, reason)


def fail_at(
    deadline: float | None, shield: bool = False, reason: str | None = None
) -> AbstractContextManager[CancelScope, bool | None]:
    """Make a scope whose block raises TimeoutError if it is not left by `deadline`.

    :param deadline: a time by `current_time()`, in seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :param reason: the message of the TimeoutError
    :return: a context manager that gives the scope
    """
    return _FailScope(None, inf if deadline is None else deadline, shield, reason)

"""`CancelScope` and the functions that make one with a deadline.

Knows no event loop: entering, leaving and cancelling are the kernel's verbs. The data and the
chain of scopes are in `_kernel/scope.py`.

    new --enter--> active --exit--> left

`cancel()` may be called in each state and is remembered: a scope cancelled before it is entered
cancels its block at the first checkpoint. `deadline` and `shield` may change while it is active,
and act at once.
"""

from __future__ import annotations

from math import inf
from sys import _getframe  # pyright: ignore[reportPrivateUsage]  # nothing public gives frames
from types import TracebackType
from typing import TYPE_CHECKING, Self
from warnings import warn_explicit

from .._kernel import current_kernel, current_task
from .._kernel.cleanup import give, given
from .._kernel.scope import Scope, line_of, link, reentered, unlink
from .._misuse import check_seconds, refuse_async_with
from .._tracebacks import place_in
from . import stop as _stop

EARLIEST = -inf
_LATE = 0.1
"""Seconds: a scope that is entered as late as this was not made by its with-statement."""


class CancelScope(Scope):
    """A block of work that can be cancelled, by itself or at a deadline.

    :param deadline: the time, by `current_time()` in seconds, at which the scope is cancelled
    :param shield: whether cancellation from outside is kept out of the block
    :param relative_deadline: in the place of `deadline`, seconds from when the scope is entered
    :param cleanup: seconds that a task has for its clean-up, from when a cancellation is first raised
        in it: so long it is shielded from the scopes that it is in, then each of its awaits raises again.
        None for as many as the scope around it has, or none. A scope that is cancelled and has fewer
        ends the clean-ups in it sooner, also those that a scope inside it gave more time
    :raises ValueError: if a deadline is not a number, if the relative one is negative, if there are
        two, or if `cleanup` is negative or NaN
    :raises TypeError: if `cleanup` is not a number
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        deadline: float = inf,
        shield: bool = False,
        relative_deadline: float = inf,
        cleanup: float | None = None,
    ) -> None:
        if cleanup is not None:
            give(self, cleanup)
        if relative_deadline is not inf and relative_deadline != inf:
            deadline = _checked_delay(relative_deadline, deadline)
            self.__class__ = _RelativeScope  # pyright: ignore[reportAttributeAccessIssue]  # no more slots
        if deadline is not inf:
            _check_deadline(deadline)
        # As `Scope.__init__`, without the call; `_parent` and `_native` are set when it is entered. To store
        # a local is a step less than to store a constant (`empty-scope` in benchmarks).
        none, no = None, False
        self._deadline = deadline
        self._shield = shield
        self._cancelled = no
        self._entered = no
        self._host = none
        self._reason = none
        self._reached = none
        self._stopping = none

    if not TYPE_CHECKING:  # to type checkers there is no such thing
        __aenter__ = __aexit__ = refuse_async_with

    def __enter__(self) -> Self:
        task = current_task()
        if self._entered:
            raise reentered(self)
        # `link`, without the call: this is half the cost of a scope that does nothing.
        frame = _getframe(1)
        self._entered = True
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
        else:
            unlink(self, task)
        if (rest := task.kernel.leave_scope(self, task, exc_val)) is exc_val:
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
                try:
                    self._host.kernel.update_scope(self)
                except RuntimeError:  # from another thread: nothing has changed
                    self._cancelled, self._reason = False, None
                    raise

    def stop(self, reason: str | None = None, *, grace: float = inf) -> None:
        """Ask what is inside the scope to finish what it does and stop.

        Nothing is interrupted that does not listen for it: see `creche.services`. When the grace is
        over the scope is cancelled. The earliest grace wins, so a second stop may shorten it. Does
        nothing to a scope that was left.

        :param reason: a text for reports, and for the message of the cancellation
        :param grace: seconds until the scope is cancelled; 0 cancels it at once, `inf` never
        :raises ValueError: `grace` is negative or NaN
        :raises NoEventLoopError: no event loop runs in this thread
        :raises RuntimeError: the scope is of an event loop in another thread
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
        if not self._entered:
            self._count_from_entry(None)
        called = self.cancel_called  # The old deadline may have passed.
        if self._stopping is not None:
            value = min(value, self._stopping.cancel_at)
        before, self._deadline = self._deadline, float(value)
        if self._host is not None and not called:
            try:
                self._host.kernel.update_scope(self)
            except RuntimeError:  # from another thread
                self._deadline = before
                raise

    @property
    def relative_deadline(self) -> float:
        """The seconds to the deadline: from now, or from entering in a scope made with them. Settable.

        :raises RuntimeError: if the scope was not entered and has a `deadline`
        """
        if self._entered:
            return self._deadline - current_kernel().now()
        if self._deadline != inf:
            raise _not_relative()
        return self._from_entry()

    @relative_deadline.setter
    def relative_deadline(self, value: float) -> None:
        seconds = _checked_delay(value, inf)
        if self._entered:
            self.deadline = current_kernel().now() + seconds
        elif self._deadline != inf:
            raise _not_relative()
        elif seconds != inf:
            self._count_from_entry(seconds)

    def _count_from_entry(self, seconds: float | None) -> None:
        """Have the deadline come `seconds` after the entry, which is to come; None if it is a time."""
        if seconds is not None:
            self._deadline = seconds
            self.__class__ = _RelativeScope  # pyright: ignore[reportAttributeAccessIssue]  # no more slots

    def _from_entry(self) -> float:
        """Return the seconds from the entry to the deadline, inf where it does not count from there."""
        return inf

    @property
    def is_relative(self) -> bool | None:
        """Whether the deadline counts from entering the scope; None once that was done."""
        return None if self._entered else self._from_entry() != inf

    @property
    def shield(self) -> bool:
        """Whether cancellation from outside is kept out. Settable, at once in effect."""
        return self._shield

    @shield.setter
    def shield(self, value: bool) -> None:
        if self._shield != value:
            self._shield = value
            if self._host is not None:
                try:
                    self._host.kernel.update_scope(self)
                except RuntimeError:  # from another thread
                    self._shield = not value
                    raise
                if _stop.ever_asked and not value:
                    _stop.tell(self._host.kernel)

    @property
    def cleanup(self) -> float | None:
        """The seconds that were given to this scope for clean-ups, None if none were."""
        return given(self)

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
        return self._entered == "caught"

    def __repr__(self) -> str:
        host = self._host
        if host is not None:
            state = f"active in task {host.info().name!r}"
        else:
            state = "left" if self._entered else "not entered"
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
        cleanup = given(self)
        if cleanup is not None:
            text += f", cleanup={cleanup:g}"
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


def _check_deadline(deadline: float) -> None:
    try:
        if not deadline >= EARLIEST:
            raise ValueError("deadline must not be NaN: use math.inf for no deadline")
    except TypeError:
        check_seconds("CancelScope", "deadline", deadline)
        raise


def _checked_delay(seconds: float, deadline: float) -> float:
    if seconds != seconds:
        raise ValueError("relative_deadline must not be NaN: use math.inf for no deadline")
    if seconds < 0:
        raise ValueError(f"relative_deadline must be 0 or more seconds, not {seconds!r}")
    if deadline != inf:
        raise ValueError("a scope has one deadline: give deadline= or relative_deadline=, not both")
    return seconds


def _not_relative() -> RuntimeError:
    return RuntimeError(
        "this scope was not entered yet, and has a deadline that does not count from then: ask for "
        "its deadline, or make it with relative_deadline="
    )


class _RelativeScope(CancelScope):
    """A scope that was not entered yet, and whose deadline counts from then on. Then it is a plain one."""

    __slots__ = ()

    def __enter__(self) -> Self:
        task = current_task()
        seconds = self._deadline
        link(self, task, _getframe(1))
        self.__class__ = CancelScope  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # as above
        self._deadline = task.kernel.now() + seconds
        task.kernel.enter_scope(self, task)
        return self

    @property
    def deadline(self) -> float:
        raise self._unknown()

    @deadline.setter
    def deadline(self, value: float) -> None:
        raise self._unknown()

    def _unknown(self) -> RuntimeError:
        return RuntimeError(
            "the deadline of this scope counts from when it is entered, which it was not yet: ask "
            "for its relative_deadline, or set that"
        )

    @property
    def relative_deadline(self) -> float:
        return self._deadline

    @relative_deadline.setter
    def relative_deadline(self, value: float) -> None:
        self._deadline = _checked_delay(value, inf)

    @property
    def is_relative(self) -> bool | None:
        return True

    def _conditions(self) -> str:
        return super()._conditions().replace("deadline=", "relative_deadline=", 1)


class TimedScope(CancelScope):
    """A scope that a function of `timeouts.py` makes, which does what `Scope.__init__` does.

    CPython has no fast way through the `__init__` of a class with slots (`move-on-after` in benchmarks).
    """

    __slots__ = ()

    if not TYPE_CHECKING:
        __init__ = object.__init__


class RunningScope(TimedScope):
    """A scope whose clock runs from when it was made: it says so if its time was over at its entry."""

    __slots__ = ()
    _clock_runs = True

    def _entered_late(self) -> None:
        if current_kernel().now() - self._deadline < _LATE:  # the machine was busy
            return
        warn_explicit(
            "this move_on_after() was made so long ago that its time is over: its clock starts when "
            "it is made, not when it is entered. Make it in the with-statement, or use "
            "CancelScope(relative_deadline=...), whose clock starts at its entry",
            RuntimeWarning,
            self._code.co_filename,
            line_of(self),
        )


class FailScope(TimedScope):
    """A scope that turns its own deadline into a TimeoutError."""

    __slots__ = ("_called", "_delay", "_message")

    _called: bool
    _delay: float | None  # None for a deadline that is a time
    _message: str | None

    def __enter__(self) -> Self:
        task = current_task()
        kernel = task.kernel
        if self._delay is not None:
            self._deadline = kernel.now() + self._delay
            if self._stopping is not None:
                self._deadline = min(self._deadline, self._stopping.cancel_at)
        if self._entered:
            raise reentered(self)
        frame = _getframe(1)  # `link`, without the call (`fail-after` in benchmarks).
        self._entered = True
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
        if self.cancelled_caught and (not self._called or self._deadline <= current_kernel().now()):
            message = self._message
            raise TimeoutError(message if message is not None else f"{self._spoken()} timed out")
        return swallow

    def _count_from_entry(self, seconds: float | None) -> None:
        self._delay = seconds

    def _from_entry(self) -> float:
        return inf if self._delay is None else self._delay

    def _expiry(self) -> str:
        return super()._expiry().replace("by the deadline of fail", "by fail")

    def _spoken(self) -> str:
        place = place_in(self._code, self._instruction)
        call = "fail_at(...)" if self._delay is None else f"fail_after({self._delay:g})"
        return call if place is None else f"{call} at {place}"

    def cancel(self, reason: str | None = None) -> None:
        self._called = self._called or not self._cancelled
        super().cancel(reason)

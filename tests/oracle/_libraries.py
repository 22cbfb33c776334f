"""Creche and plain Trio under the same names, so that one interpreter runs programs with either.

Owns what of Creche plain Trio has no word for, made of Trio's parts: the handle of a task. Does
not know what a program does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, Self

import trio
import trio.testing

import creche
from creche import testing


class OnCreche:
    """The names of Creche."""

    sleep = staticmethod(creche.sleep)
    scope: Any = creche.CancelScope
    fail_after = staticmethod(creche.fail_after)
    group: Any = staticmethod(creche.create_task_group)
    now = staticmethod(creche.current_time)
    deadline = staticmethod(creche.current_effective_deadline)
    cancelled = staticmethod(creche.get_cancelled_exc_class)
    lock = creche.Lock
    semaphore = creche.Semaphore
    limiter = creche.CapacityLimiter
    event = creche.Event
    condition = creche.Condition

    @staticmethod
    def channel(size: int) -> tuple[Any, Any]:
        return creche.create_memory_object_stream[Any](size)

    @staticmethod
    def fill(now: Any) -> tuple[int, ...]:
        """Return the items that can still be received, and the tasks that wait."""
        used = now.current_buffer_used if now.open_receive_streams else 0
        return used, now.tasks_waiting_send, now.tasks_waiting_receive


class OnTrio:
    """The same of Trio."""

    sleep = staticmethod(trio.sleep)
    scope = trio.CancelScope
    now = staticmethod(trio.current_time)
    deadline = staticmethod(trio.current_effective_deadline)
    lock = trio.Lock
    semaphore = trio.Semaphore
    limiter = trio.CapacityLimiter
    event = trio.Event
    condition = trio.Condition

    @staticmethod
    @contextmanager
    def fail_after(seconds: float) -> Iterator[TrioTimeout]:
        with trio.move_on_after(seconds) as scope:
            timeout = TrioTimeout(scope)
            yield timeout
        early = timeout.called and scope.deadline > trio.current_time()
        if scope.cancelled_caught and not early:
            raise TimeoutError

    @staticmethod
    def group() -> TrioGroup:
        return TrioGroup()

    @staticmethod
    def cancelled() -> type[BaseException]:
        return trio.Cancelled

    @staticmethod
    def channel(size: int) -> tuple[Any, Any]:
        return trio.open_memory_channel[Any](size)

    @staticmethod
    def fill(now: Any) -> tuple[int, ...]:
        """Return the items that can still be received, and the tasks that wait."""
        return now.current_buffer_used, now.tasks_waiting_send, now.tasks_waiting_receive


class TrioGroup:
    """A nursery whose children have handles."""

    def __init__(self) -> None:
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> Self:
        self._nursery = await self._manager.__aenter__()
        self.cancel_scope = self._nursery.cancel_scope
        self.start = self._nursery.start
        return self

    async def __aexit__(self, *exc: object) -> bool | None:
        leave: Callable[..., Awaitable[bool | None]] = self._manager.__aexit__
        return await leave(*exc)

    def start_soon(self, func: Callable[..., Any], *args: Any) -> TrioHandle:
        handle = TrioHandle()
        self._nursery.start_soon(handle.run, func, args)
        return handle


class TrioTimeout:
    """A scope that knows whether it was its deadline that has cancelled it.

    With Trio's own `fail_after` each cancel is a timeout; with AnyIO's, and so ours, that one is.
    """

    def __init__(self, scope: trio.CancelScope) -> None:
        vars(self).update(scope=scope, called=False)

    def cancel(self) -> None:
        vars(self)["called"] = self.called or not self.scope.cancel_called
        self.scope.cancel()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.scope, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.scope, name, value)


class _Named:
    """What has the look of a status: its name."""

    def __init__(self, name: str) -> None:
        self.name = name


class TrioHandle:
    """What `TaskHandle` promises, in Trio's words: a scope around the task, and an event."""

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._state = "PENDING"
        self.return_value: Any = None

    async def run(self, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        state = "CANCELLED"
        try:
            with self._scope:
                self.return_value = await func(*args)
                state = "FINISHED"
        except BaseException as exc:
            if not interrupted(exc, trio.Cancelled):
                state = "FAILED"
            raise
        finally:
            self._state = state
            self._ended.set()

    def cancel(self) -> None:
        self._scope.cancel()

    async def wait(self) -> None:
        await self._ended.wait()

    @property
    def status(self) -> _Named:
        going = self._state == "PENDING" and self._scope.cancel_called
        return _Named("CANCELLING" if going else self._state)


def run(kind: str, main: Callable[..., Any], *args: Any, seed: int | None = None) -> None:
    """Run `main(*args)` in virtual time on `"oracle"`, which is plain Trio, `"trio"` or `"asyncio"`."""
    if kind == "oracle":
        trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))
    else:
        testing.run(main, *args, backend=kind, seed=seed)


def library(kind: str) -> Any:
    return OnTrio if kind == "oracle" else OnCreche


def interrupted(exc: BaseException, cancelled_class: type[BaseException]) -> bool:
    """Tell whether an exception is a cancellation and nothing else; Trio's groups wrap theirs."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(cancelled_class)[1] is None
    return isinstance(exc, cancelled_class)


def finite(seconds: float) -> float | str:
    """Return a time as it is compared: to the microsecond, infinities by name."""
    return round(seconds, 6) if -inf < seconds < inf else str(seconds)

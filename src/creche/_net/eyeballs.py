"""Happy eyeballs, RFC 8305: which address of a host to try next, and the race between them.

Owns the order (`interleave`), the race (`race`) and the error when all have failed
(`all_failed`). Opens no socket: an attempt is any coroutine function whose result can be closed.

An attempt    waiting → trying → won | failed | too late | cancelled

Rules
-----
* The resolver's order is kept (it sorts by RFC 6724), but families take turns, beginning with the
  resolver's first, so that one dead family costs one delay.
* The next attempt starts when the last one to start has failed, or after the delay.
* Exactly one result is returned. A result that comes too late is closed. An attempt that is cancelled
  closes what it opened. The winner too is closed if the caller is cancelled before it gets it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from .._exceptions import ConnectionFailed
from .._sync import Event
from .._tasks.group import TaskGroup, create_task_group
from .._tasks.timeouts import move_on_after


class Closable(Protocol):
    """What an attempt results in."""

    def close(self) -> object: ...


C = TypeVar("C")
R = TypeVar("R", bound=Closable)


def interleave(candidates: Iterable[C], family: Callable[[C], object]) -> list[C]:
    """Return the candidates with families taking turns, each family in its own order.

    Duplicates are dropped. The families come in the order in which they first appear.
    """
    queues: dict[object, list[C]] = {}
    for candidate in candidates:
        queue = queues.setdefault(family(candidate), [])
        if candidate not in queue:
            queue.append(candidate)
    longest = max(map(len, queues.values()), default=0)
    return [
        queue[turn] for turn in range(longest) for queue in queues.values() if turn < len(queue)
    ]


def all_failed(target: str, failures: Sequence[OSError]) -> ConnectionFailed:
    """Return the error for a host of which no address could be connected to.

    Its cause is the error of the only address, or a group of the errors of all of them.
    """
    reasons = "; ".join(str(failure) for failure in failures)
    error = ConnectionFailed(f"All connection attempts failed, to {target}: {reasons}")
    if len(failures) == 1:
        error.__cause__ = failures[0]
    else:
        error.__cause__ = ExceptionGroup("multiple connection attempts failed", failures)
    return error


async def race(
    candidates: Sequence[C], attempt: Callable[[C], Awaitable[R]], delay: float, target: str
) -> R:
    """Try the candidates in turn, overlapping, and return the result of the first to succeed.

    :param candidates: at least one
    :param attempt: tries one candidate; raises OSError when that fails
    :param delay: seconds to wait for an attempt before the next one starts as well
    :param target: what is being connected to, for the error
    :raises ConnectionFailed: every attempt has failed. An OSError.
    """
    if len(candidates) > 1:
        return await _Race(attempt).run(candidates, delay, target)
    try:
        return await attempt(candidates[0])
    except OSError as exc:
        raise all_failed(target, [exc]) from exc


class _Race(Generic[C, R]):
    """The state of one race."""

    __slots__ = ("attempt", "failures", "winner")

    def __init__(self, attempt: Callable[[C], Awaitable[R]]) -> None:
        self.attempt = attempt
        self.failures: dict[int, OSError] = {}
        self.winner: R | None = None

    async def run(self, candidates: Sequence[C], delay: float, target: str) -> R:
        try:
            async with create_task_group() as group:
                for number, candidate in enumerate(candidates):
                    failed = Event()
                    group.start_soon(self._try, number, candidate, failed, group)
                    with move_on_after(delay):
                        await failed.wait()
        except BaseException:
            if self.winner is not None:
                self.winner.close()
            raise
        if self.winner is not None:
            return self.winner
        failures = [self.failures[number] for number in sorted(self.failures)]
        self.failures.clear()  # the frames in their tracebacks hold this race
        raise all_failed(target, failures)

    async def _try(self, number: int, candidate: C, failed: Event, group: TaskGroup) -> None:
        try:
            result = await self.attempt(candidate)
        except OSError as exc:
            self.failures[number] = exc
            failed.set()
            return
        if self.winner is not None:
            result.close()
            return
        self.winner = result
        group.cancel_scope.cancel()

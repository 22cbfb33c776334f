"""`every`: something to do each so many seconds, until a stop is asked.

Owns the times of the ticks. They are multiples of the period after the first one, so they do not drift,
however long the work between them takes.
"""

from __future__ import annotations

from math import inf

from .._kernel import current_kernel
from .._loop.time import sleep_until
from .._misuse import check_seconds
from .._tasks.checkpoint import ready_checkpoint
from .._tasks.until_stop import until_stop
from .stopping import stop_requested


class Ticker:
    """Gives the number of each tick, from 0. Made by `every()`."""

    __slots__ = ("_begin", "_last", "_period")

    def __init__(self, period: float) -> None:
        check_seconds("every", "period", period)
        if not 0 < period < inf:
            raise ValueError(f"period must be a number of seconds above 0, not {period!r}")
        self._period = period
        self._begin = 0.0
        self._last = -1

    def __aiter__(self) -> Ticker:
        return self

    async def __anext__(self) -> int:
        """Wait for the next tick. A checkpoint."""
        if stop_requested():
            raise StopAsyncIteration
        now = current_kernel().now()
        if self._last < 0:
            await ready_checkpoint()
            self._begin, self._last = now, 0
            return 0
        number = max(self._last, int((now - self._begin) / self._period)) + 1
        with until_stop():
            await sleep_until(self._begin + number * self._period)
            self._last = number
            return number
        raise StopAsyncIteration


def every(period: float) -> Ticker:
    """Tick now, and then each `period` seconds until a stop is asked, in `async for`.

    The ticks are `period` seconds apart, whatever the body of the loop takes. A tick that came while the
    body still ran is skipped, and the next one comes at its own time. `tick` is its number, from 0, so
    a gap shows the ticks that were missed.

    :param period: seconds
    :raises ValueError: `period` is not above 0
    """
    return Ticker(period)

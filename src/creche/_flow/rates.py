"""`RateLimiter`: so many a second, and a burst at first. Fair, and exact in virtual time.

Owns the token bucket and the queue before it. Knows no event loop but its clock.

    a token is there: take it          nobody is before you
    wait in line --first in line--> sleep until the next token is due --> take it
                 `--cancelled--> gone, and no token with it

Rules
-----
* The bucket counts: the tokens since a moment at which it was full. So the n-th token is due at that
  moment plus n intervals, and no rounding adds up.
* Who slept for a token takes it at the time when it was due, not when the loop got round to it, so a
  loop that is late now and then still keeps the rate. One that is late by a whole interval has lost
  that time, as an idle bucket that is full has.
* The first in line holds a lock while it sleeps: the line is the lock's queue, which is fair and
  passes over those that were cancelled.
"""

from __future__ import annotations

from math import floor, inf
from types import TracebackType
from typing import NamedTuple

from .below import (
    Lock,
    TaskInfo,
    WaitDescription,
    WouldBlock,
    current_task,
    current_time,
    shown,
    sleep_until,
)


class RateLimiterStatistics(NamedTuple):
    """The tokens of a rate limiter, and how many tasks wait for one."""

    available_tokens: int
    burst: int
    tasks_waiting: int


class Bucket:
    """The tokens: so many a second, and no more than `burst` at a time. Told the time; never waits."""

    __slots__ = ("burst", "per_second", "since", "taken")

    def __init__(self, per_second: float, burst: int) -> None:
        self.per_second = per_second
        self.burst = burst
        self.since = -inf
        """A moment at which the bucket was full."""
        self.taken = 0
        """Tokens taken since then."""

    def due(self, now: float) -> float:
        """Return when the next token is there: `now`, or later."""
        due = self.since + (self.taken + 1 - self.burst) / self.per_second
        if due - now > 2 / self.per_second:
            # The next one is one interval away at most: `since` is by the clock of another loop.
            self.since, self.taken = -inf, 0
            return now
        return max(due, now)

    def take(self, now: float) -> None:
        """Take a token that is there."""
        if now > self.since + self.taken / self.per_second:
            self.since, self.taken = now, 0  # It was full.
        self.taken += 1

    def available(self, now: float) -> int:
        """Count the tokens that are there."""
        if now >= self.since + self.taken / self.per_second:
            return self.burst
        refilled = (now - self.since) * self.per_second
        return max(0, floor(self.burst + refilled - self.taken))


class RateLimiter:
    """Lets so many through a second, fair: first come, first served.

    A token bucket: it holds `burst` tokens at first, each passage takes one, and it is refilled at
    the rate. An async context manager that waits for a token when it is entered, and does nothing
    when it is left. It can be made outside of any loop, and shared by any number of tasks.

    ```python
    import creche
    from creche.flow import RateLimiter


    async def main() -> None:
        limiter = RateLimiter(per_second=100)
        for page in ("a", "b"):
            async with limiter:
                print("fetching", page)


    creche.run(main)
    ```

    :param per_second: tokens per second, above 0
    :param burst: how many may pass at once after a pause, 1 or more
    :param name: what `repr` and reports of deadlocks call it
    :raises TypeError: a number is of the wrong type
    :raises ValueError: `per_second` is not a finite number above 0, or `burst` is less than 1
    """

    __slots__ = ("__weakref__", "_bucket", "_line", "_name")

    def __init__(self, per_second: float, burst: int = 1, *, name: str | None = None) -> None:
        _check(per_second, burst)
        self._bucket = Bucket(per_second, burst)
        self._line = Lock(name=name or f"the line of a RateLimiter({per_second:g})")
        self._name = name

    async def acquire(self) -> None:
        """Wait until it is this task's turn and a token is there, and take it. A checkpoint.

        If it is cancelled it has taken none.
        """
        await current_task().ready_checkpoint()
        bucket, line = self._bucket, self._line
        if not line.locked():
            now = current_time()
            if bucket.due(now) <= now:
                bucket.take(now)
                return
        async with line:
            now = current_time()
            due = bucket.due(now)
            if due > now:
                await sleep_until(due)
                now = current_time()
            bucket.take(due if now - due < 1 / bucket.per_second else now)

    def acquire_nowait(self) -> None:
        """Take a token if one is there and nobody waits for it.

        :raises WouldBlock: there is none, or others are first
        """
        now = current_time()
        if self._line.locked() or self._bucket.due(now) > now:
            raise WouldBlock
        self._bucket.take(now)

    __aenter__ = acquire

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass

    @property
    def per_second(self) -> float:
        """Tokens per second."""
        return self._bucket.per_second

    @property
    def burst(self) -> int:
        """How many tokens there are at most."""
        return self._bucket.burst

    def statistics(self) -> RateLimiterStatistics:
        """Return how many tokens are there now, and how many tasks wait for one."""
        line = self._line.statistics()
        return RateLimiterStatistics(
            self._bucket.available(current_time()), self.burst, line.tasks_waiting + line.locked
        )

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        # In line, or first in line and asleep: the one who sleeps holds nobody up but by the rate.
        return WaitDescription(("a token of ", self), "time", complete=False)

    def __repr__(self) -> str:
        return f"<{shown(self)} {self.per_second:g} per second, burst {self.burst}>"


def _check(per_second: object, burst: object) -> None:
    if not isinstance(per_second, (int, float)):
        raise TypeError(f"per_second must be a number, not {per_second!r}")
    if not 0 < per_second < inf:
        raise ValueError(
            f"per_second must be a finite number above 0, not {per_second!r}: leave the limiter "
            f"out for no limit"
        )
    if not isinstance(burst, int):
        raise TypeError(f"burst must be an int, not {burst!r}")
    if burst < 1:
        raise ValueError(f"burst must be 1 or more, not {burst}: a burst of 0 lets nobody through")

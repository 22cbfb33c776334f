"""How long to wait before a service is started again, and how many restarts are too many.

Knows no loop, no clock and no task: `Delays` gives the next pause, `Intensity` counts in times that it
is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from random import random

from .._misuse import check_seconds


@dataclass(frozen=True, slots=True)
class exponential:  # noqa: N801  # used as a function: `backoff=exponential(0.1)`
    """Pauses that grow: `first`, then each `factor` times the one before, up to `limit`.

    `jitter` spreads them, so that services that failed together do not all come back together: each
    pause is taken at random between `1 - jitter` and `1 + jitter` of its length.

    :param first: the first pause, in seconds
    :param factor: what each pause is multiplied by to get the next
    :param limit: the longest pause, in seconds, before jitter
    :param jitter: a share, from 0 to 1
    :raises ValueError: one of them is out of its range
    """

    first: float = 0.1
    factor: float = 2.0
    limit: float = 30.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name in ("first", "limit"):
            check_seconds("exponential", name, getattr(self, name))
        for name in ("factor", "jitter"):
            check_seconds("exponential", name, getattr(self, name), "a number")
        if not 0 <= self.first < inf:
            raise ValueError(f"first must be a number of seconds, not {self.first!r}")
        if not 1 <= self.factor < inf:
            raise ValueError(f"factor must be a number, 1 or more, not {self.factor!r}")
        if not self.first <= self.limit < inf:
            raise ValueError(
                f"limit must be a number of seconds, {self.first!r} (first) or more, not {self.limit!r}"
            )
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be a share between 0 and 1, not {self.jitter!r}")

    def __iter__(self) -> Iterator[float]:
        pause = self.first
        while True:
            yield pause * (1 + self.jitter * (2 * random() - 1)) if self.jitter else pause
            pause = min(pause * self.factor, self.limit)


class Delays:
    """The pauses of one service: a series that begins again after a good run.

    A series that ends goes on with its last pause.
    """

    __slots__ = ("_last", "_series", "_source")

    def __init__(self, source: Iterable[float]) -> None:
        if not _is_series(source):
            raise TypeError(
                f"backoff must be an iterable of seconds, such as exponential(0.1), not {source!r}"
            )
        self._source = source
        self._series: Iterator[float] | None = None
        self._last = 0.0

    def next(self) -> float:
        """Return the next pause, in seconds.

        :raises ValueError: the series gives something else than a number of seconds
        """
        if self._series is None:
            self._series = iter(self._source)
        pause = next(self._series, self._last)
        if not _is_pause(pause):
            raise ValueError(f"backoff must give numbers of seconds, 0 or more, not {pause!r}")
        self._last = pause
        return pause

    def begin_again(self) -> None:
        self._series = None
        self._last = 0.0


def _is_series(thing: object) -> bool:
    return isinstance(thing, Iterable) and not isinstance(thing, str | bytes)


def _is_pause(thing: object) -> bool:
    return isinstance(thing, int | float) and 0 <= thing < inf


class Intensity:
    """Counts restarts: more than `max_restarts` in `within` seconds are too many (OTP's rule)."""

    __slots__ = ("_times", "max_restarts", "within")

    def __init__(self, max_restarts: float, within: float) -> None:
        check_seconds("create_supervisor", "max_restarts", max_restarts, "a number")
        check_seconds("create_supervisor", "within", within)
        if not max_restarts >= 0 or (max_restarts != inf and max_restarts != int(max_restarts)):
            raise ValueError(f"max_restarts must be a number, 0 or more, not {max_restarts!r}")
        if not within > 0:
            raise ValueError(f"within must be a number of seconds above 0, not {within!r}")
        self.max_restarts = max_restarts
        self.within = within
        self._times: deque[float] = deque(
            maxlen=0 if max_restarts == inf else int(max_restarts) + 1
        )

    def too_many(self, now: float) -> bool:
        """Count a restart at `now`; tell whether it is one too many."""
        times = self._times
        if times.maxlen == 0:
            return False
        times.append(now)
        return len(times) == times.maxlen and now - times[0] <= self.within

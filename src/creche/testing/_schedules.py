"""Schedules: which of the tasks that are ready steps next. Pure, and without any loop.

A schedule is asked only where there is a choice: two or more tasks are ready. It is given their
numbers, in the order in which the loop would step them, and answers with an index; 0 is what the
loop would do. So a run is a list of small numbers, and the plainest run is all zeros.

    fifo        always 0
    random      any of them, evenly
    pct:d       by random priorities that change at d - 1 random places. Finds any bug that needs d
                steps in a certain order with a known probability (Burckhardt and others, "A
                Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010)
    dfs, dfs:d  all of them one after the other, with at most d choices other than 0
    auto        fifo first, then random, pct:2 and pct:3 in turn
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import cycle, islice
from random import Random
from typing import Protocol

STRATEGIES = ("auto", "fifo", "random", "pct:d", "dfs", "dfs:d")

_PATIENCE = 64
"""Steps that one task may take in a row under `pct` while others are ready: it might wait for them
in a loop, and they would never come."""


class Schedule(Protocol):
    """One run's choices."""

    steers: bool
    """Whether there is anything to ask."""

    def choose(self, ready: Sequence[int]) -> int:
        """Return the index of the task that steps next."""
        ...


class Fifo:
    """The order of the loop itself."""

    steers = False

    def choose(self, ready: Sequence[int]) -> int:
        """Return the index of the task that steps next."""
        return 0


class Uniform:
    """Each of the ready tasks with the same probability."""

    steers = True

    def __init__(self, random: Random) -> None:
        self._below = random.randrange

    def choose(self, ready: Sequence[int]) -> int:
        """Return the index of the task that steps next."""
        return self._below(len(ready))


class Priorities:
    """`pct:d`: the ready task of the highest priority; at d - 1 places the one that would run
    falls below all others.

    :param depth: d
    :param length: how many choices a run has, about
    """

    steers = True

    def __init__(self, random: Random, depth: int, length: int) -> None:
        self._random = random
        self._priority: dict[int, float] = {}
        places = range(max(length, depth))
        self._changes = set(random.sample(places, depth - 1))
        self._asked = 0
        self._lowest = 0.0
        self._last = -1
        self._in_a_row = 0

    def choose(self, ready: Sequence[int]) -> int:
        """Return the index of the task that steps next."""
        priority = self._priority
        for number in ready:
            if number not in priority:
                priority[number] = self._random.random()
        first = max(ready, key=priority.__getitem__)
        self._in_a_row = self._in_a_row + 1 if first == self._last else 0
        if self._asked in self._changes or self._in_a_row > _PATIENCE:
            self._lowest -= 1.0
            priority[first] = self._lowest
            first = max(ready, key=priority.__getitem__)
            self._in_a_row = 0
        self._last = first
        self._asked += 1
        return ready.index(first)


class Given:
    """The choices of a list, then 0. A choice that is too large means the last of the ready tasks,
    and is noted in `diverged`.
    """

    steers = True

    def __init__(self, choices: Sequence[int]) -> None:
        self.choices = choices
        self.sizes: list[int] = []
        """How many were ready, each time."""
        self.diverged = False

    def choose(self, ready: Sequence[int]) -> int:
        """Return the index of the task that steps next."""
        place, most = len(self.sizes), len(ready) - 1
        self.sizes.append(len(ready))
        choice = self.choices[place] if place < len(self.choices) else 0
        if choice > most:
            self.diverged = True
            return most
        return choice


class Strategy(Protocol):
    """Makes the schedules of many runs, one after the other."""

    def schedule(self, run: int) -> Schedule | None:
        """Return the schedule of a run, counted from 0; None when all were tried."""
        ...

    def learn(self, choices: Sequence[int]) -> None:
        """Hear which choices the last run made."""
        ...


class Sampling:
    """`fifo`, `random`, `pct:d`, or several of these in turn."""

    def __init__(self, kinds: Sequence[str], seed: int, *, fifo_first: bool) -> None:
        self._kinds = kinds
        self._seed = seed
        self._fifo_first = fifo_first
        self._length = 0

    def schedule(self, run: int) -> Schedule | None:
        """Return the schedule of a run, None when all were tried."""
        if self._fifo_first and run == 0:
            return Recorded()
        kind = next(islice(cycle(self._kinds), run % len(self._kinds), None))
        return make(kind, f"{self._seed}:{run}", self._length)

    def learn(self, choices: Sequence[int]) -> None:
        """Hear which choices the last run made."""
        self._length = max(self._length, len(choices))


class Recorded(Fifo):
    """The order of the loop itself, for a run whose choices are counted."""

    steers = True


class DepthFirst:
    """`dfs`: all lists of choices, those that differ late first.

    :param most: the most choices other than 0 in one run, None for any number
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._given: Given | None = None
        self._prefix: list[int] | None = []

    def schedule(self, run: int) -> Schedule | None:
        """Return the schedule of a run, None when all were tried."""
        if self._given is not None:
            self._prefix = self._following(self._given)
        if self._prefix is None:
            return None
        self._given = Given(self._prefix)
        return self._given

    def _following(self, given: Given) -> list[int] | None:
        sizes = given.sizes
        made = [*given.choices, *[0] * (len(sizes) - len(given.choices))][: len(sizes)]
        while made:
            last = made.pop()
            others = sum(choice > 0 for choice in made)
            if last + 1 < sizes[len(made)] and (self._most is None or others < self._most):
                return [*made, last + 1]
        return None

    def learn(self, choices: Sequence[int]) -> None:
        """Hear which choices the last run made."""


def make(kind: str, seed: object, length: int) -> Schedule:
    """Make one schedule of a strategy that samples."""
    random = Random(str(seed))
    if kind == "random":
        return Uniform(random)
    if kind.startswith("pct:"):
        return Priorities(random, int(kind[4:]), length)
    return Recorded()


def strategy(name: str, seed: int) -> Strategy:
    """Return the strategy of a name.

    :raises ValueError: there is no such strategy
    """
    if name == "auto":
        return Sampling(("pct:2", "random", "pct:3", "random"), seed, fifo_first=True)
    if name in ("fifo", "random") or re.fullmatch(r"pct:[1-9]\d?", name):
        return Sampling((name,), seed, fifo_first=False)
    if name == "dfs":
        return DepthFirst(None)
    if re.fullmatch(r"dfs:\d+", name):
        return DepthFirst(int(name[4:]))
    raise ValueError(f"unknown strategy {name!r}: known are {', '.join(STRATEGIES)}")

"""What a benchmark row is: its work for each library, and the ratios it has to meet.

Knows nothing of how rows are measured or shown. Rules for the work:

* A work function does ``n`` operations and returns the seconds they took, so that each one
  decides what is set-up and what is measured.
* ``portable`` work is written once against the API that Creche and AnyIO share and gets the
  library as its first argument; ``asyncio`` and ``trio`` work uses what a user of those writes.
* Both sides do equal work: the same payloads, the same number of tasks, everything received.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

from creche._registry import variants

Backend: TypeAlias = str  # a registered one
Library: TypeAlias = Any  # a module with AnyIO's public names
Portable: TypeAlias = Callable[[Library, int], Coroutine[Any, Any, float]]
Native: TypeAlias = Callable[[int], Coroutine[Any, Any, float]]

LOOPS = {loop.name: loop for loop in variants()}
BACKENDS: tuple[Backend, ...] = tuple(LOOPS)
CRECHE, ANYIO, ASYNCIO, TRIO = "creche", "anyio", "asyncio", "trio"

clock = perf_counter


@dataclass(frozen=True)
class Target:
    """Creche's figure is to be at most ``at_most`` times the peer's (or the figure itself,
    in the row's unit, when ``peer`` is None)."""

    peer: str | None
    at_most: float
    backends: tuple[Backend, ...] = ("asyncio",)


@dataclass(frozen=True)
class Settings:
    """How much to measure."""

    rounds: int = 11
    sample_seconds: float = 0.03
    quick: bool = False
    subject: str = CRECHE  # the module measured in Creche's column
    only_peers: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """What timed and special rows have in common."""

    key: str
    title: str
    targets: tuple[Target, ...] = ()
    backends: tuple[Backend, ...] = BACKENDS
    unit: str = "µs"
    label: str = ""  # a shorter title, for the chart
    chart: tuple[Backend, ...] = ()  # the backends on which it is one of the main rows


@dataclass(frozen=True, kw_only=True)
class TimedRow(Row):
    """A row measured in interleaved rounds, in microseconds per operation."""

    portable: Portable
    asyncio: Native | None = None
    trio: Native | None = None
    extras: Mapping[str, Native] = field(default_factory=dict)  # more asyncio ways, for comparison
    batch: int = 1  # n is a multiple of this
    fixed: int | None = None  # always this n, for work whose size is the point
    max_rounds: int | None = None


@dataclass(frozen=True, kw_only=True)
class SpecialRow(Row):
    """A row that measures itself: returns the figures of each library, in the row's unit."""

    measure: Callable[[Backend, Settings], dict[str, list[float]]]

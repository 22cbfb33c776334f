"""Runs timed rows: who takes part, how many operations make a sample, whose turn it is.

Owns the order of the rounds and the calls of each library's ``run()``. Knows nothing of targets.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import trio
import uvloop

from .model import ANYIO, ASYNCIO, CRECHE, LOOPS, TRIO, Backend, Library, Native, Settings, TimedRow

Sample: TypeAlias = Callable[[int], float]
SHUFFLE_SEED = 4
MAX_GROWTH = 16


@dataclass
class Outcome:
    """The figures of one row on one backend: a list per library, a line per failure."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def load(name: str) -> Library:
    """Import a library that has AnyIO's names, with the submodules that the work uses."""
    module = importlib.import_module(name)
    for part in ("abc", "lowlevel"):
        with contextlib.suppress(ImportError):  # a row that needs it will say so
            importlib.import_module(f"{name}.{part}")
    return module


def describe(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".splitlines()[0]


def run_portable(lib: Library, backend: Backend, func: Callable[..., Any], *args: object) -> Any:
    loop = LOOPS[backend]
    return lib.run(func, *args, backend=loop.kernel, backend_options=dict(loop.options))


def run_asyncio(backend: Backend, func: Callable[..., Any], *args: object) -> Any:
    factory = uvloop.new_event_loop if backend == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(func(*args))


def run_trio(func: Callable[..., Any], *args: object) -> Any:
    return trio.run(func, *args)


def contestants(
    row: TimedRow, backend: Backend, settings: Settings, outcome: Outcome
) -> dict[str, Sample]:
    """One sampler per library. Trio takes part in the asyncio process too, on its own loop."""
    found: dict[str, Sample] = {}
    names = {ANYIO: ANYIO} if settings.only_peers else {CRECHE: settings.subject, ANYIO: ANYIO}
    for label, module in names.items():
        try:
            lib = load(module)
        except ImportError as error:
            outcome.errors[label] = describe(error)
        else:
            found[label] = partial(run_portable, lib, backend, partial(row.portable, lib))
    natives: dict[str, Native | None] = {ASYNCIO: row.asyncio, **row.extras}
    if LOOPS[backend].kernel == ASYNCIO:
        for label, work in natives.items():
            if work is not None:
                found[label] = partial(run_asyncio, backend, work)
    if backend != "uvloop" and row.trio is not None:
        found[TRIO] = partial(run_trio, row.trio)
    return found


def size_of_sample(row: TimedRow, sample: Sample, seconds: float) -> int:
    """The number of operations that lasts about ``seconds``."""
    if row.fixed is not None:
        return row.fixed
    n = row.batch
    while (took := sample(n)) < 0.8 * seconds:
        growth = min(MAX_GROWTH, max(1.3, seconds / max(took, 1e-9)))
        n = math.ceil(n * growth / row.batch) * row.batch
    return n


def measure(
    row: TimedRow,
    backend: Backend,
    settings: Settings,
    before_sample: Callable[[], None] = lambda: None,
) -> Outcome:
    """Measure a row in interleaved rounds; a library that fails is left out of the rest."""
    outcome = Outcome()
    samplers = contestants(row, backend, settings, outcome)
    sizes: dict[str, int] = {}

    def attempt(label: str, action: Callable[[], None]) -> None:
        before_sample()
        try:
            action()
        except Exception as error:
            outcome.errors[label] = describe(error)
            outcome.figures.pop(label, None)
            del samplers[label]

    def prepare(label: str) -> None:
        sizes[label] = size_of_sample(row, samplers[label], settings.sample_seconds)
        outcome.figures[label] = []

    def take(label: str) -> None:
        gc.collect()
        seconds = samplers[label](sizes[label])
        outcome.figures[label].append(seconds / sizes[label] * 1e6)

    for label in list(samplers):
        attempt(label, partial(prepare, label))
    order = random.Random(SHUFFLE_SEED)
    for _ in range(min(settings.rounds, row.max_rounds or settings.rounds)):
        turn = list(samplers)
        order.shuffle(turn)
        for label in turn:
            attempt(label, partial(take, label))
    return outcome

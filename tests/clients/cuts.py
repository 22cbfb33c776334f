"""Cuts a piece of work off at many moments, under Creche and under asyncio alone, and sees what is left.

Owns: the three kinds of cut (a timeout, a group that is cancelled, a sibling that fails), their moments, and
what was logged or warned of meanwhile. Knows nothing of the libraries; `libraries/` has what is cut.

A moment is a step of the work: the cut comes when it waits for the n-th time, or one or two passes of the loop
later, so that answers meet cancellations. Timeouts come at real times, spread over the length of the work. Several
lanes cut at the same time, more than a pool has connections.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import time
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from types import coroutine
from typing import Any

import creche

CUTS = 200
LANES = 8
KINDS = ("timeout", "group", "sibling")

Work = Callable[[], Coroutine[Any, Any, object]]


class SiblingError(Exception):
    """What the sibling of the work fails with."""


@dataclass
class Result:
    """What came of the cuts."""

    ended: Counter[str] = field(default_factory=Counter)
    """How the works ended: "done", "cut", or the name of an error."""
    logged: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        ended = ", ".join(f"{number} {how}" for how, number in sorted(self.ended.items()))
        return "; ".join([ended, *sorted(self.logged)])


@dataclass
class Measure:
    """How long a work takes when nobody cuts it: in seconds, and in waits."""

    seconds: float
    waits: int


@coroutine
def watched(
    coro: Coroutine[Any, Any, Any], waits: Callable[[], object]
) -> Generator[Any, Any, Any]:
    """Await `coro`, and call `waits()` each time before it does."""
    method: Callable[[Any], Any] = coro.send
    argument: Any = None
    while True:
        try:
            future = method(argument)
        except StopIteration as stop:
            return stop.value
        finally:
            argument = None  # The frames of an error lead here.
        waits()
        try:
            method, argument = coro.send, (yield future)
        except BaseException as exc:
            method, argument = coro.throw, exc


async def measured(work: Work) -> Measure:
    waits = count()
    began = time.perf_counter()
    await watched(work(), lambda: next(waits))
    return Measure(time.perf_counter() - began, next(waits))


@dataclass
class Moment:
    """When a work is cut."""

    wait: int
    passes: int
    seconds: float

    @classmethod
    def number(cls, number: int, measure: Measure) -> Moment:
        turn = number // len(KINDS)
        waits = max(measure.waits, 1)
        spread = turn * 0.618 % 1.0
        return cls(1 + turn % waits, turn // waits % 3, measure.seconds * 1.1 * spread)

    def of(self, work: Work, cut: Callable[[], object]) -> Awaitable[object]:
        """Return what does the work, and has `cut()` called at this moment."""
        loop = asyncio.get_running_loop()
        left = [self.wait]

        def after(passes: int) -> None:
            if passes:
                loop.call_soon(after, passes - 1)
            else:
                cut()

        def waits() -> None:
            left[0] -= 1
            if left[0] == 0:
                loop.call_soon(after, self.passes)

        return watched(work(), waits)


# Under Creche


async def by_timeout(work: Work, moment: Moment, cleanup: float | None) -> bool:
    with creche.move_on_after(moment.seconds, cleanup=cleanup) as scope:
        await work()
    return scope.cancelled_caught


async def by_group(work: Work, moment: Moment, cleanup: float | None) -> bool:
    async with creche.create_task_group(cleanup=cleanup) as tg:

        async def run() -> None:
            await moment.of(work, tg.cancel_scope.cancel)

        tg.start_soon(run)
    return tg.cancel_scope.cancelled_caught


async def by_sibling(work: Work, moment: Moment, cleanup: float | None) -> bool:
    fails = creche.Event()

    async def sibling() -> None:
        await fails.wait()
        raise SiblingError

    failed = False
    try:
        async with creche.create_task_group(cleanup=cleanup) as tg:
            tg.start_soon(sibling)
            await moment.of(work, fails.set)
            tg.cancel_scope.cancel()
    except* SiblingError:
        failed = True
    return failed


UNDER_CRECHE = {"timeout": by_timeout, "group": by_group, "sibling": by_sibling}


# Under asyncio alone


async def by_asyncio_timeout(work: Work, moment: Moment, _: float | None) -> bool:
    try:
        async with asyncio.timeout(moment.seconds):
            await work()
    except TimeoutError:
        return True
    return False


async def by_asyncio_cancel(work: Work, moment: Moment, _: float | None) -> bool:
    async def run() -> None:
        await moment.of(work, lambda: task.cancel())

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if task.cancelled():
        return True
    task.result()
    return False


async def by_asyncio_sibling(work: Work, moment: Moment, _: float | None) -> bool:
    fails = asyncio.Event()

    async def sibling() -> None:
        await fails.wait()
        raise SiblingError

    failed = False
    try:
        async with asyncio.TaskGroup() as group:
            other = group.create_task(sibling())
            await moment.of(work, fails.set)
            other.cancel()
    except* SiblingError:
        failed = True
    return failed


UNDER_ASYNCIO = {
    "timeout": by_asyncio_timeout,
    "group": by_asyncio_cancel,
    "sibling": by_asyncio_sibling,
}


# All of them


async def cut_all(
    use: Callable[[int], Coroutine[Any, Any, object]], cleanup: float | None, *, native: bool
) -> Counter[str]:
    """Use something `CUTS` times in `LANES` lanes, and cut each use off; count how they ended."""
    measure = await measured(lambda: use(-1))
    cutters = UNDER_ASYNCIO if native else UNDER_CRECHE
    ended: Counter[str] = Counter()
    numbers = iter(range(CUTS))

    async def lane() -> None:
        for number in numbers:
            cut = cutters[KINDS[number % len(KINDS)]]
            try:
                was_cut = await cut(partial(use, number), Moment.number(number, measure), cleanup)
            except* Exception as group:
                ended.update(type(each).__name__ for each in leaves(group))
            else:
                ended["cut" if was_cut else "done"] += 1

    await asyncio.gather(*(lane() for _ in range(LANES)))
    return ended


async def cut_together(
    hold: Callable[[int], Coroutine[Any, Any, object]],
    holders: int,
    cleanup: float | None,
    *,
    native: bool,
) -> None:
    """Have as many use something at the same time, and cut them all off once they wait for the server."""
    cut = (UNDER_ASYNCIO if native else UNDER_CRECHE)["timeout"]
    moment = Moment(0, 0, 0.3)
    works = (cut(partial(hold, number), moment, cleanup) for number in range(holders))
    assert all(await asyncio.gather(*works))


def leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


async def until(condition: Callable[[], Awaitable[bool] | bool], what: str) -> None:
    """Wait until a condition holds, for 20 seconds at most."""
    try:
        with creche.fail_after(20):
            while True:
                holds = condition()
                if holds if isinstance(holds, bool) else await holds:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"this never came to be: {what}") from None


async def nothing_is_left(before: set[asyncio.Task[Any]]) -> None:
    """Wait until the tasks of `before` are the only ones."""
    await until(lambda: asyncio.all_tasks() <= before, "the library's own tasks end")


@contextmanager
def listening() -> Iterator[set[str]]:
    """Collect what is logged, warned of, or raised where nobody can take it: each kind once."""
    heard: set[str] = set()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[0] if record.exc_info else None
            what = f" ({error.__name__})" if error is not None else ""
            heard.add(f"{record.name}: {plain(str(record.msg))}{what}")

    listener = Listener(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield heard
            gc.collect()
        heard.update(f"{each.category.__name__}: {plain(str(each.message))}" for each in caught)
    finally:
        root.removeHandler(listener)


def plain(text: str) -> str:
    """Leave out what differs from one time to the next."""
    text = re.sub(r"<[^<>]*(<[^<>]*>[^<>]*)*>", "<>", text.splitlines()[0] if text else text)
    return re.sub(r"0x[0-9a-f]+|\d+", "#", text)


def run(func: Callable[..., Coroutine[Any, Any, Any]], loop: str, *args: Any) -> Any:
    """Run a function on asyncio's own loop or on uvloop, for two minutes at most."""

    async def limited() -> Any:
        with creche.fail_after(120):
            return await func(*args)

    return creche.run(limited, backend_options={"use_uvloop": loop == "uvloop"})

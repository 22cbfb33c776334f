"""What a unit of work costs at three sizes: costs that do not grow with how much there is.

Each shape is set up, and one part of it timed, in CPU time, so that a busy machine does not show.
A unit is a level, a task or a call. A library that needs too long for a size is not asked for a
larger one. The growth is the cost at the largest size over that at the smallest.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from .model import ANYIO, ASYNCIO, CRECHE, TRIO
from .runner import load, run_portable

PATIENCE = 3.0
"""Seconds of CPU time that a library may take for one size and still be asked for the next."""

clock = time.thread_time
Shape = Callable[[Any, int], Awaitable[float]]


class OnTrio:
    """Trio under the names that the shapes use."""

    def __init__(self) -> None:
        import trio

        self.trio = trio
        self.sleep = trio.sleep
        self.sleep_forever = trio.sleep_forever
        self.CancelScope = trio.CancelScope
        self.Event = trio.Event
        self.current_time = trio.current_time

    def create_task_group(self) -> Any:
        return _TrioGroup(self.trio.open_nursery())

    async def wait_all_tasks_blocked(self) -> None:
        await self.trio.testing.wait_all_tasks_blocked()

    def run(self, func: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        import trio.testing

        return trio.run(func, *args)


class _TrioGroup:
    def __init__(self, manager: Any) -> None:
        self._manager = manager

    async def __aenter__(self) -> Self:
        nursery = await self._manager.__aenter__()
        self.start_soon = nursery.start_soon
        self.start = nursery.start
        self.cancel_scope = nursery.cancel_scope
        return self

    async def __aexit__(self, *exc: object) -> Any:
        return await self._manager.__aexit__(*exc)


class Portable:
    """A library with AnyIO's names on asyncio."""

    def __init__(self, name: str) -> None:
        self._lib: Any = load(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lib, name)

    def run(self, func: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return run_portable(self._lib, ASYNCIO, func, *args)


# The shapes


async def chain(lib: Any, size: int, last: Callable[[], Awaitable[None]]) -> None:
    """`size` groups, each in a task of the one before."""
    async with lib.create_task_group() as group:
        if size > 1:
            group.start_soon(chain, lib, size - 1, last)
        else:
            group.start_soon(last)


async def cancel_of_a_chain(lib: Any, size: int) -> float:
    async with lib.create_task_group() as group:
        group.start_soon(chain, lib, size, lib.sleep_forever)
        await settled(lib, size)
        begun = clock()
        group.cancel_scope.cancel()
    return clock() - begun


async def error_in_a_chain(lib: Any, size: int) -> float:
    event = lib.Event()

    async def fail() -> None:
        await event.wait()
        raise ValueError

    begun = 0.0
    try:
        async with lib.create_task_group() as group:
            group.start_soon(chain, lib, size, fail)
            await settled(lib, size)
            begun = clock()
            event.set()
    except BaseExceptionGroup:
        return clock() - begun
    raise RuntimeError("the error was lost")


async def cancel_of_nested_starts(lib: Any, size: int) -> float:
    async def service(left: int, *, task_status: Any) -> None:
        async with lib.create_task_group() as inner:
            if left:
                await inner.start(service, left - 1)
            await lib.sleep_forever()

    async def outermost() -> None:
        async with lib.create_task_group() as inner:
            await inner.start(service, size - 1)

    async with lib.create_task_group() as group:
        group.start_soon(outermost)
        await settled(lib, size)
        begun = clock()
        group.cancel_scope.cancel()
    return clock() - begun


async def nothing() -> None:
    pass


async def spawn_under_scopes(lib: Any, size: int) -> float:
    spent = 0.0
    with ExitStack() as scopes:
        for _ in range(size):
            scopes.enter_context(lib.CancelScope())
        for _ in range(10):
            async with lib.create_task_group() as group:
                begun = clock()
                for _ in range(100):
                    group.start_soon(nothing)
                spent += clock() - begun
    return spent / 1000 * size  # a unit is one spawn


async def deadline_moved(lib: Any, size: int) -> float:
    with lib.CancelScope(deadline=lib.current_time() + 1000) as scope:
        async with lib.create_task_group() as group:
            for _ in range(size):
                group.start_soon(lib.sleep_forever)
            await settled(lib, 3)
            begun = clock()
            for number in range(100):
                scope.deadline = lib.current_time() + 1000 + number
            spent = clock() - begun
            group.cancel_scope.cancel()
    return spent / 100 * size  # a unit is one move


async def waits_for_a_task_cancelled(lib: Any, size: int) -> float:
    async def wait(scope: Any, handle: Any) -> None:
        with scope:
            await handle.wait()

    async with lib.create_task_group() as group:
        handle = group.start_soon(lib.sleep_forever)
        scopes = [lib.CancelScope() for _ in range(size)]
        async with lib.create_task_group() as waiting:
            for scope in scopes:
                waiting.start_soon(wait, scope, handle)
            await settled(lib, 3)
            begun = clock()
            for scope in scopes:
                scope.cancel()
        spent = clock() - begun
        group.cancel_scope.cancel()
    return spent


async def cancel_of_a_wide_group(lib: Any, size: int) -> float:
    event = lib.Event()
    async with lib.create_task_group() as group:
        for _ in range(size):
            group.start_soon(event.wait)
        await settled(lib, 3)
        begun = clock()
        group.cancel_scope.cancel()
    return clock() - begun


async def cancel_of_many_timers(lib: Any, size: int) -> float:
    async with lib.create_task_group() as group:
        for number in range(size):
            group.start_soon(lib.sleep, 1000 + number)
        await settled(lib, 3)
        begun = clock()
        group.cancel_scope.cancel()
    return clock() - begun


async def settled(lib: Any, passes: int) -> None:
    """Let a chain of `passes` tasks begin."""
    for _ in range(passes + 5):
        await lib.sleep(0)
    await lib.sleep(0.01)


@dataclass(frozen=True)
class Growth:
    """One line of the section: a shape, its sizes, and how much its unit may grow."""

    title: str
    shape: Shape
    sizes: tuple[int, int, int]
    most: float = 2.0
    handles: bool = False
    """Whether it needs task handles, which only Creche has in this form."""


GROWTHS = (
    Growth("chain of groups, cancelled", cancel_of_a_chain, (100, 500, 2000)),
    Growth("error at the end of a chain of groups", error_in_a_chain, (50, 200, 800)),
    Growth("start() inside start(), cancelled", cancel_of_nested_starts, (50, 150, 400)),
    Growth("spawn under scopes", spawn_under_scopes, (10, 100, 1000), most=1.25),
    Growth("deadline around waiting tasks, moved", deadline_moved, (100, 1000, 5000), most=1.25),
    Growth(
        "waits for one task, cancelled one by one",
        waits_for_a_task_cancelled,
        (500, 2000, 10_000),
        handles=True,
    ),
    Growth("wide group, cancelled", cancel_of_a_wide_group, (1000, 10_000, 100_000)),
    Growth("tasks in sleep(), cancelled", cancel_of_many_timers, (1000, 10_000, 100_000)),
)


def costs(growth: Growth, library: Any) -> list[float | None]:
    """Measure the seconds of a unit at each size, the better of two; None where it took too long."""
    found: list[float | None] = []
    for size in growth.sizes:
        if found and (found[-1] is None or found[-1] * size > PATIENCE):
            found.append(None)
            continue
        best: float = min(library.run(growth.shape, library, size) for _ in range(2))
        found.append(best / size)
    return found


def line(label: str, found: list[float | None]) -> str:
    cells = [f"{cost * 1e6:12.2f}" if cost is not None else f"{'too long':>12}" for cost in found]
    first, last = found[0], found[-1]
    grown = f"{last / first:9.2f}" if first and last else f"{'':9}"
    return f"  {label:10}{''.join(cells)}{grown}"


def report(subject: str = CRECHE, *, only_peers: bool = False, quick: bool = False) -> bool:
    """Print the section; return whether the subject meets it."""
    libraries: dict[str, Any] = {} if only_peers else {CRECHE: Portable(subject)}
    libraries |= {ANYIO: Portable(ANYIO), TRIO: OnTrio()}
    print(
        "\nGrowth: microseconds of CPU time for a unit, at three sizes (asyncio; Trio on its own)"
    )
    met = True
    for growth in GROWTHS:
        sizes = growth.sizes[:2] if quick else growth.sizes
        print(f"\n{growth.title}; at most {growth.most:g} times")
        print(f"  {'':10}{''.join(f'{size:12,}' for size in sizes)}{'grows':>9}")
        for label, library in libraries.items():
            if growth.handles and label != CRECHE:
                continue
            found = costs(growth, library)[: len(sizes)]
            print(line(label, found), flush=True)
            first, last = found[0], found[-1]
            if label == CRECHE:
                met = met and bool(first and last and last / first <= growth.most)
    return met

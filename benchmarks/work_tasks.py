"""The work of tasks and scopes: spawning, joining, starting, cancelling, timeouts, checkpoints.

Nothing here waits for time or sockets; what is measured is the bookkeeping.
"""

from __future__ import annotations

import asyncio

import trio

from .model import ANYIO, ASYNCIO, TRIO, Library, Target, TimedRow, clock

GROUP = 100
SLEEPERS = 20_000
HOUR = 3600


async def nothing() -> None:
    """The child of the spawn rows: what is left is the price of the task itself."""


# Spawn and join: groups of 100, counted per task


async def spawn_hundreds(lib: Library, n: int) -> float:
    create_task_group = lib.create_task_group
    begin = clock()
    for _ in range(n // GROUP):
        async with create_task_group() as group:
            for _ in range(GROUP):
                group.start_soon(nothing)
    return clock() - begin


async def spawn_hundreds_asyncio(n: int) -> float:
    begin = clock()
    for _ in range(n // GROUP):
        async with asyncio.TaskGroup() as group:
            for _ in range(GROUP):
                group.create_task(nothing())
    return clock() - begin


async def spawn_hundreds_trio(n: int) -> float:
    begin = clock()
    for _ in range(n // GROUP):
        async with trio.open_nursery() as nursery:
            for _ in range(GROUP):
                nursery.start_soon(nothing)
    return clock() - begin


# Spawn and join: groups of one


async def spawn_one(lib: Library, n: int) -> float:
    create_task_group = lib.create_task_group
    begin = clock()
    for _ in range(n):
        async with create_task_group() as group:
            group.start_soon(nothing)
    return clock() - begin


async def spawn_one_asyncio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        async with asyncio.TaskGroup() as group:
            group.create_task(nothing())
    return clock() - begin


async def spawn_one_trio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nothing)
    return clock() - begin


# start() of a child that is ready at once


async def ready_child(*, task_status: Library) -> None:
    task_status.started(7)


async def start_child(lib: Library, n: int) -> float:
    async with lib.create_task_group() as group:
        begin = clock()
        for _ in range(n):
            await group.start(ready_child)
        return clock() - begin


async def announce(ready: asyncio.Future[int]) -> None:
    ready.set_result(7)


async def start_child_by_hand(n: int) -> float:
    loop = asyncio.get_running_loop()
    begin = clock()
    for _ in range(n):
        ready: asyncio.Future[int] = loop.create_future()
        task = loop.create_task(announce(ready))
        await ready
        await task
    return clock() - begin


async def start_child_trio(n: int) -> float:
    async with trio.open_nursery() as nursery:
        begin = clock()
        for _ in range(n):
            await nursery.start(ready_child)
        return clock() - begin


# Cancel 20,000 sleeping tasks: from the cancel to the end of the group


async def cancel_sleepers(lib: Library, n: int) -> float:
    async with lib.create_task_group() as group:
        for _ in range(n):
            group.start_soon(lib.sleep, HOUR)
        for _ in range(3):
            await lib.lowlevel.checkpoint()
        begin = clock()
        group.cancel_scope.cancel()
    return clock() - begin


async def cancel_sleepers_by_hand(n: int) -> float:
    tasks = [asyncio.create_task(asyncio.sleep(HOUR)) for _ in range(n)]
    for _ in range(3):
        await asyncio.sleep(0)
    begin = clock()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return clock() - begin


async def cancel_sleepers_trio(n: int) -> float:
    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(trio.sleep, HOUR)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        begin = clock()
        nursery.cancel_scope.cancel()
    return clock() - begin


# Timeouts that do not fire


async def move_on(lib: Library, n: int) -> float:
    move_on_after = lib.move_on_after
    begin = clock()
    for _ in range(n):
        with move_on_after(HOUR):
            pass
    return clock() - begin


async def fail(lib: Library, n: int) -> float:
    fail_after = lib.fail_after
    begin = clock()
    for _ in range(n):
        with fail_after(HOUR):
            pass
    return clock() - begin


async def timeout_asyncio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        async with asyncio.timeout(HOUR):  # noqa: ASYNC100  # the scope alone is measured
            pass
    return clock() - begin


async def move_on_trio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        with trio.move_on_after(HOUR):  # noqa: ASYNC100  # the scope alone is measured
            pass
    return clock() - begin


async def fail_trio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        with trio.fail_after(HOUR):  # noqa: ASYNC100  # the scope alone is measured
            pass
    return clock() - begin


# An empty scope


async def empty_scope(lib: Library, n: int) -> float:
    scope = lib.CancelScope
    begin = clock()
    for _ in range(n):
        with scope():
            pass
    return clock() - begin


async def empty_scope_trio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        with trio.CancelScope():  # noqa: ASYNC100  # the scope alone is measured
            pass
    return clock() - begin


# A checkpoint


async def checkpoint(lib: Library, n: int) -> float:
    step = lib.lowlevel.checkpoint
    begin = clock()
    for _ in range(n):
        await step()
    return clock() - begin


async def checkpoint_asyncio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        await asyncio.sleep(0)
    return clock() - begin


async def checkpoint_trio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        await trio.lowlevel.checkpoint()
    return clock() - begin


SPAWN_TARGETS = (Target(ASYNCIO, 1.0), Target(TRIO, 1.4, ("trio",)))

ROWS = (
    TimedRow(
        key="spawn-100",
        title="spawn and join, groups of 100",
        portable=spawn_hundreds,
        asyncio=spawn_hundreds_asyncio,
        trio=spawn_hundreds_trio,
        batch=GROUP,
        targets=SPAWN_TARGETS,
        chart=("asyncio", "trio"),
    ),
    TimedRow(
        key="spawn-1",
        title="spawn and join, groups of 1",
        portable=spawn_one,
        asyncio=spawn_one_asyncio,
        trio=spawn_one_trio,
        targets=SPAWN_TARGETS,
        chart=("asyncio", "trio"),
    ),
    TimedRow(
        key="start",
        title="start() of a ready child",
        portable=start_child,
        asyncio=start_child_by_hand,
        trio=start_child_trio,
        targets=(Target(ASYNCIO, 1.2),),
        chart=("asyncio",),
    ),
    TimedRow(
        key="cancel-20000",
        title="cancel 20,000 sleeping tasks, per task",
        portable=cancel_sleepers,
        asyncio=cancel_sleepers_by_hand,
        trio=cancel_sleepers_trio,
        fixed=SLEEPERS,
        max_rounds=5,
        targets=(Target(ANYIO, 0.5),),
        label="cancel 20,000 sleeping tasks",
        chart=("asyncio",),
    ),
    TimedRow(
        key="move-on-after",
        title="timeout that does not fire (move_on_after)",
        portable=move_on,
        asyncio=timeout_asyncio,
        trio=move_on_trio,
        targets=(Target(ASYNCIO, 0.7),),
        label="timeout that does not fire",
        chart=("asyncio", "trio"),
    ),
    TimedRow(
        key="fail-after",
        title="timeout that does not fire (fail_after)",
        portable=fail,
        asyncio=timeout_asyncio,
        trio=fail_trio,
        targets=(Target(ASYNCIO, 0.7),),
    ),
    TimedRow(
        key="empty-scope",
        title="empty scope",
        portable=empty_scope,
        trio=empty_scope_trio,
        targets=(Target(ANYIO, 0.4),),
    ),
    TimedRow(
        key="checkpoint",
        title="checkpoint",
        portable=checkpoint,
        asyncio=checkpoint_asyncio,
        trio=checkpoint_trio,
        targets=(Target(ASYNCIO, 1.1),),
        chart=("asyncio",),
    ),
)

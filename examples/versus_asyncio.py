"""Each difference from `asyncio.TaskGroup`, side by side.

Every line of the output is what running programs did, not what somebody wrote down. The asyncio
halves run in an event loop of asyncio's own, so they are the real thing on Trio as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from creche import (
    TaskCancelled,
    TaskHandle,
    create_task_group,
    get_cancelled_exc_class,
    get_current_task,
    get_running_tasks,
    run,
    sleep,
)


class Stop(Exception):
    """Ends an `asyncio.TaskGroup`, which has no other way."""


# ── Cancel a group ───────────────────────────────────────────────────────────────────────────────


async def cancel_group_asyncio() -> str:
    async def stop() -> None:
        raise Stop

    tasks: list[asyncio.Task[None]] = []
    how = "nothing happened"
    try:
        async with asyncio.TaskGroup() as tg:
            tasks += [tg.create_task(asyncio.sleep(60)) for _ in range(3)]
            tg.create_task(stop())
    except* Stop:
        how = "by raising an exception in a task and catching it around the group"
    return f"{sum(task.cancelled() for task in tasks)} tasks cancelled, {how}"


async def cancel_group_creche() -> str:
    async with create_task_group() as tg:
        handles = [tg.start_soon(sleep, 60) for _ in range(3)]
        tg.cancel()
    cancelled = [h for h in handles if h.status is TaskHandle.Status.CANCELLED]
    return f"{len(cancelled)} tasks cancelled, by cancel()"


# ── Cancel one task through its handle ───────────────────────────────────────────────────────────


async def obstinate(nap: Callable[[float], Awaitable[Any]], cancelled: type[BaseException]) -> str:
    """Wait; when cancelled, wait again."""
    try:
        await nap(60)
    except cancelled:
        await nap(0.01)
    return "it was cancelled once, and went on"


async def cancel_task_asyncio() -> str:
    async with asyncio.TaskGroup() as tg:
        task = tg.create_task(obstinate(asyncio.sleep, asyncio.CancelledError))
        await asyncio.sleep(0)
        task.cancel()
    return task.result()


async def cancel_task_creche() -> str:
    async with create_task_group() as tg:
        handle = tg.start_soon(obstinate, sleep, get_cancelled_exc_class())
        await sleep(0)
        handle.cancel()
    try:
        return await handle
    except TaskCancelled as exc:
        return f"it is cancelled until it ends, and who awaits it gets {type(exc).__name__}"


# ── List the tasks ───────────────────────────────────────────────────────────────────────────────


async def list_tasks_asyncio() -> str:
    async with asyncio.TaskGroup() as tg:
        tasks = [tg.create_task(asyncio.sleep(60), name=name) for name in ("red", "green")]
        me = asyncio.current_task()
        names = sorted(task.get_name() for task in asyncio.all_tasks() if task is not me)
        for task in tasks:
            task.cancel()
    return f"{', '.join(names)}: all tasks of the loop, and nothing of who started whom"


async def list_tasks_creche() -> str:
    async with create_task_group() as tg:
        for name in ("red", "green"):
            tg.start_soon(sleep, 60, name=name)
        me = get_current_task().id
        names = sorted(str(task.name) for task in get_running_tasks() if task.parent_id == me)
        tg.cancel()
    return f"{', '.join(names)}: the tasks whose parent is this one"


# ── Start a task in a group that is shutting down ────────────────────────────────────────────────


async def start_late_asyncio() -> str:
    answer = ""

    async def last_words() -> None:
        nonlocal answer
        try:
            await asyncio.sleep(60)
        finally:
            late = asyncio.sleep(0)
            try:
                tg.create_task(late)
            except RuntimeError as exc:
                late.close()
                answer = f"{type(exc).__name__}: ... {str(exc).partition('> ')[2]}"

    async def stop() -> None:
        raise Stop

    try:
        async with asyncio.TaskGroup() as tg:
            tg.create_task(last_words())
            await asyncio.sleep(0)
            tg.create_task(stop())
    except* Stop:
        pass
    return answer


async def start_late_creche() -> str:
    steps: list[str] = []

    async def late() -> None:
        steps.append("it starts")
        try:
            await sleep(0)
        finally:
            steps.append("is cancelled where it first waits")

    async def last_words() -> None:
        try:
            await sleep(60)
        finally:
            tg.start_soon(late)

    async with create_task_group() as tg:
        tg.start_soon(last_words)
        await sleep(0)
        tg.cancel()
    return ", ".join([*steps, "and the group waits for it"])


# ── A task cancelled before its first step ───────────────────────────────────────────────────────


async def handles_it(steps: list[str], nap: Callable[[float], Awaitable[Any]]) -> None:
    steps.append("it ran to where it first waits")
    try:
        await nap(60)
    finally:
        steps.append("and cleaned up")


async def cancel_early_asyncio() -> str:
    steps: list[str] = []
    async with asyncio.TaskGroup() as tg:
        tg.create_task(handles_it(steps, asyncio.sleep)).cancel()
    return " ".join(steps) or "it never ran a line, so it could not clean up"


async def cancel_early_creche() -> str:
    steps: list[str] = []
    async with create_task_group() as tg:
        tg.start_soon(handles_it, steps, sleep).cancel()
    return " ".join(steps)


# ── Side by side ─────────────────────────────────────────────────────────────────────────────────

Half = Callable[[], Coroutine[Any, Any, str]]

DIFFERENCES: list[tuple[str, Half, Half]] = [
    ("Cancel a group", cancel_group_asyncio, cancel_group_creche),
    ("Cancel a task that catches it", cancel_task_asyncio, cancel_task_creche),
    ("List the tasks", list_tasks_asyncio, list_tasks_creche),
    ("Start into a group that is shutting down", start_late_asyncio, start_late_creche),
    ("Cancel a task before its first step", cancel_early_asyncio, cancel_early_creche),
]


def in_asyncio(half: Half) -> str:
    """Run one half in a loop of its own; in a thread, for this one may be running a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(half())).result()


async def main() -> None:
    for title, asyncio_half, creche_half in DIFFERENCES:
        print(title)
        print(f"  asyncio  {in_asyncio(asyncio_half)}")
        print(f"  creche   {await creche_half()}")


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/versus_asyncio.py

"""Tasks of other classes than asyncio's usual one, and asyncio with its classes exchanged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from _harness import on_asyncio
from creche import (
    CancelScope,
    Event,
    Lock,
    create_task_group,
    fail_after,
    move_on_after,
    sleep,
    sleep_forever,
)
from creche.lowlevel import checkpoint

pytestmark = on_asyncio

PurePythonTask: Any = vars(asyncio.tasks)["_PyTask"]


class Noting(asyncio.Task[Any]):
    """A task class whose `cancel` does more than asyncio's."""

    noted = 0

    def cancel(self, msg: Any = None) -> bool:
        self.noted += 1
        return super().cancel(msg)


class PurePython(PurePythonTask):  # type: ignore[misc]
    """A task of the class that debuggers use."""


CLASSES = pytest.mark.parametrize(
    "task_class",
    [asyncio.Task, Noting, PurePythonTask, PurePython],
    ids=["usual", "subclass", "pure Python", "subclass in pure Python"],
)


async def in_a_task(task_class: Any, main: Any) -> Any:
    native = task_class(main(), loop=asyncio.get_running_loop())
    try:
        return await asyncio.wait_for(native, 20)
    finally:
        assert native.cancelling() == 0


@CLASSES
async def test_scopes_cancel_tasks_of_every_class(task_class: Any) -> None:
    async def main() -> list[bool]:
        caught: list[bool] = []
        with move_on_after(0.01) as scope:
            await sleep_forever()
        caught.append(scope.cancelled_caught)
        with move_on_after(0.01) as scope:
            await asyncio.sleep(30)
        caught.append(scope.cancelled_caught)
        with pytest.raises(TimeoutError):
            with fail_after(0.01):
                await sleep(30)
        with CancelScope() as scope:
            scope.cancel()
            await checkpoint()
        caught.append(scope.cancelled_caught)
        return caught

    assert await in_a_task(task_class, main) == [True] * 3


@CLASSES
async def test_groups_and_primitives_work_in_tasks_of_every_class(task_class: Any) -> None:
    async def main() -> str:
        event, lock = Event(), Lock()

        async def child() -> None:
            async with lock:
                await event.wait()

        async with create_task_group() as tg:
            tg.start_soon(child)
            tg.start_soon(child)
            await sleep(0.01)
            event.set()
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever)
            await checkpoint()
            tg.cancel_scope.cancel()
            await sleep_forever()
        with pytest.raises(ExceptionGroup):
            async with create_task_group() as tg:
                tg.start_soon(fails)
                await asyncio.sleep(30)
        return "done"

    async def fails() -> None:
        raise ValueError

    assert await in_a_task(task_class, main) == "done"


async def test_the_cancel_of_a_task_class_is_called() -> None:
    async def main() -> None:
        with move_on_after(0.01):
            await asyncio.sleep(30)

    native = Noting(main(), loop=asyncio.get_running_loop())
    await native
    assert native.noted == 1


PROGRAM = """
import asyncio, sys
import creche
from creche import *

def exchange():
    # What nest_asyncio does, which notebooks use to enter a running loop again.
    asyncio.Task = asyncio.tasks._CTask = asyncio.tasks.Task = asyncio.tasks._PyTask
    asyncio.Future = asyncio.futures._CFuture = asyncio.futures.Future = asyncio.futures._PyFuture

async def child(log):
    with move_on_after(0.01) as scope:
        await sleep_forever()
    log.append(scope.cancelled_caught)
    await sleep(0.01)

async def cell(log):
    async with create_task_group() as tg:
        tg.start_soon(child, log)
        tg.start_soon(child, log)
    try:
        with fail_after(0.01):
            await asyncio.sleep(10)
    except TimeoutError:
        log.append(True)
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        await sleep(0.01)
        tg.cancel_scope.cancel()
    assert await to_thread.run_sync(lambda: 5) == 5
    send, receive = create_memory_object_stream(0)
    async with create_task_group() as tg:
        tg.start_soon(send.send, 1)
        assert await receive.receive() == 1
    send.close()
    receive.close()

async def older(log):
    with move_on_after(0.05) as scope:
        await sleep_forever()
    log.append(scope.cancelled_caught)

async def main(apply):
    log = []
    await cell(log)
    async with create_task_group() as tg:
        tg.start_soon(older, log)
        tg.start_soon(sleep, 0.05)
        await sleep(0.01)
        apply()
        await cell(log)
        await asyncio.create_task(cell(log))
        if apply is not exchange:
            asyncio.get_event_loop().run_until_complete(cell(log))
            asyncio.run(cell(log))
    assert log == [True] * len(log) and len(log) >= 10, log

WHAT
print("done")
"""


@pytest.mark.parametrize(
    "what",
    [
        "asyncio.run(main(exchange))",
        "creche.run(main, exchange)",
        "exchange(); asyncio.run(main(exchange)); creche.run(main, exchange)",
    ],
)
def test_programs_work_when_the_classes_of_asyncio_are_exchanged(what: str) -> None:
    _run(what)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="nest_asyncio does not know CPython 3.14")
@pytest.mark.parametrize("what", ["asyncio.run(main(apply))", "creche.run(main, apply)"])
def test_programs_work_when_nest_asyncio_is_applied_in_a_running_loop(what: str) -> None:
    _run(f"from nest_asyncio import apply\n{what}")


def _run(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("WHAT", what)],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")

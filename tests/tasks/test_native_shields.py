"""What a group of asyncio's, and Ctrl-C, do with the counts of cancels: a shield holds, no request is lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from creche import CancelScope, create_task_group, sleep, sleep_forever

on_loops = pytest.mark.backends("asyncio", "asyncio+eager", "uvloop")


@on_loops
@pytest.mark.parametrize("child", [False, True], ids=["foreign", "child"])
@pytest.mark.parametrize("later", [False, True], ids=["at-entry", "later"])
async def test_a_shield_is_not_broken_by_a_group_of_asyncio_that_fails_in_it(
    later: bool, child: bool
) -> None:
    """The group asks anew for each cancel that is counted: those of scopes must not be, in there."""
    log: list[str] = []

    async def fail() -> None:
        raise ValueError

    async def program() -> None:
        with CancelScope() as scope:
            scope.cancel()
            try:
                await sleep_forever()
            finally:
                with CancelScope(shield=not later) as inner:
                    if later:
                        with pytest.raises(asyncio.CancelledError):
                            await sleep_forever()
                        inner.shield = True
                    with pytest.raises(ExceptionGroup):
                        async with asyncio.TaskGroup() as group:
                            group.create_task(fail())
                            await asyncio.sleep(5)
                    await asyncio.sleep(0.01)
                    await sleep(0.01)
                    log.append("cleaned up")
        assert scope.cancelled_caught
        task = asyncio.current_task()
        assert task is not None
        log.append(f"cancelling() == {task.cancelling()}")

    if child:
        async with create_task_group() as tg:
            tg.start_soon(program)
    else:
        await asyncio.create_task(program())
    assert log == ["cleaned up", "cancelling() == 0"]


INTERRUPTED = """
import signal, sys, creche

async def main():
    signal.raise_signal(signal.SIGINT)  # Ctrl-C comes while the main task is in synchronous code.
    async with creche.create_task_group() as tg:
        tg.start_soon(creche.sleep, 0.01)
        if "cancel" in sys.argv:
            tg.cancel_scope.cancel()
    await creche.sleep(0)
    print("went on")

try:
    creche.run(main, backend=sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("more", [[], ["cancel"]], ids=["", "cancelled"])
@pytest.mark.parametrize("kernel", ["asyncio", "trio"])
def test_ctrl_c_before_a_group_interrupts_the_program(kernel: str, more: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, kernel, *more],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


@on_loops
@pytest.mark.parametrize("child", [False, True], ids=["foreign", "child"])
async def test_a_group_catches_its_cancellation_after_a_group_of_asyncio_has_failed_in_it(
    child: bool,
) -> None:
    """Asking anew is `uncancel()` and `cancel()`: in between, the group took the request to be one more."""
    log: list[str] = []

    async def program() -> None:
        async with create_task_group() as tg:
            tg.cancel_scope.cancel()
            with pytest.raises(ExceptionGroup):
                async with asyncio.TaskGroup():
                    with pytest.raises(asyncio.CancelledError):
                        await sleep_forever()
                    raise ValueError
            await sleep_forever()
        log.append("went on")

    if child:
        async with create_task_group() as tg:
            tg.start_soon(program)
    else:
        await asyncio.create_task(program())
    assert log == ["went on"]

"""What worker threads ask of the kernels: the end of a loop, strays, firm waits. On both of them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
import trio

from _harness import Backend, on_asyncio
from creche import CancelScope, create_task_group, get_cancelled_exc_class, sleep_forever
from creche._kernel import current_kernel, current_task
from creche._kernel.exits import Exits
from creche.lowlevel import checkpoint

Runner = Callable[[Any], Any]


def run_on_asyncio(main: Any) -> Any:
    return asyncio.run(main())


def run_on_trio(main: Any) -> Any:
    return trio.run(main)


each_foreign_loop = pytest.mark.parametrize("run", [run_on_asyncio, run_on_trio])


# The end of the loop


def test_callbacks_run_once_at_the_end_the_last_one_first(backend: Backend) -> None:
    calls: list[str] = []

    async def main() -> None:
        kernel = current_kernel()
        kernel.at_exit(lambda: calls.append("first"))
        kernel.at_exit(lambda: calls.append("second"))
        await checkpoint()
        assert not kernel.ended()
        calls.append("main")

    backend.run(main)
    gc.collect()
    assert calls == ["main", "second", "first"]


@each_foreign_loop
def test_callbacks_run_in_loops_that_creche_did_not_start(run: Runner) -> None:
    calls: list[bool] = []

    async def main() -> None:
        kernel = current_kernel()
        kernel.at_exit(lambda: calls.append(kernel.ended()))

    run(main)
    assert calls == [True]


@each_foreign_loop
def test_callbacks_run_when_the_main_function_fails(run: Runner) -> None:
    calls: list[bool] = []

    async def main() -> None:
        current_kernel().at_exit(lambda: calls.append(True))
        raise LookupError

    with pytest.raises(LookupError):
        run(main)
    assert calls == [True]


def test_a_callback_added_from_a_callback_of_the_loop_runs(backend: Backend) -> None:
    calls: list[bool] = []

    async def main() -> None:
        kernel = current_kernel()
        kernel.call_soon_threadsafe(lambda: kernel.at_exit(lambda: calls.append(True)))
        for _ in range(5):
            await checkpoint()

    backend.run(main)
    assert calls == [True]


def test_a_callback_that_raises_is_logged_and_the_others_run(
    caplog: pytest.LogCaptureFixture, loop_reports: object
) -> None:
    calls: list[bool] = []
    exits = Exits()
    exits._callbacks += [lambda: calls.append(True), lambda: 1 / 0]
    exits.run()
    exits.run()
    assert calls == [True]
    assert "a callback for the end of the event loop raised" in caplog.text


def test_a_callback_that_comes_when_all_is_over_runs_at_once() -> None:
    calls: list[bool] = []
    exits = Exits()
    exits.run()
    exits.add(lambda: calls.append(True))
    assert calls == [True]


def test_a_kernel_knows_that_its_loop_has_ended(backend: Backend) -> None:
    async def main() -> Any:
        return current_kernel()

    assert backend.run(main).ended()


# Strays


async def test_a_stray_runs_outside_all_scopes() -> None:
    seen: list[object] = []

    async def detached() -> None:
        seen.append(current_task().scope)
        seen.append(current_task().info().name)

    with CancelScope():
        current_kernel().spawn_detached(detached(), "astray")
        for _ in range(3):
            await checkpoint()
    assert seen == [None, "astray"]


def test_the_end_of_the_loop_cancels_strays(backend: Backend) -> None:
    seen: list[type[BaseException]] = []

    async def detached() -> None:
        try:
            await sleep_forever()
        except get_cancelled_exc_class() as exc:
            seen.append(type(exc))

    async def main() -> type[BaseException]:
        current_kernel().spawn_detached(detached(), "astray")
        for _ in range(3):
            await checkpoint()
        gc.collect()
        return get_cancelled_exc_class()

    assert seen == [] and [backend.run(main)] == seen


# Firm waits


async def test_a_firm_wait_is_not_interrupted_and_the_cancellation_comes_after_it() -> None:
    steps: list[str] = []
    waiters: list[Any] = []

    async def wait() -> None:
        task = current_task()
        waiter = task.make_firm_waiter()
        waiters.append((task, waiter))
        steps.append(await waiter.wait())
        await checkpoint()
        steps.append("never here")

    async with create_task_group() as group:
        group.start_soon(wait)
        while not waiters:
            await checkpoint()
        ((task, waiter),) = waiters
        task.check_parked(waiter)
        group.cancel_scope.cancel()
        with CancelScope(shield=True):
            for _ in range(3):
                await checkpoint()
        assert steps == []
        with pytest.raises(get_cancelled_exc_class()):
            task.check_parked(waiter)
        waiter.set_result("granted")
    assert steps == ["granted"]


async def test_a_firm_waiter_that_is_granted_before_its_wait_does_not_wait() -> None:
    task = current_task()
    waiter = task.make_firm_waiter()
    waiter.set_result(3)
    assert await waiter.wait() == 3


async def test_a_firm_waiter_that_fails_raises() -> None:
    task = current_task()
    waiter = task.make_firm_waiter()
    waiter.set_exception(LookupError())
    with pytest.raises(LookupError):
        await waiter.wait()


@on_asyncio
async def test_two_native_cancels_of_a_firm_wait_are_not_lost() -> None:
    steps: list[object] = []
    waiters: list[Any] = []

    async def wait() -> None:
        task = current_task()
        waiters.append(task.make_firm_waiter())
        steps.append(await waiters[0].wait())
        try:
            await checkpoint()
        except asyncio.CancelledError:
            native = asyncio.current_task()
            assert native is not None
            steps.append(native.cancelling())
            raise

    native = asyncio.create_task(wait())
    while not waiters:
        await checkpoint()
    native.cancel()
    await checkpoint()
    native.cancel()
    await checkpoint()
    assert steps == []
    waiters[0].set_result("granted")
    with pytest.raises(asyncio.CancelledError):
        await native
    assert steps == ["granted", 2]

"""Blocking portals: calls, futures that cancel both ways, context managers, stopping, sharing."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest

from _harness import Backend
from creche import (
    Event,
    NoEventLoopError,
    create_task_group,
    get_current_task,
    move_on_after,
    sleep,
    sleep_forever,
)
from creche.abc import TaskStatus
from creche.from_thread import BlockingPortal, BlockingPortalProvider, start_blocking_portal
from creche.lowlevel import checkpoint
from creche.to_thread import run_sync

variable = contextvars.ContextVar("variable", default="nothing")
Start = Callable[[], Any]


@pytest.fixture
def start(backend: Backend) -> Start:
    """Start a portal on the backend of the test."""
    return lambda: start_blocking_portal(backend.kernel, dict(backend.options))


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.001)


async def double(number: int) -> int:
    await checkpoint()
    return number * 2


# Calls


def test_an_async_function_is_awaited(start: Start) -> None:
    with start() as portal:
        assert portal.call(double, 21) == 42


def test_a_plain_function_is_called_in_a_task_of_the_loop(start: Start) -> None:
    with start() as portal:
        assert portal.call(threading.current_thread) is not threading.current_thread()
        assert portal.call(get_current_task).name.endswith("get_current_task")


def test_the_error_of_a_call_is_raised_and_the_portal_goes_on(start: Start) -> None:
    def fail(error: type[BaseException]) -> NoReturn:
        raise error("in the loop")

    with start() as portal:
        for error in (LookupError, SystemExit, KeyboardInterrupt):
            with pytest.raises(error, match="in the loop"):
                portal.call(fail, error)
        assert portal.call(double, 1) == 2


def test_context_variables_travel_in(start: Start) -> None:
    token = variable.set("caller")
    try:
        with start() as portal:
            assert portal.call(variable.get) == "caller"
            portal.call(variable.set, "loop")
    finally:
        assert variable.get() == "caller"
        variable.reset(token)


def test_many_threads_call_at_a_time(start: Start) -> None:
    results: list[int] = []

    def work(portal: BlockingPortal, number: int) -> None:
        results.extend(portal.call(double, number) for _ in range(20))

    with start() as portal:
        threads = [threading.Thread(target=work, args=(portal, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == sorted(n * 2 for n in range(8) for _ in range(20))


def test_the_thread_of_the_loop_cannot_call(start: Start) -> None:
    words = "This method cannot be called from the event loop thread"
    with start() as portal:
        for method in (portal.call, portal.start_task_soon, portal.start_task):
            with pytest.raises(RuntimeError, match=words):
                portal.call(method, double, 1)


def test_a_portal_that_was_closed_takes_no_calls(start: Start) -> None:
    with start() as portal:
        pass
    with pytest.raises(RuntimeError, match="This portal is not running"):
        portal.call(double, 1)
    with pytest.raises(RuntimeError, match="This portal is not running"):
        portal.start_task_soon(double, 1)


def test_a_portal_needs_a_loop() -> None:
    with pytest.raises(NoEventLoopError):
        BlockingPortal()


# Futures


def test_a_task_is_started_and_its_future_has_the_outcome(start: Start) -> None:
    async def fail() -> NoReturn:
        raise LookupError

    with start() as portal:
        assert portal.start_task_soon(double, 4).result() == 8
        with pytest.raises(LookupError):
            portal.start_task_soon(fail).result()


def test_a_task_has_the_name_that_it_is_given(start: Start) -> None:
    async def name() -> str | None:
        return get_current_task().name

    with start() as portal:
        assert portal.start_task_soon(name, name="a name").result() == "a name"
        assert "name" in (portal.start_task_soon(name).result() or "")


def test_cancelling_a_future_cancels_its_task(start: Start) -> None:
    entered, ended = threading.Event(), threading.Event()

    async def wait() -> None:
        entered.set()
        try:
            await sleep_forever()
        finally:
            ended.set()

    with start() as portal:
        future = portal.start_task_soon(wait)
        entered.wait()
        assert future.cancel()
        assert ended.wait(5)
        with pytest.raises(CancelledError):
            future.result()


def test_a_future_that_is_cancelled_before_its_task_begins(start: Start) -> None:
    called: list[bool] = []
    release = threading.Event()

    def block() -> None:
        release.wait()

    with start() as portal:
        blocker = portal.start_task_soon(block)
        future = portal.start_task_soon(called.append, True)
        assert future.cancel()
        release.set()
        blocker.result()
    assert not called


def test_a_task_that_is_cancelled_cancels_its_future(start: Start) -> None:
    with start() as portal:
        future = portal.start_task_soon(sleep_forever)
        portal.start_task_soon(portal.stop, True)
        with pytest.raises(CancelledError):
            future.result(5)
    assert future.cancelled()


def test_waiting_for_futures_sees_those_that_were_cancelled(start: Start) -> None:
    with start() as portal:
        futures: list[Future[Any]] = [portal.start_task_soon(sleep_forever) for _ in range(3)]
        futures[1].cancel()
        done, _ = concurrent.futures.wait(futures, 5, concurrent.futures.FIRST_COMPLETED)
        assert done == {futures[1]}
        portal.start_task_soon(portal.stop, True)


def test_a_future_may_be_cancelled_in_the_thread_of_the_loop(start: Start) -> None:
    with start() as portal:
        future = portal.start_task_soon(sleep_forever)
        assert portal.call(future.cancel)
        assert portal.call(double, 1) == 2


def test_start_task_waits_until_the_task_is_ready(start: Start) -> None:
    release = Event()

    async def serve(port: int, *, task_status: TaskStatus[int]) -> str:
        await checkpoint()
        task_status.started(port + 1)
        await release.wait()
        return "served"

    with start() as portal:
        future, value = portal.start_task(serve, 80)
        assert value == 81
        assert not future.done()
        portal.call(release.set)
        assert future.result() == "served"


def test_start_task_of_a_task_that_is_never_ready(start: Start) -> None:
    async def forget(*, task_status: TaskStatus[None]) -> None:
        pass

    async def fail(*, task_status: TaskStatus[None]) -> NoReturn:
        raise LookupError

    async def twice(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        task_status.started()

    with start() as portal:
        with pytest.raises(
            RuntimeError, match=r"Task exited without calling task_status.started()"
        ):
            portal.start_task(forget)
        with pytest.raises(LookupError):
            portal.start_task(fail)
        future, _ = portal.start_task(twice)
        with pytest.raises(RuntimeError, match="called 'started' twice"):
            future.result()


def test_start_task_of_a_task_that_is_cancelled_before_it_is_ready(start: Start) -> None:
    async def wait(*, task_status: TaskStatus[None]) -> None:
        await sleep_forever()

    async def stop(portal: BlockingPortal) -> None:
        await checkpoint()
        await portal.stop(cancel_remaining=True)

    with start() as portal:
        portal.start_task_soon(stop, portal)
        with pytest.raises((CancelledError, RuntimeError)):
            portal.start_task(wait)


# Context managers


class Manager:
    def __init__(self, *, swallow: bool = False) -> None:
        self.swallow = swallow
        self.tasks: list[int] = []
        self.error: BaseException | None = None

    async def __aenter__(self) -> str:
        await checkpoint()
        self.tasks.append(get_current_task().id)
        return "value"

    async def __aexit__(self, _: object, exc_val: BaseException | None, __: object) -> bool:
        self.tasks.append(get_current_task().id)
        self.error = exc_val
        if exc_val is None:
            await checkpoint()
        return self.swallow


def test_an_async_context_manager_is_entered_and_left_in_one_task(start: Start) -> None:
    manager = Manager()
    with start() as portal:
        with portal.wrap_async_context_manager(manager) as value:
            assert value == "value"
    assert len(manager.tasks) == 2
    assert manager.tasks[0] == manager.tasks[1]
    assert manager.error is None


@pytest.mark.parametrize("swallow", [False, True])
def test_it_hears_of_the_error_of_the_block(start: Start, swallow: bool) -> None:
    manager = Manager(swallow=swallow)
    caught: list[BaseException] = []
    with start() as portal:
        try:
            with portal.wrap_async_context_manager(manager):
                raise LookupError
        except LookupError as exc:
            caught.append(exc)
    assert isinstance(manager.error, LookupError)
    assert bool(caught) is not swallow


def test_the_error_of_entering_it_is_raised(start: Start) -> None:
    class Broken(Manager):
        async def __aenter__(self) -> str:
            await checkpoint()
            raise LookupError

    with start() as portal:
        with pytest.raises(LookupError):
            with portal.wrap_async_context_manager(Broken()):
                pytest.fail("not entered")


def test_the_error_of_leaving_it_is_raised(start: Start) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        yield
        raise LookupError

    with start() as portal:
        with pytest.raises(LookupError):
            with portal.wrap_async_context_manager(broken()):
                pass


def test_it_is_left_when_the_portal_is_cancelled(start: Start) -> None:
    manager = Manager()
    with start() as portal:
        with pytest.raises(CancelledError):
            with portal.wrap_async_context_manager(manager):
                portal.start_task_soon(portal.stop, True)
                wait_until(lambda: len(manager.tasks) == 2)
    assert manager.error is not None


# The life of a portal


def test_the_end_of_the_block_waits_for_the_tasks(start: Start) -> None:
    ended: list[bool] = []

    async def work() -> None:
        await sleep(0.01)
        ended.append(True)

    with start() as portal:
        portal.start_task_soon(work)
    assert ended


def test_an_error_of_the_block_cancels_the_tasks(start: Start) -> None:
    futures: list[Future[None]] = []
    with pytest.raises(LookupError):
        with start() as portal:
            futures.append(portal.start_task_soon(sleep_forever))
            raise LookupError
    assert futures[0].cancelled()


def test_a_loop_that_does_not_start_says_why() -> None:
    with pytest.raises(LookupError, match="No such backend"):
        with start_blocking_portal("nonsense"):
            pytest.fail("not entered")


def test_the_thread_has_a_name(backend: Backend) -> None:
    with start_blocking_portal(backend.kernel, dict(backend.options), name="the name") as portal:
        assert portal.call(threading.current_thread).name == "the name"


def test_a_portal_lives_in_a_loop_that_runs_already(backend: Backend) -> None:
    results: list[int] = []

    def work(portal: BlockingPortal) -> None:
        results.append(portal.call(double, 2))
        portal.call(portal.stop)

    async def main() -> None:
        async with BlockingPortal() as portal:
            thread = threading.Thread(target=work, args=(portal,))
            thread.start()
            await portal.sleep_until_stopped()
        await run_sync(thread.join)

    backend.run(main)
    assert results == [4]


def test_a_call_that_arrives_as_the_portal_closes_is_answered(backend: Backend) -> None:
    """The portal closes in the same moment: the call is made or refused, but never left hanging."""
    outcomes: list[object] = []

    def work(portal: BlockingPortal, go: threading.Event) -> None:
        go.set()
        try:
            while True:
                outcomes.append(portal.call(int, "1"))
        except RuntimeError as exc:
            outcomes.append(str(exc))

    async def main() -> None:
        go = threading.Event()
        async with BlockingPortal() as portal:
            thread = threading.Thread(target=work, args=(portal, go))
            thread.start()
            await run_sync(go.wait)
        await run_sync(thread.join)

    for _ in range(10):
        backend.run(main)
    refusals = [outcome for outcome in outcomes if outcome != 1]
    assert len(refusals) == 10
    assert all("not running" in str(refusal) for refusal in refusals)


# From another loop


def test_a_task_of_another_loop_calls_without_blocking_it(backend: Backend, start: Start) -> None:
    async def main(portal: BlockingPortal) -> None:
        steps: list[str] = []

        async def other() -> None:
            steps.append("other")

        async def slow() -> str:
            await sleep(0.01)
            return "slow"

        async with create_task_group() as group:
            group.start_soon(other)
            steps.append(await portal.call_async(slow))
        assert steps == ["other", "slow"]
        assert await portal.call_async(int, "3") == 3
        with pytest.raises(ZeroDivisionError):
            await portal.call_async(divmod, 1, 0)

    with start() as portal:
        backend.run(main, portal)


@pytest.mark.parametrize("abandon", [False, True])
def test_cancelling_the_caller_cancels_the_task_in_the_portal(
    backend: Backend, start: Start, abandon: bool
) -> None:
    ended = threading.Event()
    release = threading.Event()

    async def wait() -> None:
        try:
            await sleep_forever()
        finally:
            release.wait()
            ended.set()

    async def main(portal: BlockingPortal) -> None:
        with move_on_after(0.01) as scope:
            if not abandon:
                release.set()
            await portal.call_async(wait, abandon_on_cancel=abandon)
        assert scope.cancelled_caught
        assert ended.is_set() is not abandon
        release.set()

    with start() as portal:
        backend.run(main, portal)
    assert ended.is_set()


def test_an_error_of_the_clean_up_reaches_the_cancelled_caller(
    backend: Backend, start: Start
) -> None:
    async def wait() -> None:
        try:
            await sleep_forever()
        finally:
            raise LookupError("cleaning up")

    async def main(portal: BlockingPortal) -> None:
        with pytest.raises(LookupError, match="cleaning up"):
            with move_on_after(0.01):
                await portal.call_async(wait)

    with start() as portal:
        backend.run(main, portal)


def test_the_loop_of_the_portal_cannot_call_itself(start: Start) -> None:
    with start() as portal:
        with pytest.raises(RuntimeError, match="cannot be called from the event loop thread"):
            portal.call(portal.call_async, double, 1)


# The provider


def test_a_provider_starts_one_portal_for_all_and_ends_it_with_the_last(backend: Backend) -> None:
    provider = BlockingPortalProvider(backend.kernel, dict(backend.options))
    assert provider.backend == backend.kernel
    with provider as one:
        with provider as two:
            assert one is two
        assert one.call(double, 1) == 2
    with pytest.raises(RuntimeError, match="not running"):
        one.call(double, 1)
    with provider as three:
        assert three is not one


def test_a_provider_serves_many_threads(backend: Backend) -> None:
    provider = BlockingPortalProvider(backend.kernel, dict(backend.options))
    barrier = threading.Barrier(4)
    portals: list[BlockingPortal] = []

    def work() -> None:
        with provider as portal:
            barrier.wait()
            portals.append(portal)
            assert portal.call(double, 3) == 6
            barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(portals) == 4
    assert len(set(map(id, portals))) == 1

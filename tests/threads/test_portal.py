"""Blocking portals: calls, futures that cancel both ways, context managers."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest
from _portals import Start, double, wait_until

from _harness import Backend
from creche import (
    Event,
    NoEventLoopError,
    get_cancelled_exc_class,
    get_current_task,
    sleep_forever,
)
from creche._threads.portal_calls import FutureCall
from creche.abc import TaskStatus
from creche.from_thread import BlockingPortal, start_blocking_portal
from creche.lowlevel import checkpoint

variable = contextvars.ContextVar("variable", default="nothing")


@pytest.fixture
def start(backend: Backend) -> Start:
    """Start a portal on the backend of the test."""
    return lambda: start_blocking_portal(backend.kernel, dict(backend.options))


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


def test_a_function_whose_future_is_cancelled_at_once_takes_its_first_step(start: Start) -> None:
    steps: list[str] = []
    release = threading.Event()

    async def work() -> None:
        steps.append("first step")
        try:
            await checkpoint()
        except get_cancelled_exc_class():
            steps.append("cancelled at the first checkpoint")
            raise

    with start() as portal:
        blocker = portal.start_task_soon(release.wait)
        future = portal.start_task_soon(work)
        plain = portal.start_task_soon(steps.append, "plain")
        assert future.cancel()
        assert plain.cancel()
        release.set()
        blocker.result()
    assert sorted(steps) == ["cancelled at the first checkpoint", "first step", "plain"]


def test_a_future_that_is_cancelled_before_its_loop_begins_it_hears_of_it_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = FutureCall.begin
    steps: list[str] = []

    async def work() -> None:
        steps.append("first step")
        await checkpoint()
        steps.append("second step")

    def begin_late(call: FutureCall, group: Any) -> None:
        call.future.cancel()
        begin(call, group)

    with start() as portal:
        monkeypatch.setattr(FutureCall, "begin", begin_late)
        monkeypatch.setattr(FutureCall, "cancel", lambda _: None)  # What tells the loop comes late.
        future = portal.start_task_soon(work)
        with pytest.raises(CancelledError):
            future.result()
    assert steps == ["first step"]


def test_a_future_that_is_cancelled_as_its_portal_stops_is_cancelled(start: Start) -> None:
    release = threading.Event()
    called: list[bool] = []

    with start() as portal:
        portal.start_task_soon(release.wait)
        portal.start_task_soon(portal.stop)
        future = portal.start_task_soon(called.append, True)
        assert future.cancel()
        release.set()
    assert future.cancelled()


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

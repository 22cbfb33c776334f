"""Resources, stops and supervision under many schedules: nothing is left open, lost or run twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import (
    CancelScope,
    ClosedResourceError,
    Event,
    create_memory_object_stream,
    create_task_group,
    get_current_task,
    sleep,
)
from creche._services.owner import Owner
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint
from creche.services import (
    ServiceHandle,
    create_resource_group,
    create_supervisor,
    until_stop,
    wait_for_stop,
)
from creche.testing import explore


class Broken(Exception):
    pass


# Resources


async def nothing_left_open(make: Callable[[], Any]) -> None:
    """Tasks enter and leave, one is cancelled at some moment: all is closed, by the task that opened."""
    opened: list[str] = []
    closed: list[str] = []

    @asynccontextmanager
    async def resource(name: str) -> AsyncIterator[str]:
        task = get_current_task().id
        await checkpoint()
        opened.append(name)
        try:
            async with create_task_group() as group:
                yield name
                group.cancel()
            await checkpoint()
        finally:
            assert get_current_task().id == task, "closed by another task"
            closed.append(name)

    async def use(name: str, scope: CancelScope) -> None:
        with scope:
            await resources.enter(resource(name))
            await checkpoint()
            async with create_task_group() as group:
                group.start_soon(resources.leave, name)
                group.start_soon(resources.leave, name)
            assert name in closed, "leave returned before it was closed"

    scopes = [CancelScope(), CancelScope()]
    async with create_task_group() as group:
        async with make() as resources:
            async with create_task_group() as users:
                users.start_soon(use, "a", scopes[0])
                users.start_soon(use, "b", scopes[1])
                users.start_soon(cancel_one_by_one, scopes[0])
            await resources.enter(resource("c"))
        assert sorted(opened) == sorted(closed), "something was left open"
        group.cancel()


@explore()
async def test_resources_are_closed_by_the_task_that_opened_them() -> None:
    await nothing_left_open(create_resource_group)


def test_a_leave_that_does_not_wait_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hasty(self: Owner) -> None:
        self.close()
        await checkpoint()

    monkeypatch.setattr(Owner, "closed", hasty)
    assert_found(lambda: nothing_left_open(create_resource_group))


@explore()
async def test_a_resource_that_fails_as_its_group_is_closed_leaves_nothing_behind() -> None:
    failing, running = Event(), 0

    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        nonlocal running

        async def fail() -> None:
            await failing.wait()
            raise Broken

        running += 1
        try:
            async with create_task_group() as group:
                group.start_soon(fail)
                yield
                group.cancel()
        finally:
            running -= 1

    async def enter() -> None:
        try:
            await resources.enter(resource())
        except ClosedResourceError:
            pass

    async with create_task_group() as group:
        try:
            async with create_resource_group() as resources:
                await resources.enter(resource())
                group.start_soon(enter)
                await checkpoint()
                failing.set()
                await checkpoint()
        except* Broken:
            pass
    assert running == 0


# Stops


async def nothing_half_done(block: Callable[[], Any]) -> None:
    """A consumer is stopped at some moment: what it took it has finished, and it took all there was."""
    send, receive = create_memory_object_stream[int](10)
    taken: list[int] = []
    finished: list[int] = []

    async def consume() -> None:
        with block():
            async for item in receive:
                taken.append(item)
                await checkpoint()
                await checkpoint()
                finished.append(item)

    async def produce() -> None:
        for item in range(4):
            await send.send(item)
        await checkpoint()
        sent.set()

    async def stop() -> None:
        await checkpoint()
        await checkpoint()
        group.stop()

    sent = Event()
    with send, receive:
        async with create_task_group() as group:
            group.start_soon(consume)
            group.start_soon(produce)
            group.start_soon(stop)
        left = receive.statistics().current_buffer_used
        assert taken == finished, "an item was taken and not finished"
        assert len(finished) + left == 4, "an item was lost"


@explore()
async def test_a_stopped_consumer_finishes_what_it_took() -> None:
    await nothing_half_done(until_stop)


def test_a_block_that_is_only_cancelled_by_a_stop_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from creche._tasks import until_stop as module

    monkeypatch.setattr(module.UntilStop, "_end", CancelScope.cancel)
    assert_found(lambda: nothing_half_done(until_stop))


async def stopped_in_reverse(make: Callable[[], Any]) -> None:
    ends: list[str] = []

    async def service(name: str, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await wait_for_stop()
        await checkpoint()
        ends.append(name)

    async with make() as group:
        for name in "abc":
            await group.start(service, name)
        group.stop()
    assert ends == ["c", "b", "a"], "stopped in another order"


@explore()
async def test_services_of_an_ordered_group_stop_in_reverse() -> None:
    await stopped_in_reverse(lambda: create_task_group(stop_order="reverse"))


def test_a_group_that_stops_all_at_once_is_found_out() -> None:
    assert_found(lambda: stopped_in_reverse(create_task_group))


# Supervision


async def one_life_at_a_time(strategy: Any) -> None:
    """Failures in start, stop and restart at once: no service runs twice, none outlives the block."""
    running: set[str] = set()
    overlaps: list[str] = []
    starts: dict[str, int] = {}

    async def service(name: str, *, task_status: TaskStatus[None]) -> None:
        if name in running:
            overlaps.append(name)
        running.add(name)
        try:
            starts[name] = starts.get(name, 0) + 1
            await checkpoint()
            if name == "b" and starts[name] == 2:
                raise Broken("start")
            task_status.started()
            with until_stop():
                await checkpoint()
                if starts[name] <= 2:
                    raise Broken("running")
                await Event().wait()
            await checkpoint()
            if name == "c":
                raise Broken("stop")
        finally:
            running.discard(name)

    async def by_hand(handle: ServiceHandle) -> None:
        try:
            await handle.restart()
        except (RuntimeError, ClosedResourceError):
            pass
        await handle.stop()

    async with create_supervisor(
        strategy, max_restarts=inf, on_error=lambda handle, error: None
    ) as sv:
        handles = [await sv.start(service, name) for name in "abc"]
        async with create_task_group() as group:
            group.start_soon(by_hand, handles[1])
            await sleep(1)
        assert not overlaps, "two lives at a time"
        assert [handle.state for handle in handles] == ["running", "stopped", "running"]
        assert running == {"a", "c"}
        sv.stop()
    assert running == set()


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@explore()
async def test_a_service_has_one_life_at_a_time(strategy: str) -> None:
    await one_life_at_a_time(strategy)


def test_a_supervisor_that_does_not_wait_for_the_stop_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from creche._services.cycle import Cycle

    begin = Cycle.begin

    def hasty(self: Any, them: Any, pause: float) -> None:
        begin(self, them, pause)
        for service in self._to_stop:
            self._hands._begin_stop(service)
            service._become("waiting")
        self._to_stop = []

    monkeypatch.setattr(Cycle, "begin", hasty)
    assert_found(lambda: one_life_at_a_time("one_for_all"))


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@explore(runs=100)
async def test_a_cancel_at_any_moment_ends_a_supervisor(strategy: Any) -> None:
    running = 0

    async def service(*, task_status: TaskStatus[None]) -> None:
        nonlocal running
        running += 1
        try:
            await checkpoint()
            task_status.started()
            await checkpoint()
            raise Broken
        finally:
            running -= 1

    with CancelScope() as scope:
        async with create_task_group() as group:
            group.start_soon(cancel_one_by_one, CancelScope(), CancelScope(), scope)
            async with create_supervisor(
                strategy, max_restarts=1_000, on_error=lambda handle, error: None
            ) as sv:
                for _ in range(3):
                    await sv.start(service, backoff=[0.1])
    assert scope.cancelled_caught and running == 0

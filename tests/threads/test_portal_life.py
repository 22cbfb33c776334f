"""Blocking portals: how they begin and end, calls from another loop, one portal for many threads."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest
from _portals import Start, double

from _harness import Backend
from creche import (
    create_task_group,
    move_on_after,
    sleep,
    sleep_forever,
)
from creche.from_thread import BlockingPortal, BlockingPortalProvider, start_blocking_portal
from creche.to_thread import run_sync


@pytest.fixture
def start(backend: Backend) -> Start:
    """Start a portal on the backend of the test."""
    return lambda: start_blocking_portal(backend.kernel, dict(backend.options))


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


def test_an_error_of_the_last_block_cancels_the_tasks_of_a_shared_portal(backend: Backend) -> None:
    provider = BlockingPortalProvider(backend.kernel, dict(backend.options))
    futures: list[Future[None]] = []
    with provider as portal:
        with pytest.raises(LookupError, match="not the last"):
            with provider:
                raise LookupError("not the last")
        assert portal.call(double, 1) == 2
    with pytest.raises(LookupError, match="the last"):
        with provider as portal:
            futures.append(portal.start_task_soon(sleep_forever))
            raise LookupError("the last")
    assert futures[0].cancelled()


def test_a_shared_portal_whose_last_block_ends_well_waits_for_its_tasks(backend: Backend) -> None:
    provider = BlockingPortalProvider(backend.kernel, dict(backend.options))
    with provider as portal:
        future = portal.start_task_soon(sleep, 0.01)
    assert future.result() is None


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

"""Calls from threads that are not the loop's: told where they can be, and nothing has changed; else harmless."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from _harness import Backend, error_in_a_thread, notices_other_threads
from creche import create_task_group, fail_after, sleep, wait_all_tasks_blocked
from creche.abc import TaskStatus
from creche.flow import Watched, create_broadcast, select
from creche.services import create_supervisor, wait_for_stop

everywhere = pytest.mark.backends("asyncio", "asyncio+debug", "asyncio+eager", "uvloop", "trio")


async def call_from_a_thread(backend: Backend, func: Callable[[], object]) -> None:
    """Make a call that wakes somebody, from a thread; if that is refused, make it here as well."""
    error = error_in_a_thread(func)
    if notices_other_threads(backend):
        assert "of an event loop in another thread" in str(error)
        await sleep(0.005)
        func()
    else:
        assert error is None
        await sleep(0)  # the thread has woken no loop: this does


@everywhere
@pytest.mark.parametrize("readers", [1, 3])
async def test_sending_to_a_broadcast(backend: Backend, readers: int) -> None:
    got: list[list[str]] = []
    with create_broadcast[str](2) as news:

        async def read(*, task_status: TaskStatus[None]) -> None:
            with news.subscribe() as stream:
                task_status.started()
                got.append([item async for item in stream])

        with fail_after(5):
            async with create_task_group() as group:
                for _ in range(readers):
                    await group.start(read)
                await wait_all_tasks_blocked()
                await call_from_a_thread(backend, lambda: news.send_nowait("one"))
                await news.send("two")
                await wait_all_tasks_blocked()
                await call_from_a_thread(backend, news.close)
    assert got == [["one", "two"]] * readers


@everywhere
async def test_taking_what_a_sender_waits_with(backend: Backend) -> None:
    taken: list[str] = []
    with create_broadcast[str](1, on_lag="wait") as news, news.subscribe() as stream:
        await news.send("one")
        with fail_after(5):
            async with create_task_group() as group:
                group.start_soon(news.send, "two")
                await wait_all_tasks_blocked()
                await call_from_a_thread(backend, lambda: taken.append(stream.receive_nowait()))
        assert (taken, await stream.receive()) == (["one"], "two")


@everywhere
async def test_closing_the_end_that_a_sender_waits_for(backend: Backend) -> None:
    with create_broadcast[str](1, on_lag="wait") as news:
        stream = news.subscribe()
        await news.send("one")
        with fail_after(5):
            async with create_task_group() as group:
                group.start_soon(news.send, "two")
                await wait_all_tasks_blocked()
                await call_from_a_thread(backend, stream.close)
        assert news.statistics().open_receive_streams == 0


@everywhere
@pytest.mark.parametrize("how", ["changes", "wait_for", "both", "select"])
async def test_setting_a_watched_value(backend: Backend, how: str) -> None:
    price = Watched(1)
    seen: list[int] = []

    async def follow() -> None:
        async for value in price.changes(initial=False):
            seen.append(value)
            break

    async def wait() -> None:
        seen.append(await price.wait_for(lambda value: value > 1))

    async def choose() -> None:
        _, value = await select(price.waiting_for(lambda value: value > 1))
        seen.append(value)

    kinds: dict[str, list[Any]] = {
        "changes": [follow, follow], "wait_for": [wait, wait], "both": [follow, wait], "select": [choose]
    }  # fmt: skip
    with fail_after(5):
        async with create_task_group() as group:
            for each in kinds[how]:
                group.start_soon(each)
            await wait_all_tasks_blocked()
            error = error_in_a_thread(lambda: price.set(2))
            if notices_other_threads(backend):
                assert "of an event loop in another thread" in str(error)
                assert price.get() == 1
                await sleep(0.005)
                assert seen == []
                price.set(2)
            else:
                assert error is None
                await sleep(0)
    assert seen == [2] * len(kinds[how])


@everywhere
async def test_stopping_services(backend: Backend) -> None:
    async def work(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await wait_for_stop()

    async with create_supervisor() as services:
        handle = await services.start(work)
        error = error_in_a_thread(services.stop)
        assert error is not None, "on every loop: it would have to be told in the loop"
        await sleep(0.005)
        assert handle.state == "running"
        with fail_after(5):
            await handle.stop()
        services.stop()

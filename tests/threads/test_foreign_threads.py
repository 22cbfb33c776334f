"""Calls of primitives from threads that are not the loop's: told where they can be, harmless where not."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest

from _harness import Backend, error_in_a_thread, notices_other_threads
from creche import (
    CancelScope,
    CapacityLimiter,
    EndOfStream,
    Event,
    Future,
    Semaphore,
    create_memory_object_stream,
    create_task_group,
    fail_after,
    from_thread,
    move_on_after,
    sleep,
    sleep_forever,
    to_thread,
    wait_all_tasks_blocked,
)


@pytest.mark.backends("asyncio", "asyncio+debug", "asyncio+eager", "uvloop", "trio")
@pytest.mark.parametrize("what", ["cancel", "deadline", "shield", "handle"])
async def test_a_cancel_from_another_thread_is_told_or_does_no_harm(
    backend: Backend, what: str
) -> None:
    scope = CancelScope()

    async def waits() -> None:
        with scope:
            await sleep_forever()

    async with create_task_group() as group:
        handle = group.start_soon(waits)
        await wait_all_tasks_blocked()
        acts: dict[str, Callable[[], object]] = {
            "cancel": scope.cancel,
            "deadline": partial(setattr, scope, "deadline", 0),
            "shield": partial(setattr, scope, "shield", True),
            "handle": handle.cancel,
        }
        error = error_in_a_thread(acts[what])
        if notices_other_threads(backend):
            assert "of an event loop in another thread" in str(error)
            assert (scope.cancel_called, scope.deadline, scope.shield) == (False, math.inf, False)
        else:
            assert error is None
        await to_thread.run_sync(partial(from_thread.run_sync, partial(scope.cancel)))
        with fail_after(5):
            await handle.wait()


@pytest.mark.backends("asyncio", "asyncio+debug", "asyncio+eager", "uvloop", "trio")
@pytest.mark.parametrize(
    "what", ["semaphore", "limiter", "tokens", "send", "close", "receive", "future", "failure"]
)
async def test_waking_from_another_thread_is_told_or_does_no_harm(
    backend: Backend, what: str
) -> None:
    semaphore, limiter = Semaphore(0), CapacityLimiter(1)
    send, receive = create_memory_object_stream[int](0)
    future: Future[int] = Future()
    limiter.acquire_on_behalf_of_nowait("me")

    def more_tokens() -> None:
        limiter.total_tokens = 2

    cases: dict[str, tuple[Callable[[], Awaitable[object]], Callable[[], object]]] = {
        "semaphore": (semaphore.acquire, semaphore.release),
        "limiter": (
            partial(limiter.acquire_on_behalf_of, "other"),
            partial(limiter.release_on_behalf_of, "me"),
        ),
        "tokens": (partial(limiter.acquire_on_behalf_of, "other"), more_tokens),
        "send": (receive.receive, partial(send.send_nowait, 1)),
        "close": (receive.receive, send.close),
        "receive": (partial(send.send, 1), receive.receive_nowait),
        "future": (future.wait, partial(setattr, future, "return_value", 1)),
        "failure": (future.wait, partial(setattr, future, "exception", ValueError())),
    }
    wait, wake = cases[what]

    async def waits() -> None:
        with suppress(EndOfStream):
            await wait()

    async with send, receive, create_task_group() as group:
        handle = group.start_soon(waits)
        await wait_all_tasks_blocked()
        error = error_in_a_thread(wake)
        if notices_other_threads(backend):
            assert "of an event loop in another thread" in str(error)
            with move_on_after(0.02):
                await handle.wait()
            assert handle.status.name == "PENDING"
            wake()  # nothing has changed: in its own thread it does what it does
        else:
            assert error is None
            await sleep(0)  # the thread has woken no loop: this does
        with fail_after(5):
            await handle.wait()


@pytest.mark.backends("asyncio", "asyncio+debug", "asyncio+eager", "uvloop", "trio")
async def test_setting_an_event_from_another_thread_is_told_or_does_no_harm(
    backend: Backend,
) -> None:
    event = Event()
    async with create_task_group() as group:
        group.start_soon(event.wait)
        group.start_soon(event.wait)
        await wait_all_tasks_blocked()
        error = error_in_a_thread(event.set)
        if notices_other_threads(backend):
            assert "of an event loop in another thread" in str(error)
            assert not event.is_set()
            with move_on_after(0.01) as scope:  # a cancel still lands
                await event.wait()
            assert scope.cancelled_caught
        else:
            assert error is None
        await to_thread.run_sync(partial(from_thread.run_sync, event.set))

"""What type checkers make of threads, portals, processes and interpreters."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, assert_type

from creche import CapacityLimiter, from_thread, to_interpreter, to_process, to_thread
from creche.from_thread import BlockingPortal, BlockingPortalProvider, start_blocking_portal
from creche.lowlevel import current_token


def length(text: str) -> int:
    return len(text)


async def length_async(text: str) -> int:
    return len(text)


async def workers(limiter: CapacityLimiter) -> None:
    assert_type(await to_thread.run_sync(length, "text"), int)
    assert_type(await to_thread.run_sync(length, "text", limiter=limiter), int)
    assert_type(await to_process.run_sync(length, "text", cancellable=True), int)
    assert_type(await to_interpreter.run_sync(length, "text"), int)
    assert_type(to_thread.current_default_thread_limiter(), CapacityLimiter)
    await to_thread.run_sync(length, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def threads() -> None:
    token = current_token()
    assert_type(from_thread.run(length_async, "text"), int)
    assert_type(from_thread.run(length_async, "text", token=token), int)
    assert_type(from_thread.run_sync(length, "text"), int)
    from_thread.run_sync(length, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def portals(cm: AbstractAsyncContextManager[bytes]) -> None:
    with start_blocking_portal("trio") as portal:
        assert_type(portal, BlockingPortal)
        assert_type(portal.call(length, "text"), int)
        assert_type(portal.call(length_async, "text"), int)
        assert_type(portal.start_task_soon(length_async, "text", name="a name"), Future[int])
        assert_type(portal.start_task_soon(length, "text"), Future[int])
        assert_type(portal.start_task(length_async, "text"), tuple[Future[int], Any])
        with portal.wrap_async_context_manager(cm) as value:
            assert_type(value, bytes)
    with BlockingPortalProvider() as shared:
        assert_type(shared, BlockingPortal)


async def another_loop(portal: BlockingPortal) -> None:
    assert_type(await portal.call_async(length_async, "text"), int)
    assert_type(await portal.call_async(length, "text", abandon_on_cancel=True), int)

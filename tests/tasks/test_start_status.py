"""`started()` at odd moments, and the errors that come out of `start()`: whole, and without cycles."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest

from creche import CancelScope, Event, create_task_group, sleep_forever, wait_all_tasks_blocked
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint

TWICE = "called 'started' twice on the same task status"


class Boom(Exception):
    """An error that can be watched."""


# `started()` before there is a task


async def test_a_plain_function_may_say_started_before_it_returns_its_coroutine() -> None:
    released = Event()

    def func(*, task_status: TaskStatus[int]) -> Coroutine[Any, Any, str]:
        async def body() -> str:
            await released.wait()
            return "ended"

        task_status.started(5)
        return body()

    async with create_task_group() as tg:
        handle = await tg.start(func, return_handle=True)
        assert handle.start_value == 5
        assert handle.status is handle.Status.PENDING
        released.set()
    assert handle.return_value == "ended"


async def test_saying_started_twice_before_the_coroutine_exists_is_an_error() -> None:
    def func(*, task_status: TaskStatus[int]) -> Coroutine[Any, Any, None]:
        task_status.started(1)
        with pytest.raises(RuntimeError, match=TWICE):
            task_status.started(2)
        return sleep_forever()

    async with create_task_group() as tg:
        assert await tg.start(func) == 1
        tg.cancel_scope.cancel()


async def test_saying_started_once_before_and_once_in_the_coroutine_is_an_error() -> None:
    def func(*, task_status: TaskStatus[int]) -> Coroutine[Any, Any, None]:
        async def body() -> None:
            with pytest.raises(RuntimeError, match=TWICE):
                task_status.started(2)

        task_status.started(1)
        return body()

    async with create_task_group() as tg:
        assert await tg.start(func) == 1


# What is raised


async def test_a_child_that_fails_inside_an_except_block_keeps_the_context_of_its_error() -> None:
    async def fails(*, task_status: TaskStatus[None]) -> None:
        try:
            raise KeyError("the child's own")
        except KeyError:
            raise Boom from None

    async def fails_plainly(*, task_status: TaskStatus[None]) -> None:
        raise Boom

    async with create_task_group() as tg:
        try:
            raise LookupError("the caller's")
        except LookupError:
            with pytest.raises(Boom) as raised:
                await tg.start(fails)
            assert type(raised.value.__context__) is KeyError
            assert raised.value.__suppress_context__
            with pytest.raises(Boom) as raised:
                await tg.start(fails_plainly)
            assert raised.value.__context__ is None


Alive: TypeAlias = "list[weakref.ref[Boom]]"


def boom(alive: Alive) -> Boom:
    """Make an error that no frame of the test holds."""
    error = Boom()
    alive.append(weakref.ref(error))
    return error


async def fails_in_start(alive: Alive) -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        await checkpoint()
        raise boom(alive)

    async with create_task_group() as tg:
        await tg.start(child)


async def fails_in_start_when_cancelled(alive: Alive) -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        try:
            await sleep_forever()
        finally:
            raise boom(alive)

    async with create_task_group() as tg:
        with CancelScope() as scope:
            tg.start_soon(cancels, scope)
            await tg.start(child)


async def cancels(scope: CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def fails_in_a_child(alive: Alive) -> None:
    async def child() -> None:
        await checkpoint()
        raise boom(alive)

    async with create_task_group() as tg:
        tg.start_soon(child)
        await sleep_forever()


async def fails_under_a_scope_that_splits(alive: Alive) -> None:
    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            raise boom(alive)

    with CancelScope() as scope:
        async with create_task_group() as tg:
            tg.start_soon(child)
            tg.start_soon(sleep_forever)
            tg.start_soon(cancels, scope)


async def fails_in_the_body(alive: Alive) -> None:
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        await checkpoint()
        raise boom(alive)


async def fails_where_a_handle_is_awaited(alive: Alive) -> None:
    async def child() -> None:
        raise boom(alive)

    async with create_task_group() as tg:
        handle = tg.start_soon(child)
        await handle


@pytest.mark.parametrize(
    "fails",
    [
        fails_in_start,
        fails_in_start_when_cancelled,
        fails_in_a_child,
        fails_under_a_scope_that_splits,
        fails_in_the_body,
        fails_where_a_handle_is_awaited,
    ],
)
async def test_an_error_is_freed_without_the_garbage_collector(
    fails: Callable[[Alive], Coroutine[Any, Any, None]],
) -> None:
    alive: Alive = []
    gc.collect()
    gc.disable()
    try:
        await caught(fails, alive)
        await checkpoint()
        await checkpoint()
        assert len(alive) == 1
        assert alive[0]() is None
    finally:
        gc.enable()


async def caught(fails: Callable[[Alive], Coroutine[Any, Any, None]], alive: Alive) -> None:
    try:
        await fails(alive)
    except (Boom, BaseExceptionGroup):
        pass

"""Edge cases of spawning into groups on every backend: when, where, what, and in which context.

What groups raise is in ``test_task_group_errors.py``, `start()` in ``test_start_edges.py``.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from creche import (
    TASK_STATUS_IGNORED,
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup, TaskStatus
from creche.lowlevel import checkpoint

NOT_ACTIVE = "This task group is not active; no new tasks can be started"
flavour: ContextVar[str] = ContextVar("flavour", default="none")

# When children run


async def test_start_soon_does_not_run_the_child_before_the_next_checkpoint() -> None:
    log = []

    async def child() -> None:
        log.append("child")

    async with create_task_group() as tg:
        tg.start_soon(child)
        tg.create_task(child())
        log.append("host")
        await checkpoint()
        await checkpoint()
        log.append("host again")
    assert log == ["host", "child", "child", "host again"]


async def test_children_take_their_first_steps_before_the_host_goes_on_for_good() -> None:
    started: set[int] = set()

    async def child(number: int) -> None:
        started.add(number)
        await checkpoint()

    async with create_task_group() as tg:
        for number in range(10):
            tg.start_soon(child, number)
        for _ in range(3):
            await checkpoint()
        assert started == set(range(10))


async def test_leaving_a_group_waits_for_children_and_grandchildren() -> None:
    log = []

    async def grandchild() -> None:
        await sleep(0.01)
        log.append("grandchild")

    async def child(tg: TaskGroup) -> None:
        await checkpoint()
        tg.start_soon(grandchild)
        log.append("child")

    async with create_task_group() as tg:
        tg.start_soon(child, tg)
    assert log == ["child", "grandchild"]


# Groups that are cancelled, closed or not yet entered


async def test_spawning_into_a_cancelled_group_runs_the_task_to_its_first_checkpoint() -> None:
    log = []

    async def child(name: str) -> None:
        log.append(f"{name} began")
        try:
            await checkpoint()
        except get_cancelled_exc_class():
            log.append(f"{name} cancelled")
            raise

    async with create_task_group() as tg:
        tg.cancel_scope.cancel()
        tg.start_soon(child, "spawned")
        tg.create_task(child("given"))
    assert sorted(log) == ["given began", "given cancelled", "spawned began", "spawned cancelled"]
    for name in ("given", "spawned"):
        assert log.index(f"{name} began") < log.index(f"{name} cancelled")


async def test_a_child_may_spawn_while_its_group_shuts_down() -> None:
    log = []

    async def late() -> None:
        try:
            await sleep_forever()
        finally:
            log.append("late child cancelled")

    async def child(tg: TaskGroup) -> None:
        try:
            await sleep_forever()
        finally:
            tg.start_soon(late)

    async with create_task_group() as tg:
        tg.start_soon(child, tg)
        await wait_all_tasks_blocked()
        tg.cancel_scope.cancel()
    assert log == ["late child cancelled"]


async def closed_group() -> TaskGroup:
    async with create_task_group() as tg:
        tg.start_soon(checkpoint)
    return tg


async def cancelled_and_closed_group() -> TaskGroup:
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        tg.cancel_scope.cancel()
    return tg


async def failed_group() -> TaskGroup:
    with pytest.raises(ExceptionGroup):
        async with create_task_group() as tg:
            raise ValueError
    return tg


async def group_never_entered() -> TaskGroup:
    return create_task_group()


inactive = pytest.mark.parametrize(
    "make", [closed_group, cancelled_and_closed_group, failed_group, group_never_entered]
)


@inactive
async def test_start_soon_in_an_inactive_group_is_an_error(
    make: Callable[[], Awaitable[TaskGroup]],
) -> None:
    tg = await make()
    with pytest.raises(RuntimeError, match=NOT_ACTIVE):
        tg.start_soon(sleep, 1)


@inactive
async def test_start_in_an_inactive_group_is_an_error(
    make: Callable[[], Awaitable[TaskGroup]],
) -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        pytest.fail("it ran")

    tg = await make()
    with pytest.raises(RuntimeError, match=NOT_ACTIVE):
        await tg.start(child)


@inactive
async def test_create_task_in_an_inactive_group_closes_the_coroutine(
    make: Callable[[], Awaitable[TaskGroup]],
) -> None:
    tg = await make()
    coro = sleep(1)
    with pytest.raises(RuntimeError, match=NOT_ACTIVE):
        tg.create_task(coro)
    assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED


async def test_a_group_can_be_entered_only_once() -> None:
    async with create_task_group() as tg:
        with pytest.raises(RuntimeError, match="TaskGroup cannot be entered more than once"):
            await tg.__aenter__()
        tg.start_soon(checkpoint)
    with pytest.raises(RuntimeError, match="TaskGroup cannot be entered more than once"):
        await tg.__aenter__()


# Things that are not coroutine functions


def plain_function(**_: object) -> int:
    return 5


async def async_generator(**_: object) -> AsyncGenerator[int]:
    yield 1


class Instance:
    def __call__(self, **_: object) -> int:
        return 5


@pytest.mark.parametrize(
    ("func", "name", "value"),
    [
        (plain_function, "plain_function", "5"),
        (async_generator, "async_generator", "<async_generator object"),
        (lambda **_: None, "<lambda>", "None"),
        (Instance(), "Instance", "5"),
    ],
    ids=["function", "generator", "lambda", "instance"],
)
@pytest.mark.parametrize("how", ["start_soon", "start"])
async def test_spawning_what_is_no_coroutine_function_says_so(
    func: Callable[..., Any], name: str, value: str, how: str
) -> None:
    async with create_task_group() as tg:
        with pytest.raises(TypeError) as caught:
            if how == "start":
                await tg.start(func)
            else:
                tg.start_soon(func)
        await checkpoint()
    text = str(caught.value)
    assert re.search(
        r"Expected .*\(\) to return a coroutine, but the return value \(.*\) "
        r"is not a coroutine object",
        text,
    )
    assert name in text
    assert f"({value}" in text


async def test_an_error_while_the_coroutine_is_made_stays_with_the_caller() -> None:
    async def child(argument: int) -> None:
        pytest.fail("it ran")

    async with create_task_group() as tg:
        with pytest.raises(TypeError, match="missing 1 required"):
            tg.start_soon(child)  # type: ignore[arg-type]
        await checkpoint()
    assert not tg.cancel_scope.cancel_called


@pytest.mark.parametrize("thing", [5, None, sleep, plain_function])
async def test_create_task_of_what_is_no_coroutine_says_what_it_is(thing: Any) -> None:
    async with create_task_group() as tg:
        with pytest.raises(TypeError, match="expected a coroutine, got") as caught:
            tg.create_task(thing)
    assert type(thing).__name__ in str(caught.value)


async def test_anything_that_returns_a_coroutine_can_be_spawned() -> None:
    log = []

    async def child(value: str) -> None:
        log.append(value)

    class Spawnable:
        async def __call__(self) -> None:
            log.append("instance")

        async def method(self) -> None:
            log.append("method")

    async with create_task_group() as tg:
        tg.start_soon(functools.partial(child, "partial"))
        tg.start_soon(lambda: child("lambda"))
        tg.start_soon(Spawnable())
        tg.start_soon(Spawnable().method)
    assert sorted(log) == ["instance", "lambda", "method", "partial"]


# Context


async def test_a_child_gets_the_context_of_its_caller_not_of_its_host() -> None:
    seen, entered, done, groups = [], Event(), Event(), []

    async def child(*, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        seen.append(flavour.get())
        task_status.started()
        flavour.set("child")

    async def host() -> None:
        flavour.set("host")
        async with create_task_group() as tg:
            groups.append(tg)
            entered.set()
            await done.wait()
        assert flavour.get() == "host"

    async with create_task_group() as tg:
        tg.start_soon(host)
        await entered.wait()
        flavour.set("caller")
        groups[0].start_soon(child)
        groups[0].create_task(child())
        await groups[0].start(child)
        flavour.set("changed after the call")
        done.set()
    assert seen == ["caller", "caller", "caller"]
    assert flavour.get() == "changed after the call"


async def test_a_child_sees_the_context_of_the_moment_of_the_call() -> None:
    seen = []

    async def child() -> None:
        seen.append(flavour.get())

    async with create_task_group() as tg:
        for value in ("first", "second"):
            flavour.set(value)
            tg.start_soon(child)
    assert sorted(seen) == ["first", "second"]


async def test_create_task_runs_in_the_context_it_is_given() -> None:
    async def child() -> None:
        seen.append(flavour.get())
        flavour.set("set by the child")
        await checkpoint()
        seen.append(flavour.get())

    seen: list[str] = []
    context = copy_context()
    context.run(flavour.set, "given")
    flavour.set("caller")
    async with create_task_group() as tg:
        tg.create_task(child(), context=context)
    assert seen == ["given", "set by the child"]
    assert flavour.get() == "caller"


async def test_a_scope_is_of_the_task_that_hosts_the_group_not_of_the_caller() -> None:
    log = []

    async def child() -> None:
        await checkpoint()
        log.append("not cancelled")

    async with create_task_group() as tg:
        with CancelScope() as scope:
            scope.cancel()
            tg.start_soon(child)
    assert log == ["not cancelled"]

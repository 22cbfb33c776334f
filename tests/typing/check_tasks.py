"""What type checkers know of task groups and handles. `make check` reads this; nothing runs it.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, assert_type

from creche import (
    TASK_STATUS_IGNORED,
    CancelScope,
    Event,
    TaskHandle,
    create_task_group,
    sleep,
)
from creche.abc import TaskGroup, TaskStatus


async def nothing() -> None: ...


async def double(number: float) -> str:
    return str(number * 2)


async def optional(number: int, text: str = "") -> bytes:
    return text.encode() * number


async def several(*numbers: int) -> list[int]:
    return list(numbers)


async def by_name(*, text: str) -> str:
    return text


def not_async(number: int) -> int:
    return number


class Parcel:
    async def deliver(self, to: str) -> int:
        return len(to)


async def start_soon_checks_the_arguments(group: TaskGroup, parcel: Parcel) -> None:
    assert_type(group.start_soon(nothing), TaskHandle[None])
    assert_type(group.start_soon(double, 1.5), TaskHandle[str])
    assert_type(group.start_soon(double, 2, name="two"), TaskHandle[str])
    assert_type(group.start_soon(optional, 1), TaskHandle[bytes])
    assert_type(group.start_soon(optional, 1, "a"), TaskHandle[bytes])
    assert_type(group.start_soon(several), TaskHandle[list[int]])
    assert_type(group.start_soon(several, 1, 2, 3), TaskHandle[list[int]])
    assert_type(group.start_soon(parcel.deliver, "home"), TaskHandle[int])
    assert_type(group.start_soon(partial(by_name, text="a")), TaskHandle[str])
    assert_type(group.start_soon(sleep, 1), TaskHandle[None])
    assert_type(group.start_soon(Event().wait), TaskHandle[None])

    group.start_soon(nothing, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(double)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(double, "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(double, 1, 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(optional, 1, 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(several, 1, "2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(by_name)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(parcel.deliver)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(not_async, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.start_soon(double(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_handle_knows_what_its_task_returns(group: TaskGroup) -> None:
    handle = group.start_soon(double, 1)
    assert_type(await handle, str)
    assert_type(handle.return_value, str)
    assert_type(handle.exception, BaseException | None)
    _ = assert_type(handle.coro, Coroutine[Any, Any, str])
    assert_type(handle.name, str)
    assert_type(handle.status, TaskHandle.Status)
    assert_type(await handle.wait(), None)
    status: TaskHandle.Status = TaskHandle.Status.PENDING
    assert_type(handle.status is status, bool)

    wider: TaskHandle[object] = handle
    narrower: TaskHandle[int] = handle  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del wider, narrower


async def create_task_takes_coroutines(group: TaskGroup) -> None:
    assert_type(group.create_task(double(1)), TaskHandle[str])
    assert_type(group.create_task(nothing(), name="n", context=copy_context()), TaskHandle[None])
    group.create_task(double)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    group.create_task(group.start_soon(nothing))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def service(port: int, *, task_status: TaskStatus[str] = TASK_STATUS_IGNORED) -> float:
    task_status.started("ready")
    task_status.started(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    task_status.started()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return port / 2


async def bare(task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
    task_status.started()
    task_status.started(None)
    task_status.started(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def by_default_a_status_carries_nothing(task_status: TaskStatus) -> None:
    assert_type(task_status, TaskStatus[None])
    task_status.started()


async def start_returns_the_start_value_or_the_handle(group: TaskGroup) -> None:
    assert_type(await group.start(service, 1), Any)
    assert_type(await group.start(service, 1, return_handle=False), Any)
    handle = await group.start(service, 1, name="s", return_handle=True)
    assert_type(handle, TaskHandle[float])
    assert_type(handle.start_value, Any)
    assert_type(await group.start(bare, return_handle=True), TaskHandle[None])
    await group.start(not_async, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_group_is_used_in_async_with() -> int:
    async with create_task_group() as group:
        assert_type(group, TaskGroup)
        assert_type(group.cancel_scope, CancelScope)
        group.cancel()
        group.cancel("late")
        group.cancel_scope.cancel("late")
        with group:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
            pass
        return 1
    return 0  # reachable: a group swallows the cancellation of its own scope


async def a_group_can_be_handed_around(
    group: TaskGroup, func: Callable[[int], Coroutine[Any, Any, str]]
) -> None:
    assert_type(group.start_soon(func, 1), TaskHandle[str])
    for handle in [group.start_soon(double, number) for number in range(3)]:
        assert_type(await handle, str)

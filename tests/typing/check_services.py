"""What type checkers know of `creche.services`.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

import signal
from contextlib import AbstractAsyncContextManager
from typing import assert_type

from creche import CancelScope, create_task_group, root_cause
from creche.abc import TaskGroup, TaskStatus
from creche.services import (
    ResourceGroup,
    ServiceHandle,
    Supervisor,
    create_resource_group,
    create_supervisor,
    every,
    exponential,
    stop_on_signals,
    stop_requested,
    until_stop,
    wait_for_stop,
)


async def service(number: int, *, task_status: TaskStatus[str]) -> None:
    task_status.started(str(number))


async def resources_give_what_their_managers_give(
    manager: AbstractAsyncContextManager[int],
) -> None:
    async with create_resource_group(close_timeout=3) as resources:
        assert_type(resources, ResourceGroup)
        assert_type(await resources.enter(manager), int)
        assert_type(await resources.leave(1), None)
    assert_type(await ResourceGroup.open(), ResourceGroup)
    create_resource_group(close_timeout="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def supervisors_start_services() -> None:
    async with create_supervisor("rest_for_one", on_error=report) as sv:
        assert_type(sv, Supervisor)
        handle = await sv.start(service, 1, restart="on_failure", backoff=exponential(1))
        assert_type(handle, ServiceHandle)
        assert_type(handle.restarts, int)
        assert_type(handle.last_error, BaseException | None)
        assert_type(await handle.stop(), None)
        assert_type(await handle.restart(), None)
        await sv.start(service, 1, backoff=[1, 2.5])
        await sv.start(service, 1, restart="sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_supervisor("all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def report(handle: ServiceHandle, error: BaseException) -> None:
    assert_type(handle.name, str)


async def stops() -> None:
    with until_stop() as scope:
        assert_type(scope.cancelled_caught, bool)
    assert isinstance(scope, CancelScope)
    assert_type(stop_requested(), bool)
    assert_type(await wait_for_stop(), None)
    async for tick in every(5):
        assert_type(tick, int)
    async with create_task_group(collapse=True, stop_order="reverse") as group:
        assert_type(group, TaskGroup)
        assert_type(group.stop("reason", grace=5), None)
        await group.start(stop_on_signals, signal.SIGTERM)
    create_task_group(stop_order="forward")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(root_cause(ValueError()), BaseException)

"""Edge cases of ``TaskGroup.start()`` on every backend: values, failures, `started()` twice.

What a cancel of the caller or of the group does is in ``test_start_cancellation.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from _harness import Backend, leaves
from creche import (
    TASK_STATUS_IGNORED,
    CancelScope,
    Event,
    TaskHandle,
    create_task_group,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint

NEVER_STARTED = "Child exited without calling task_status.started()"
TWICE = "called 'started' twice on the same task status"


async def ready(*, task_status: TaskStatus[str]) -> None:
    task_status.started("ready")
    await sleep_forever()


# Values and handles


async def test_start_returns_the_value_given_to_started() -> None:
    async with create_task_group() as tg:
        assert await tg.start(ready) == "ready"
        tg.cancel_scope.cancel()


async def test_start_passes_arguments_and_waits_for_started_not_for_the_end() -> None:
    log = []
    go_on = Event()

    async def child(number: int, *, task_status: TaskStatus[int]) -> None:
        await checkpoint()
        log.append("starting")
        task_status.started(number + 1)
        await go_on.wait()
        log.append("running on")

    async with create_task_group() as tg:
        assert await tg.start(child, 4) == 5
        assert log == ["starting"]
        go_on.set()
    assert log == ["starting", "running on"]


async def test_start_can_return_the_handle_with_the_value() -> None:
    async with create_task_group() as tg:
        handle = await tg.start(ready, return_handle=True, name="service")
        assert isinstance(handle, TaskHandle)
        assert handle.start_value == "ready"
        assert handle.name == "service"
        assert handle.status is TaskHandle.Status.PENDING
        handle.cancel()
    assert handle.status is TaskHandle.Status.CANCELLED


async def test_a_child_spawned_without_start_may_call_started_on_the_ignored_status() -> None:
    log = []

    async def child(*, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
        task_status.started(1)
        task_status.started(2)
        log.append("done")

    async with create_task_group() as tg:
        tg.start_soon(child)
    assert log == ["done"]


# Children that never start


async def test_start_raises_if_child_returns_before_started() -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        await checkpoint()

    async with create_task_group() as tg:
        with pytest.raises(RuntimeError) as caught:
            await tg.start(child)
        await checkpoint()
    assert NEVER_STARTED in str(caught.value)
    assert not tg.cancel_scope.cancel_called


async def test_start_raises_if_child_swallows_a_cancel_of_its_own_before_started() -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        with CancelScope() as scope:
            scope.cancel()
            await sleep_forever()

    async with create_task_group() as tg:
        with pytest.raises(RuntimeError) as caught:
            await tg.start(child)
        await checkpoint()
    assert NEVER_STARTED in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("no"),
        lambda: ExceptionGroup("mine", [ValueError("no")]),
        lambda: OSError(98, "Address already in use"),
    ],
    ids=["error", "group", "oserror"],
)
@pytest.mark.parametrize("wait_first", [False, True], ids=["at-once", "later"])
async def test_an_error_before_started_reaches_the_caller_bare(
    make: Callable[[], Exception], wait_first: bool
) -> None:
    error, log = make(), list[str]()

    async def child(*, task_status: TaskStatus[None]) -> None:
        if wait_first:
            await checkpoint()
        raise error

    async def sibling() -> None:
        await event.wait()
        log.append("sibling done")

    event = Event()
    async with create_task_group() as tg:
        tg.start_soon(sibling)
        with pytest.raises(type(error)) as caught:
            await tg.start(child)
        assert type(caught.value) is type(error)
        assert str(caught.value) == str(error)
        assert leaves(caught.value) == leaves(error)
        assert not tg.cancel_scope.cancel_called
        await wait_all_tasks_blocked()
        event.set()
    assert log == ["sibling done"]


def test_an_interrupt_before_started_reaches_the_caller_bare(backend: Backend) -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        async with create_task_group() as tg:
            with pytest.raises(KeyboardInterrupt):
                await tg.start(child)
            await checkpoint()

    try:
        backend.run(main)
    except KeyboardInterrupt as exc:
        pytest.fail(f"{exc!r} tore the loop down")


async def test_an_error_after_started_is_the_groups_matter() -> None:
    async def child(*, task_status: TaskStatus[str]) -> None:
        task_status.started("ready")
        raise ValueError("no")

    log = []
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            log.append(await tg.start(child))
            await sleep_forever()
    assert log == ["ready"]
    assert [repr(exc) for exc in caught.value.exceptions] == ["ValueError('no')"]


# started() twice


async def test_calling_started_twice_is_an_error() -> None:
    async def child(*, task_status: TaskStatus[int]) -> None:
        task_status.started(1)
        with pytest.raises(RuntimeError) as caught:
            task_status.started(2)
        assert TWICE in str(caught.value)

    async with create_task_group() as tg:
        assert await tg.start(child) == 1


async def test_calling_started_twice_is_an_error_also_once_start_has_returned() -> None:
    resume = Event()

    async def child(*, task_status: TaskStatus[int]) -> None:
        task_status.started(1)
        await resume.wait()
        with pytest.raises(RuntimeError) as caught:
            task_status.started(2)
        assert TWICE in str(caught.value)

    async with create_task_group() as tg:
        assert await tg.start(child) == 1
        resume.set()

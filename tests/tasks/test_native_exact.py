"""Native ``Task.cancel()`` requests are exact: none is lost, none is taken for a scope's own.

A request is first counted (`cancelling()`) and thrown later, at the next await. What is here happens
in between, or where several ask at once. The right values are those of `asyncio.TaskGroup` and
`asyncio.timeout` of CPython 3.13 in the same place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from creche import (
    CancelScope,
    Event,
    Lock,
    create_memory_object_stream,
    create_task_group,
    fail_after,
    gather,
    move_on_after,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskStatus
from creche.lowlevel import cancel_shielded_checkpoint, checkpoint

pytestmark = pytest.mark.backends("asyncio", "asyncio+eager", "uvloop")

Shape = Callable[[], Awaitable[object]]


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def outcome(func: Callable[[], Coroutine[Any, Any, object]], *, child: bool) -> str:
    """Run `func` in a task of its own, and say how that ended, with what `cancelling()` was."""
    said: list[str] = []

    async def noted() -> None:
        try:
            await func()
        except asyncio.CancelledError:
            said.append(f"cancelled, cancelling() == {this_task().cancelling()}")
            raise
        except BaseException as exc:
            said.append(f"{exc!r}, cancelling() == {this_task().cancelling()}")
        else:
            said.append(f"went on, cancelling() == {this_task().cancelling()}")

    with fail_after(5):
        if child:
            async with create_task_group() as tg:
                tg.start_soon(noted)
        else:
            await asyncio.gather(asyncio.create_task(noted()), return_exceptions=True)
    (what,) = said
    return what


in_both_kinds_of_task = pytest.mark.parametrize("child", [False, True], ids=["foreign", "child"])


# Counted, and not thrown yet


NAP = 0.1
"""Seconds that a program waits which has lost its cancel: it goes on, and says so."""


async def nap() -> None:
    await sleep(NAP)


async def group_whose_body_waits() -> None:
    async with create_task_group():
        await nap()


async def group_with_a_child_that_waits() -> None:
    async with create_task_group() as tg:
        tg.start_soon(nap)


async def nested_groups() -> None:
    async with create_task_group() as outer:
        outer.start_soon(nap)
        async with create_task_group() as inner:
            inner.start_soon(nap)


async def group_in_a_scope() -> None:
    with CancelScope():
        async with create_task_group() as tg:
            tg.start_soon(nap)


async def shielded_group() -> None:
    async with create_task_group() as tg:
        tg.cancel_scope.shield = True
        tg.start_soon(nap)


async def scope() -> None:
    with CancelScope():
        await nap()


async def scope_cancelled_at_once() -> None:
    with CancelScope() as inner:
        inner.cancel()
        await nap()


async def group_cancelled_at_once() -> None:
    async with create_task_group() as tg:
        tg.cancel_scope.cancel()
        await nap()


async def group_with_a_failing_scope_inside() -> None:
    async with create_task_group():
        with move_on_after(0):
            await nap()


async def timeout_that_is_over() -> None:
    with fail_after(0):
        await nap()


async def move_on_that_is_over() -> None:
    with move_on_after(0):
        await nap()


async def start_of_a_child() -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        await nap()

    async with create_task_group() as tg:
        await tg.start(child)


async def gathering() -> None:
    await gather(nap(), nap())


async def native_wait_in_a_group() -> None:
    async with create_task_group():
        await asyncio.sleep(NAP)


async def native_group_in_a_group() -> None:
    async with create_task_group():
        async with asyncio.TaskGroup() as tg:
            tg.create_task(asyncio.sleep(NAP))


async def group_in_a_native_group() -> None:
    async with asyncio.TaskGroup():
        async with create_task_group() as tg:
            tg.start_soon(nap)


SHAPES: list[Shape] = [
    group_whose_body_waits,
    group_with_a_child_that_waits,
    nested_groups,
    group_in_a_scope,
    shielded_group,
    scope,
    scope_cancelled_at_once,
    group_cancelled_at_once,
    group_with_a_failing_scope_inside,
    timeout_that_is_over,
    move_on_that_is_over,
    start_of_a_child,
    gathering,
    native_wait_in_a_group,
    native_group_in_a_group,
    group_in_a_native_group,
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)


@in_both_kinds_of_task
@every_shape
async def test_a_request_that_is_counted_and_not_thrown_yet_survives(
    shape: Shape, child: bool
) -> None:
    async def program() -> None:
        this_task().cancel()
        await shape()
        await checkpoint()

    assert await outcome(program, child=child) == "cancelled, cancelling() == 1"


@in_both_kinds_of_task
@every_shape
async def test_a_request_that_was_put_off_for_a_grant_survives(shape: Shape, child: bool) -> None:
    event, ready = Event(), Event()
    tasks: list[asyncio.Task[Any]] = []

    async def program() -> None:
        tasks.append(this_task())
        ready.set()
        await event.wait()
        await shape()
        await checkpoint()

    async def grant_and_cancel() -> None:
        await ready.wait()
        await wait_all_tasks_blocked()
        event.set()
        tasks[0].cancel()

    async with create_task_group() as tg:
        tg.start_soon(grant_and_cancel)
        assert await outcome(program, child=child) == "cancelled, cancelling() == 1"


@in_both_kinds_of_task
@every_shape
async def test_a_request_that_met_a_shielded_wait_survives(shape: Shape, child: bool) -> None:
    async def program() -> None:
        task = this_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        await cancel_shielded_checkpoint()
        await shape()
        await checkpoint()

    assert await outcome(program, child=child) == "cancelled, cancelling() == 1"


@in_both_kinds_of_task
@every_shape
async def test_two_requests_that_are_counted_and_not_thrown_yet_survive(
    shape: Shape, child: bool
) -> None:
    async def program() -> None:
        this_task().cancel()
        this_task().cancel()
        await shape()
        await checkpoint()

    assert await outcome(program, child=child) == "cancelled, cancelling() == 2"


# Several owners


@in_both_kinds_of_task
@pytest.mark.parametrize("depth", [2, 3])
async def test_of_nested_timeouts_that_end_with_a_grant_the_outermost_is_not_lost(
    child: bool, depth: int
) -> None:
    ended: list[int] = []

    async def program() -> None:
        loop = asyncio.get_running_loop()
        event = Event()
        at = loop.time() + 0.01
        loop.call_at(at, event.set)

        async def nested(level: int) -> None:
            try:
                async with asyncio.timeout_at(at):
                    if level == 1:
                        await event.wait()
                    else:
                        await nested(level - 1)
                    if level == depth:
                        await nap()
            except TimeoutError:
                ended.append(level)

        await nested(depth)

    assert await outcome(program, child=child) == "went on, cancelling() == 0"
    assert ended == [depth]


@in_both_kinds_of_task
async def test_a_timeout_that_takes_its_request_back_leaves_that_of_another_owner(
    child: bool,
) -> None:
    async def program() -> None:
        event = Event()
        task = this_task()

        def both() -> None:
            event.set()
            task.cancel("first")
            task.cancel("second")

        asyncio.get_running_loop().call_soon(both)
        await event.wait()
        task.uncancel()
        await nap()

    assert await outcome(program, child=child) == "cancelled, cancelling() == 1"


@in_both_kinds_of_task
async def test_a_request_that_all_owners_take_back_is_dropped(child: bool) -> None:
    async def program() -> None:
        event = Event()
        task = this_task()

        def both() -> None:
            event.set()
            task.cancel()
            task.cancel()

        asyncio.get_running_loop().call_soon(both)
        await event.wait()
        task.uncancel()
        task.uncancel()
        await checkpoint()
        await sleep(0)

    assert await outcome(program, child=child) == "went on, cancelling() == 0"


# A cancel that meets a failing child


class Boom(Exception):
    pass


async def fails_in_its_cleanup() -> None:
    try:
        await sleep_forever()
    finally:
        raise Boom


def caught_and_on(
    block: Callable[[], Coroutine[Any, Any, object]], after: Callable[[], Awaitable[object]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    async def program() -> None:
        task = this_task()
        asyncio.get_running_loop().call_later(0.005, task.cancel)
        try:
            await block()
        except* Boom:
            pass
        await after()

    return program


async def child_fails_body_waits() -> None:
    async with create_task_group() as tg:
        tg.start_soon(fails_in_its_cleanup)
        await sleep_forever()


async def child_fails_at_the_exit() -> None:
    async with create_task_group() as tg:
        tg.start_soon(fails_in_its_cleanup)


async def body_fails() -> None:
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        await fails_in_its_cleanup()


async def nested_child_fails() -> None:
    async with create_task_group() as outer:
        outer.start_soon(sleep_forever)
        async with create_task_group() as inner:
            inner.start_soon(fails_in_its_cleanup)


async def gathered_fails() -> None:
    await gather(fails_in_its_cleanup(), sleep_forever())


async def started_child_fails() -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        await fails_in_its_cleanup()

    async with create_task_group() as tg:
        await tg.start(child)


FAILING: list[Callable[[], Coroutine[Any, Any, object]]] = [
    child_fails_body_waits,
    child_fails_at_the_exit,
    body_fails,
    nested_child_fails,
    gathered_fails,
    started_child_fails,
]


@in_both_kinds_of_task
@pytest.mark.parametrize("after", [nap, checkpoint, lambda: asyncio.sleep(NAP)],
                         ids=["creche", "checkpoint", "asyncio"])  # fmt: skip
@pytest.mark.parametrize("block", FAILING, ids=lambda block: block.__name__)
async def test_a_cancel_that_meets_a_failing_child_is_raised_at_the_next_await(
    block: Callable[[], Coroutine[Any, Any, object]],
    after: Callable[[], Awaitable[object]],
    child: bool,
) -> None:
    program = caught_and_on(block, after)
    assert await outcome(program, child=child) == "cancelled, cancelling() == 1"


# What cancelling() says


@in_both_kinds_of_task
@pytest.mark.parametrize("wait", [nap, checkpoint, lambda: asyncio.sleep(NAP)],
                         ids=["creche", "checkpoint", "asyncio"])  # fmt: skip
async def test_a_wait_in_a_scope_that_is_cancelled_already_is_counted(
    wait: Callable[[], Awaitable[object]], child: bool
) -> None:
    seen: list[int] = []

    async def program() -> None:
        before = this_task().cancelling()
        with CancelScope() as inner:
            inner.cancel()
            try:
                await wait()
            except asyncio.CancelledError:
                seen.append(this_task().cancelling() - before)
                raise
        assert inner.cancelled_caught
        assert this_task().cancelling() == before

    assert await outcome(program, child=child) == "went on, cancelling() == 0"
    assert len(seen) == 1 and seen[0] >= 1


@in_both_kinds_of_task
@pytest.mark.parametrize("order", [("scope", "native"), ("native", "scope")], ids="-then-".join)
@pytest.mark.parametrize("grouped", [False, True])
async def test_native_and_scope_cancels_in_one_cycle_come_out_as_apart(
    order: tuple[str, str], grouped: bool, child: bool
) -> None:
    async def program() -> None:
        task = this_task()

        def both(inner: CancelScope) -> None:
            for which in order:
                if which == "scope":
                    inner.cancel()
                else:
                    task.cancel("native")

        loop = asyncio.get_running_loop()
        if grouped:
            async with create_task_group() as tg:
                loop.call_soon(both, tg.cancel_scope)
                tg.start_soon(sleep_forever)
                await sleep_forever()
        else:
            with CancelScope() as inner:
                loop.call_soon(both, inner)
                await sleep_forever()
        await checkpoint()

    assert await outcome(program, child=child) == "cancelled, cancelling() == 1"


@in_both_kinds_of_task
async def test_the_message_of_the_last_of_several_native_cancels_arrives(child: bool) -> None:
    heard: list[tuple[Any, ...]] = []

    async def program() -> None:
        task, event = this_task(), Event()

        def grant_and_cancel() -> None:
            event.set()
            task.cancel("first")
            task.cancel("last")

        asyncio.get_running_loop().call_soon(grant_and_cancel)
        await event.wait()
        try:
            await checkpoint()
        except asyncio.CancelledError as exc:
            heard.append(exc.args)
            raise

    assert await outcome(program, child=child) == "cancelled, cancelling() == 2"
    assert heard == [("last",)]


# Counts that move


@in_both_kinds_of_task
async def test_a_count_that_falls_inside_a_group_does_not_hide_the_next_cancel(
    child: bool,
) -> None:
    async def program() -> None:
        task, loop = this_task(), asyncio.get_running_loop()
        loop.call_soon(task.cancel)
        try:
            await sleep_forever()
        except asyncio.CancelledError:
            pass
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever)
            task.uncancel()
            loop.call_soon(task.cancel)
            await nap()

    assert await outcome(program, child=child) == "cancelled, cancelling() == 1"


async def test_a_timeout_inside_a_shield_in_the_clean_up_of_a_cancelled_child_ends() -> None:
    log: list[str] = []

    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                try:
                    async with asyncio.timeout(0.02):
                        async with create_task_group() as inner:
                            inner.start_soon(sleep, 0.5)
                except TimeoutError:
                    log.append("timed out")

    async with create_task_group() as tg:
        tg.start_soon(child)
        await wait_all_tasks_blocked()
        tg.cancel_scope.cancel()
    assert log == ["timed out"]


# Around start()


@in_both_kinds_of_task
async def test_a_timeout_around_start_whose_shielded_child_is_ready_late_ends(child: bool) -> None:
    async def late(*, task_status: TaskStatus[None]) -> None:
        with CancelScope(shield=True):
            await sleep(0.03)
        task_status.started()

    async def program() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                async with create_task_group() as tg:
                    await tg.start(late)

    assert await outcome(program, child=child) == "went on, cancelling() == 0"


async def test_start_says_that_its_child_was_cancelled_natively() -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def child(*, task_status: TaskStatus[None]) -> None:
        tasks.append(this_task())
        await sleep_forever()

    async with create_task_group() as tg:
        asyncio.get_running_loop().call_later(0.005, lambda: tasks[0].cancel())
        with pytest.raises(asyncio.CancelledError):
            await tg.start(child)


# Refusals


@in_both_kinds_of_task
async def test_twelve_refusals_and_then_a_native_wait_are_not_the_end(child: bool) -> None:
    async def program() -> None:
        with CancelScope() as inner:
            inner.cancel()
            for _ in range(12):
                try:
                    await checkpoint()
                except asyncio.CancelledError:
                    pass
            await asyncio.get_running_loop().create_future()
        assert inner.cancelled_caught

    assert await outcome(program, child=child) == "went on, cancelling() == 0"


@in_both_kinds_of_task
async def test_twelve_refused_native_waits_a_short_and_a_long_one_are_not_the_end(
    child: bool,
) -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        with CancelScope() as inner:
            inner.cancel()
            for _ in range(12):
                try:
                    await loop.create_future()
                except asyncio.CancelledError:
                    pass
            short = loop.create_future()
            loop.call_soon(short.set_result, None)
            await short
            await loop.create_future()
        assert inner.cancelled_caught

    assert await outcome(program, child=child) == "went on, cancelling() == 0"


# The primitives


@in_both_kinds_of_task
async def test_a_lock_that_is_granted_with_a_cancel_is_held_and_the_cancel_comes(
    child: bool,
) -> None:
    lock = Lock()
    log: list[str] = []

    async def program() -> None:
        task = this_task()
        lock.acquire_nowait()
        ready = Event()

        async def other() -> None:
            ready.set()
            async with lock:
                log.append("got it")
                async with create_task_group() as inner:
                    inner.start_soon(nap)

        waiting = asyncio.create_task(other())
        await ready.wait()
        await wait_all_tasks_blocked()
        lock.release()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not lock.locked()
        assert task.cancelling() == 0

    assert await outcome(program, child=child) == "went on, cancelling() == 0"
    assert log == ["got it"]


@in_both_kinds_of_task
async def test_an_item_that_is_received_with_a_cancel_is_kept_and_the_cancel_comes(
    child: bool,
) -> None:
    send, receive = create_memory_object_stream[int]()
    got: list[int] = []

    async def program() -> None:
        async def reader() -> None:
            got.append(await receive.receive())
            async with create_task_group() as inner:
                inner.start_soon(nap)

        waiting = asyncio.create_task(reader())
        await wait_all_tasks_blocked()
        send.send_nowait(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert await outcome(program, child=child) == "went on, cancelling() == 0"
    assert got == [1]
    send.close()
    receive.close()

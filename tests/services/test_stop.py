"""Graceful stop: who is asked, what ends by itself, and what the grace does."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from creche import (
    CancelScope,
    Event,
    NoEventLoopError,
    connect_tcp,
    create_memory_object_stream,
    create_task_group,
    create_tcp_listener,
    current_time,
    fail_after,
    from_thread,
    move_on_after,
    sleep,
    sleep_forever,
    to_thread,
    wait_all_tasks_blocked,
)
from creche.abc import SocketAttribute, SocketStream, TaskGroup, TaskStatus
from creche.lowlevel import checkpoint
from creche.services import every, stop_requested, until_stop, wait_for_stop
from creche.testing import settle, virtual_time

# Who is asked


async def test_a_stop_is_inherited_inwards_and_a_shield_holds_it_off() -> None:
    seen: dict[str, bool] = {}

    async def child(name: str) -> None:
        seen[name] = stop_requested()

    with CancelScope() as outer:
        assert not stop_requested()
        outer.stop()
        assert stop_requested()
        with CancelScope(), CancelScope():
            assert stop_requested()
        with CancelScope(shield=True) as shield:
            assert not stop_requested()
            async with create_task_group() as group:
                group.start_soon(child, "shielded")
            shield.shield = False
            assert stop_requested()
            async with create_task_group() as group:
                group.start_soon(child, "child")
    assert not stop_requested()
    assert seen == {"shielded": False, "child": True}


async def test_a_stop_cancels_nothing() -> None:
    with CancelScope() as scope:
        scope.stop("enough")
        await sleep(0.01)
        assert not scope.cancel_called


async def test_a_shielded_scope_that_is_stopped_itself_is_asked() -> None:
    with CancelScope(shield=True) as scope:
        scope.stop()
        assert stop_requested()


async def test_a_stop_before_a_scope_is_entered_is_remembered() -> None:
    scope = CancelScope()
    scope.stop()
    with scope:
        assert stop_requested()
    scope.stop()  # and after it was left it does nothing


@virtual_time
async def test_a_child_of_start_moves_under_the_stop_of_its_group() -> None:
    async def service(*, task_status: TaskStatus[None]) -> None:
        with until_stop():
            assert not stop_requested()
            task_status.started()
            assert stop_requested()
            await sleep_forever()

    async with create_task_group() as group:
        group.stop()
        with CancelScope(shield=True):
            await group.start(service)


@virtual_time
async def test_until_stop_hears_when_a_shield_falls() -> None:
    async def fall(shield: CancelScope) -> None:
        await sleep(1)
        shield.shield = False

    with CancelScope() as outer:
        async with create_task_group() as group:
            with CancelScope(shield=True) as shield:
                outer.stop()
                group.start_soon(fall, shield)
                with until_stop():
                    await sleep_forever()
    assert current_time() == 1


# Grace


@virtual_time
async def test_a_stopped_scope_is_cancelled_when_the_grace_is_over() -> None:
    with CancelScope() as scope:
        scope.stop(grace=3)
        await sleep_forever()
    assert current_time() == 3
    assert scope.cancelled_caught


@virtual_time
async def test_the_earliest_grace_wins_and_a_second_stop_may_shorten_it() -> None:
    with CancelScope() as scope:
        scope.stop(grace=10)
        scope.stop(grace=20)
        scope.stop()
        await sleep(1)
        scope.stop(grace=2)
        await sleep_forever()
    assert current_time() == 3


@virtual_time
async def test_moving_the_deadline_does_not_take_the_grace_back() -> None:
    with CancelScope() as scope:
        scope.stop(grace=3)
        scope.deadline = math.inf
        await sleep_forever()
    assert current_time() == 3


@virtual_time
async def test_an_earlier_deadline_stays() -> None:
    with pytest.raises(TimeoutError), fail_after(1) as scope:
        scope.stop(grace=3)
        await sleep_forever()


async def test_no_grace_is_a_cancel() -> None:
    with CancelScope() as scope:
        scope.stop(grace=0)
        assert scope.cancel_called
        await sleep_forever()


@pytest.mark.parametrize("grace", [-1, math.nan])
async def test_a_grace_is_a_number_of_seconds(grace: float) -> None:
    with pytest.raises(ValueError, match="grace"):
        CancelScope().stop(grace=grace)
    assert not CancelScope().cancel_called


# until_stop, wait_for_stop


@virtual_time
async def test_until_stop_ends_when_a_stop_is_asked() -> None:
    async with create_task_group() as group:
        group.start_soon(stop_after, group, 2)
        with until_stop() as scope:
            await sleep_forever()
        assert scope.cancelled_caught and current_time() == 2
        with until_stop():
            await sleep_forever()
        await wait_for_stop()
    assert current_time() == 2


async def stop_after(group: TaskGroup, seconds: float) -> None:
    await sleep(seconds)
    group.stop()


@virtual_time
async def test_a_cancellation_is_none_of_until_stops() -> None:
    with move_on_after(1) as outer:
        with until_stop() as scope:
            await sleep_forever()
        raise AssertionError("not reached")
    assert outer.cancelled_caught and not scope.cancelled_caught


async def test_what_was_granted_in_the_same_moment_is_kept() -> None:
    send, receive = create_memory_object_stream[int]()
    got: list[int] = []

    async def receiver() -> None:
        with until_stop():
            got.append(await receive.receive())

    async with create_task_group() as group:
        group.start_soon(receiver)
        await wait_all_tasks_blocked()
        send.send_nowait(1)
        group.stop()
    assert got == [1]
    send.close()
    receive.close()


# Loops that drain


@virtual_time
async def test_a_loop_over_a_receiver_drains_what_is_buffered_and_ends() -> None:
    send, receive = create_memory_object_stream[int](10)
    handled: list[int] = []

    async def consumer() -> None:
        with until_stop() as block:
            async for item in receive:
                await sleep(1)
                handled.append(item)
            handled.append(-1)
            await checkpoint()
        assert block.cancelled_caught

    async with create_task_group() as group:
        group.start_soon(consumer)
        for item in range(5):
            await send.send(item)
        await sleep(1.5)
        group.stop(grace=60)
    assert handled == [0, 1, 2, 3, 4, -1]
    assert current_time() == 5
    send.close()
    receive.close()


@virtual_time
async def test_a_loop_that_waits_ends_at_once() -> None:
    send, receive = create_memory_object_stream[int](10)
    async with create_task_group() as group:
        group.start_soon(stop_after, group, 2)
        with until_stop():
            async for _ in receive:
                raise AssertionError("nothing was sent")
    assert current_time() == 2
    send.close()
    receive.close()


@virtual_time
async def test_items_of_senders_that_wait_are_drained_too() -> None:
    send, receive = create_memory_object_stream[int]()
    got: list[int] = []
    async with create_task_group() as group:
        for item in range(3):
            group.start_soon(send.send, item)
        await settle()
        group.stop()
        with until_stop():
            async for item in receive:
                got.append(item)
                await checkpoint()
    assert sorted(got) == [0, 1, 2]
    send.close()
    receive.close()


@virtual_time
async def test_a_loop_that_is_left_does_not_hold_the_block() -> None:
    send, receive = create_memory_object_stream[int](10)
    send.send_nowait(1)
    async with create_task_group() as group:
        group.start_soon(stop_after, group, 2)
        with until_stop():
            async for _ in receive:
                break
            await sleep_forever()
    assert current_time() == 2
    send.close()
    receive.close()


@virtual_time
async def test_a_cancel_ends_a_loop_that_drains() -> None:
    send, receive = create_memory_object_stream[int](10)
    for item in range(9):
        send.send_nowait(item)
    got: list[int] = []
    async with create_task_group() as group:
        group.stop(grace=2.5)
        with until_stop():
            async for item in receive:
                await sleep(1)
                got.append(item)
    assert got == [0, 1] and current_time() == 2.5
    send.close()
    receive.close()


@virtual_time
async def test_a_loop_ends_with_its_stream() -> None:
    send, receive = create_memory_object_stream[int](10)
    send.send_nowait(1)
    send.close()
    with until_stop() as block:
        assert [item async for item in receive] == [1]
    assert not block.cancel_called
    receive.close()


# every


@virtual_time
async def test_every_ticks_without_drift_and_skips_what_it_missed() -> None:
    seen: list[tuple[int, float]] = []
    async for tick in every(5):
        seen.append((tick, current_time()))
        if len(seen) == 5:
            break
        await sleep(7 if tick == 1 else 0.25)
    assert seen == [(0, 0), (1, 5), (3, 15), (4, 20), (5, 25)]


@virtual_time
async def test_every_ends_when_a_stop_is_asked() -> None:
    ticks: list[int] = []
    async with create_task_group() as group:
        group.start_soon(stop_after, group, 12)
        ticks.extend([tick async for tick in every(5)])
    assert ticks == [0, 1, 2] and current_time() == 12


async def test_every_on_each_loop() -> None:
    ticks = 0
    async with create_task_group() as group:
        async for _ in every(0.01):
            ticks += 1
            if ticks == 3:
                group.stop()
    assert ticks == 3


@pytest.mark.parametrize("period", [0, -1, math.inf, math.nan])
def test_a_period_is_a_number_of_seconds(period: float) -> None:
    with pytest.raises(ValueError, match="period"):
        every(period)


# Listeners


async def test_serve_stops_accepting_and_leaves_its_connections_be() -> None:
    finished: list[bytes] = []
    accepted = Event()

    async def handle(stream: SocketStream) -> None:
        async with stream:
            accepted.set()
            assert stop_requested() is False
            data = await stream.receive()
            assert stop_requested()
            finished.append(data)
            await stream.send(data)

    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with create_task_group() as group:
            group.start_soon(listener.serve, handle)
            async with await connect_tcp("127.0.0.1", port) as client:
                await accepted.wait()
                group.stop()
                await sleep(0.01)
                await client.send(b"request")
                assert await client.receive() == b"request"
    assert finished == [b"request"]


async def test_serve_with_a_group_of_the_users_returns() -> None:
    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        async with create_task_group() as group:
            handle = group.start_soon(partial(listener.serve, task_group=group), _never)
            await sleep(0.01)
            group.stop()
            with fail_after(5):
                await handle.wait()
            assert handle.exception is None


async def _never(stream: Any) -> None:
    raise AssertionError("nothing connects")


# Order


async def _service(
    name: str, lines: list[str], seconds: float, *, task_status: TaskStatus[None]
) -> None:
    task_status.started()
    await wait_for_stop()
    await sleep(seconds)
    lines.append(name)


@virtual_time
async def test_a_group_may_stop_its_services_in_reverse_order_after_the_body() -> None:
    lines: list[str] = []

    async def worker() -> None:
        await wait_for_stop()
        lines.append("worker")

    async with create_task_group(stop_order="reverse") as group:
        for name, seconds in (("a", 0), ("b", 2), ("c", 3)):
            await group.start(_service, name, lines, seconds)
        group.start_soon(worker)
        group.start_soon(stop_after, group, 1)
        await wait_for_stop()
        await sleep(5)
        lines.append("body")
    assert lines == ["worker", "body", "c", "b", "a"]
    assert current_time() == 1 + 5 + 3 + 2


@virtual_time
async def test_each_service_has_what_is_left_of_the_grace() -> None:
    lines: list[str] = []
    async with create_task_group(stop_order="reverse") as group:
        await group.start(_service, "a", lines, 1)
        await group.start(_service, "b", lines, 8)
        await group.start(_service, "c", lines, 4)
        group.stop(grace=10)
    assert lines == ["c"]
    assert current_time() == 10


@virtual_time
async def test_a_stop_from_outside_keeps_the_order() -> None:
    lines: list[str] = []
    async with create_task_group() as outer:
        async with create_task_group(stop_order="reverse") as group:
            for name in "abc":
                await group.start(_service, name, lines, 1)
            outer.stop()
    assert lines == ["c", "b", "a"]


@virtual_time
async def test_a_group_that_stops_in_order_is_an_ordinary_group_otherwise() -> None:
    lines: list[str] = []

    async def fails(*, task_status: TaskStatus[int]) -> None:
        task_status.started(3)
        await sleep(1)
        raise KeyError

    async def refuses(*, task_status: TaskStatus[int]) -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group(stop_order="reverse") as group:
            await group.start(_service, "a", lines, 0)
            with pytest.raises(ValueError):
                await group.start(refuses)
            assert await group.start(fails) == 3
            handle = await group.start(_service, "b", lines, 0, name="b", return_handle=True)
            assert handle.name == "b"
    assert [type(exc) for exc in caught.value.exceptions] == [KeyError]
    assert lines == [] and handle.status.name == "CANCELLED"


@virtual_time
async def test_a_service_that_is_started_when_the_stop_is_under_way_is_stopped_too() -> None:
    lines: list[str] = []

    async def late(group: TaskGroup) -> None:
        await wait_for_stop()
        await sleep(5)
        await group.start(_service, "late", lines, 2)

    async with create_task_group(stop_order="reverse") as group:
        await group.start(_service, "a", lines, 1)
        group.start_soon(late, group)
        group.stop()
    assert lines == ["a", "late"]
    assert current_time() == 5 + 2


def test_there_is_one_other_order() -> None:
    with pytest.raises(ValueError, match="stop_order"):
        create_task_group(stop_order="forward")  # type: ignore[arg-type]  # on purpose


# Threads


async def test_a_worker_thread_asks_for_its_caller() -> None:
    asked: list[bool] = []

    def work(scope: CancelScope) -> None:
        asked.append(stop_requested())
        from_thread.run_sync(scope.stop)
        asked.append(stop_requested())

    with CancelScope() as scope:
        await to_thread.run_sync(work, scope)
    assert asked == [False, True]


def test_a_portal_stops_its_tasks(backend: Any) -> None:
    ended: list[str] = []

    async def work() -> None:
        await wait_for_stop()
        ended.append("well")

    async def main() -> None:
        async with from_thread.BlockingPortal() as portal:

            def outside() -> None:
                future = portal.start_task_soon(work)
                portal.call(partial(portal.stop, grace=60))
                future.result()

            await to_thread.run_sync(outside)

    backend.run(main)
    assert ended == ["well"]


def test_a_block_that_is_entered_after_the_stop_drains_too() -> None:
    """In a process of its own: nobody there has listened for a stop before."""
    program = """
import creche
from creche.services import until_stop

async def main():
    send, receive = creche.create_memory_object_stream(3)
    with send, receive:
        send.send_nowait(1)
        with creche.CancelScope() as scope:
            scope.stop()
            with until_stop():
                async for item in receive:
                    await creche.lowlevel.checkpoint()
                    print("handled", item)

creche.run(main)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "handled 1\n"


async def test_a_stop_from_another_thread_is_refused_and_changes_nothing() -> None:
    async with create_task_group() as group:
        with pytest.raises(NoEventLoopError):
            await to_thread.run_sync(group.cancel_scope.stop)
        await to_thread.run_sync(
            from_thread.run_sync, partial(group.cancel_scope.stop, "in its own")
        )
        assert stop_requested()


@pytest.mark.parametrize("steps", range(5))
async def test_a_connection_that_comes_in_the_moment_of_a_stop_is_not_lost(steps: int) -> None:
    """It is accepted, or still waits to be: whatever the loop sees first."""
    accepted: list[SocketStream] = []

    async def accept() -> None:
        with until_stop():
            accepted.append(await listener.accept())

    async with await create_tcp_listener(local_host="127.0.0.1") as both:
        listener: Any
        (listener,) = both.listeners
        port = listener.extra(SocketAttribute.local_port)
        async with create_task_group() as group:
            group.start_soon(accept)
            await wait_all_tasks_blocked()
            with socket.create_connection(("127.0.0.1", port)) as client:
                for _ in range(steps):
                    await checkpoint()
                group.cancel_scope.stop()
                await wait_all_tasks_blocked()
                if not accepted:
                    with fail_after(5):
                        accepted.append(await listener.accept())
                (stream,) = accepted
                async with stream:
                    client.sendall(b"x")
                    assert await stream.receive() == b"x"

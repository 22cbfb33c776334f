"""Creche's own operations keep the contract of operations, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from creche import (
    CapacityLimiter,
    Event,
    Future,
    Lock,
    Semaphore,
    create_memory_object_stream,
    get_current_task,
)
from creche.flow import Operation, Watched, catching, create_broadcast
from creche.testing.contracts import check_operation

Offered = tuple[Operation[Any], Callable[[], object]]
TOLD_TO_ALL = ("one_fulfilment_ends_one_select",)


@pytest.fixture
def ends() -> Any:
    """What is to be closed in the end."""
    with ExitStack() as stack:
        yield stack


def receiving(ends: ExitStack) -> Offered:
    send, receive = create_memory_object_stream[str](1)
    ends.enter_context(send)
    ends.enter_context(receive)
    return receive.receiving(), lambda: send.send_nowait("item")


def sending(ends: ExitStack) -> Offered:
    send, receive = create_memory_object_stream[str](1)
    ends.enter_context(send)
    ends.enter_context(receive)
    send.send_nowait("before")
    return send.sending("item"), receive.receive_nowait


def broadcast_receiving(ends: ExitStack) -> Offered:
    send = ends.enter_context(create_broadcast[str](3))
    receive = ends.enter_context(send.subscribe())
    return receive.receiving(), lambda: send.send_nowait("item")


def broadcast_sending(ends: ExitStack) -> Offered:
    send = ends.enter_context(create_broadcast[str](1, "wait"))
    receive = ends.enter_context(send.subscribe())
    send.send_nowait("before")
    return send.sending("item"), receive.receive_nowait


def semaphore(ends: ExitStack) -> Offered:
    thing = Semaphore(0)
    return thing.acquiring(), thing.release


def caught_semaphore(ends: ExitStack) -> Offered:
    thing = Semaphore(0)
    return catching(thing.acquiring()), thing.release


def limiter(ends: ExitStack) -> Offered:
    thing = CapacityLimiter(1)
    thing.acquire_on_behalf_of_nowait("another")
    return thing.acquiring(), lambda: thing.release_on_behalf_of("another")


def event(ends: ExitStack) -> Offered:
    thing = Event()
    return thing.waiting(), thing.set


def future(ends: ExitStack) -> Offered:
    thing: Future[int] = Future()

    def fulfil() -> None:
        thing.return_value = 1

    return thing.waiting(), fulfil


def watched(ends: ExitStack) -> Offered:
    thing = Watched(0)
    return thing.waiting_for(bool), lambda: thing.set(1)


TAKING = [receiving, sending, broadcast_receiving, broadcast_sending, semaphore, caught_semaphore]


@pytest.mark.parametrize("make", TAKING)
async def test_what_one_takes_keeps_every_rule(
    make: Callable[..., Offered], ends: ExitStack
) -> None:
    assert len(await check_operation(lambda: make(ends))) == 11


@pytest.mark.parametrize("make", [event, future, watched])
async def test_what_all_hear_of_keeps_the_others(
    make: Callable[..., Offered], ends: ExitStack
) -> None:
    assert len(await check_operation(lambda: make(ends), without=TOLD_TO_ALL)) == 10


async def test_a_limiter_keeps_the_rules_of_tasks_that_are_not_the_same(ends: ExitStack) -> None:
    # It lends to the task that asks, once: two waiters of one task are an error there.
    without = ("a_waiter_that_is_done_gets_nothing", "asking_changes_nothing")
    assert len(await check_operation(lambda: limiter(ends), without=without)) == 9


async def test_a_lock_that_is_free_is_ready(ends: ExitStack) -> None:
    lock = Lock()
    operation = lock.acquiring()
    assert operation.is_ready()
    operation.commit()
    owner = lock.statistics().owner
    assert owner == get_current_task()
    lock.release()

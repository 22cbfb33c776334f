"""Selects under many schedules: one operation is done and no other, and nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import (
    BrokenResourceError,
    CancelScope,
    Condition,
    EndOfStream,
    Event,
    Lock,
    create_memory_object_stream,
    create_task_group,
    move_on_after,
)
from creche.flow import catching, race, select
from creche.lowlevel import checkpoint
from creche.testing import explore

Select = Callable[..., Awaitable[tuple[Any, Any]]]
sizes = pytest.mark.parametrize("size", [0, 1])


class Hub:
    """Two streams; tasks that send to either, and tasks that receive from either."""

    def __init__(self, choose: Select, size: int) -> None:
        self.choose = choose
        self.pairs = [create_memory_object_stream[Any](size) for _ in range(2)]
        self.sent: list[tuple[int, Any]] = []
        self.received: list[tuple[int, Any]] = []
        self.stop = Event()

    async def produce(self, items: list[Any], scope: CancelScope) -> None:
        with scope:
            for item in items:
                offers = [send.sending((place, item)) for place, (send, _) in enumerate(self.pairs)]
                chosen, _ = await self.choose(*offers)
                self.sent.append((offers.index(chosen), item))

    async def consume(self, scope: CancelScope) -> None:
        offers = [receive.receiving() for _, receive in self.pairs]
        stop = self.stop.waiting()
        with scope:
            while True:
                chosen, value = await self.choose(*offers, stop)
                if chosen is stop:
                    return
                assert offers.index(chosen) == value[0], "an item came out of the wrong stream"
                self.received.append(value)

    async def drain(self) -> None:
        """Take what is left when all producers have gone."""
        for place, (_, receive) in enumerate(self.pairs):
            while receive.statistics().current_buffer_used:
                value = receive.receive_nowait()
                assert value[0] == place
                self.received.append(value)

    def close(self) -> None:
        for send, receive in self.pairs:
            send.close()
            receive.close()

    async def run(self) -> None:
        scopes = [CancelScope() for _ in range(4)]
        try:
            async with create_task_group() as consumers:
                consumers.start_soon(self.consume, scopes[0])
                consumers.start_soon(self.consume, scopes[1])
                async with create_task_group() as producers:
                    producers.start_soon(self.produce, ["a", "b"], scopes[2])
                    producers.start_soon(self.produce, ["c", "d"], scopes[3])
                    producers.start_soon(cancel_one_by_one, scopes[0], scopes[2])
                self.stop.set()
            await self.drain()
            assert len(set(self.received)) == len(self.received), "an item came twice"
            assert sorted(self.received) == sorted(self.sent), "an item was lost, or came unsent"
            for send, _ in self.pairs:
                assert send.statistics()[4:] == (0, 0), "one waits still"
        finally:
            self.close()


@sizes
@explore()
async def test_no_item_is_lost_or_doubled(size: int) -> None:
    await Hub(select, size).run()


@pytest.mark.soak
@pytest.mark.time_limit(3600)
@sizes
@explore(runs=25_000)
async def test_no_item_is_lost_or_doubled_in_100_000_runs(size: int) -> None:
    await Hub(select, size).run()


async def racing(*operations: Any) -> tuple[Any, Any]:
    """What one would write by hand: the first of several calls. Two may have happened."""

    async def call(operation: Any) -> tuple[Any, Any]:
        return operation, (await select(operation))[1]

    winner: tuple[Any, Any] = await race(*(call(operation) for operation in operations))
    return winner


async def late(*operations: Any) -> tuple[Any, Any]:
    """A select that can be cancelled when it has done something."""
    chosen = await select(*operations)
    await checkpoint()
    return chosen


async def first_only(*operations: Any) -> tuple[Any, Any]:
    """A select that asks again and again instead of waiting, and may starve or spin."""
    while True:
        for operation in operations:
            if operation.is_ready():
                await checkpoint()  # and it may not be ready any more
                return operation, operation.commit()
        await checkpoint()


@pytest.mark.parametrize("broken", [racing, late])
def test_a_select_that_does_two_things_or_loses_one_is_found_out(broken: Select) -> None:
    assert_found(lambda: Hub(broken, 1).run())


def test_a_select_that_acts_on_old_answers_is_found_out() -> None:
    async def program() -> None:
        try:
            await Hub(first_only, 1).run()
        except* Exception as exc:
            raise AssertionError("acted on an old answer") from exc

    assert_found(program)


# Locks


async def locked(choose: Select) -> None:
    """Tasks that take one of two locks, whichever is free; some are cancelled."""
    locks = [Lock(), Lock()]
    inside = [0, 0]
    scopes = [CancelScope() for _ in range(4)]

    async def visit(scope: CancelScope) -> None:
        offers = [lock.acquiring() for lock in locks]
        with scope:
            chosen, _ = await choose(*offers)
            place = offers.index(chosen)
            try:
                inside[place] += 1
                assert inside[place] == 1, "two hold one lock"
                await checkpoint()
            finally:
                inside[place] -= 1
                locks[place].release()

    async with create_task_group() as group:
        for scope in scopes:
            group.start_soon(visit, scope)
        group.start_soon(cancel_one_by_one, scopes[1], scopes[2])
    assert not any(lock.locked() for lock in locks), "a lock is held by nobody"


@explore()
async def test_a_select_takes_one_lock_and_no_other() -> None:
    await locked(select)


@pytest.mark.parametrize("broken", [racing, late])
def test_a_select_that_leaves_a_lock_behind_is_found_out(broken: Select) -> None:
    async def program() -> None:
        try:
            await locked(broken)
        except* RuntimeError as exc:  # released by a task that does not hold it
            raise AssertionError("the lock is another's") from exc
        except* BrokenResourceError as exc:  # its holder has ended with it
            raise AssertionError("the lock was left behind") from exc

    assert_found(program)


# Conditions


@explore()
async def test_a_notification_ends_one_wait_and_the_lock_is_held_again() -> None:
    condition, stop = Condition(), Event()
    scope = CancelScope()
    notified = 0

    async def wait(scope: CancelScope) -> None:
        nonlocal notified
        with scope:
            async with condition:
                news = condition.waiting()
                try:
                    chosen, _ = await select(news, stop.waiting())
                    notified += chosen is news
                finally:
                    condition.notify(0)  # raises unless the lock is held

    async def notify() -> None:
        await checkpoint()
        async with condition:
            promised.append(min(1, condition.statistics().tasks_waiting))
            condition.notify()

    promised: list[int] = []
    async with create_task_group() as group:
        for each in (CancelScope(), CancelScope(), scope):
            group.start_soon(wait, each)
        async with create_task_group() as others:
            others.start_soon(notify)
            others.start_soon(notify)
            others.start_soon(cancel_one_by_one, scope)
        stop.set()
    assert notified == sum(promised), "news was lost, or came twice"
    assert not condition.locked()
    assert condition.statistics().tasks_waiting == 0


# Deadlines


@explore()
async def test_a_deadline_and_a_grant_exclude_each_other() -> None:
    send, receive = create_memory_object_stream[int](0)
    from creche import current_time, sleep
    from creche.flow import deadline_at

    due = current_time() + 1
    got: list[Any] = []

    async def wait() -> None:
        item, time_is_up = receive.receiving(), deadline_at(due)
        chosen, value = await select(item, time_is_up)
        got.append(value if chosen is item else "late")

    async def produce() -> None:
        await sleep(1)
        with move_on_after(1):
            await send.send(7)
            got.append("sent")

    with send, receive:
        async with create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(produce)
    assert sorted(map(str, got)) in (["7", "sent"], ["late"])


# Several streams that end


@explore(runs=100)
async def test_streams_that_end_are_left_out_one_after_the_other() -> None:
    received: list[str] = []

    async def produce(send: Any, items: str) -> None:
        with send:
            for item in items:
                await send.send(item)

    async with create_task_group() as group:
        streams = []
        for items in ("abc", "d", ""):
            send, receive = create_memory_object_stream[str]()
            group.start_soon(produce, send, items)
            streams.append(receive)
        open_ones = {catching(receive.receiving()): receive for receive in streams}
        while open_ones:
            chosen, outcome = await select(*open_ones)
            if outcome.error is None:
                received.append(outcome.value)
            else:
                assert isinstance(outcome.error, EndOfStream)
                open_ones.pop(chosen).close()
    assert sorted(received) == ["a", "b", "c", "d"]
    assert [item for item in received if item in "abc"] == ["a", "b", "c"]

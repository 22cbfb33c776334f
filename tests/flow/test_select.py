"""`select`: exactly one operation is done, none if it is cancelled, each in turn if several are ready."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from _harness import cancel_at_each_checkpoint
from creche import (
    BrokenResourceError,
    CancelScope,
    CapacityLimiter,
    ClosedResourceError,
    Condition,
    EndOfStream,
    Event,
    Future,
    FutureCancelled,
    FutureFailed,
    Lock,
    Semaphore,
    WouldBlock,
    create_memory_object_stream,
    create_task_group,
    current_time,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche.flow import (
    Lagged,
    Operation,
    Outcome,
    Waiter,
    Watched,
    catching,
    create_broadcast,
    deadline_after,
    deadline_at,
    select,
)
from creche.lowlevel import checkpoint
from creche.testing import assert_checkpoints, virtual_time

NEVER = Event()


class Selecting:
    """A select in a task of its own: what it came to, and the way to cancel it."""

    def __init__(self, *operations: Operation[Any]) -> None:
        self.operations = operations
        self.scope = CancelScope()
        self.done: list[tuple[Operation[Any], Any]] = []
        self.error: Exception | None = None

    async def run(self) -> None:
        with self.scope:
            try:
                self.done.append(await select(*self.operations))
            except Exception as exc:
                self.error = exc

    @property
    def value(self) -> Any:
        (chosen,) = self.done
        return chosen[1]


# What can be selected: how it becomes ready, and whether it can still be had


class Case:
    """One kind of operation: a thing, an operation of it, and the way to make that possible once."""

    def __init__(
        self,
        operation: Operation[Any],
        fulfil: Callable[[], object],
        value: Any,
        close: Callable[[], object] = bool,
    ) -> None:
        self.operation = operation
        self.fulfil = fulfil
        self.value = value
        self.close = close


def receiving() -> Case:
    send, receive = create_memory_object_stream[str](1)

    def close() -> None:
        send.close()
        receive.close()

    return Case(receive.receiving(), lambda: send.send_nowait("item"), "item", close)


def receiving_unbuffered() -> Case:
    send, receive = create_memory_object_stream[str]()

    def close() -> None:
        send.close()
        receive.close()

    def fulfil() -> None:
        try:
            send.send_nowait("item")
        except WouldBlock:  # Nobody waits: the item comes with a sender then.
            raise NotImplementedError from None

    return Case(receive.receiving(), fulfil, "item", close)


def sending() -> Case:
    send, receive = create_memory_object_stream[str](1)
    send.send_nowait("before")

    def close() -> None:
        send.close()
        receive.close()

    return Case(send.sending("item"), receive.receive_nowait, None, close)


def semaphore() -> Case:
    thing = Semaphore(0)
    return Case(thing.acquiring(), thing.release, None)


def limiter() -> Case:
    thing = CapacityLimiter(1)
    thing.acquire_on_behalf_of_nowait("another")
    return Case(thing.acquiring(), lambda: thing.release_on_behalf_of("another"), None)


def broadcast_receiving() -> Case:
    send = create_broadcast[str](3)
    receive = send.subscribe()

    def close() -> None:
        send.close()
        receive.close()

    return Case(receive.receiving(), lambda: send.send_nowait("item"), "item", close)


def broadcast_sending() -> Case:
    send = create_broadcast[str](1, "wait")
    receive = send.subscribe()
    send.send_nowait("before")

    def close() -> None:
        send.close()
        receive.close()

    return Case(send.sending("item"), receive.receive_nowait, None, close)


def event() -> Case:
    thing = Event()
    return Case(thing.waiting(), thing.set, None)


def future() -> Case:
    thing: Future[str] = Future()

    def fulfil() -> None:
        thing.return_value = "value"

    return Case(thing.waiting(), fulfil, "value")


def watched() -> Case:
    thing = Watched(0)
    return Case(thing.waiting_for(lambda value: value > 0), lambda: thing.set(1), 1)


def changes() -> Case:
    thing = Watched(0)
    return Case(thing.changes(initial=False).receiving(), lambda: thing.set(1), 1)


TAKING = [receiving, sending, semaphore, limiter, broadcast_receiving, broadcast_sending, changes]
TELLING = [event, future, watched]
each = pytest.mark.parametrize("make", [*TAKING, *TELLING])
each_taking = pytest.mark.parametrize("make", TAKING)


@each
async def test_one_that_is_ready_is_done_at_once(make: Callable[[], Case]) -> None:
    case = make()
    case.fulfil()
    with assert_checkpoints():
        assert await select(case.operation) == (case.operation, case.value)
    case.close()


@each
async def test_one_that_is_not_ready_is_waited_for(make: Callable[[], Case]) -> None:
    case = make()
    selecting = Selecting(NEVER.waiting(), case.operation)
    async with create_task_group() as group:
        group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        assert selecting.done == []
        case.fulfil()
    assert selecting.done == [(case.operation, case.value)]
    case.close()


@each
async def test_a_cancelled_select_has_done_nothing(make: Callable[[], Case]) -> None:
    case = make()
    with move_on_after(0) as scope:
        await select(case.operation, NEVER.waiting())
    assert scope.cancelled_caught
    case.fulfil()
    with CancelScope() as scope:
        scope.cancel()
        await select(case.operation)
    assert scope.cancelled_caught
    assert await select(case.operation) == (case.operation, case.value)
    case.close()


@each
async def test_one_that_is_not_chosen_was_not_done(make: Callable[[], Case]) -> None:
    case, stop = make(), Event()
    selecting = Selecting(case.operation, stop.waiting())
    async with create_task_group() as group:
        group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        stop.set()
        case.fulfil()  # in the same step: too late
    assert selecting.done == [(selecting.operations[1], None)]
    assert await select(case.operation) == (case.operation, case.value)
    case.close()


@each
async def test_a_grant_wins_over_a_cancel(make: Callable[[], Case]) -> None:
    case = make()
    selecting = Selecting(case.operation, NEVER.waiting())
    async with create_task_group() as group:
        group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        case.fulfil()
        selecting.scope.cancel()
    assert selecting.done == [(case.operation, case.value)]
    case.close()


@each_taking
async def test_one_grant_ends_one_select(make: Callable[[], Case]) -> None:
    case = make()
    selects = [Selecting(case.operation, NEVER.waiting()) for _ in range(3)]
    async with create_task_group() as group:
        for selecting in selects:
            group.start_soon(selecting.run)
            await wait_all_tasks_blocked()
        selects[0].scope.cancel()
        case.fulfil()
        await wait_all_tasks_blocked()
        # All that wait for a change of a watched value hear of it, and one of them takes it.
        assert [len(selecting.done) for selecting in selects] == [0, 1, make is changes]
        group.cancel()
    case.close()


@each
async def test_it_leaves_nothing_behind_wherever_it_is_cancelled(make: Callable[[], Case]) -> None:
    case = make()

    async def whole() -> None:
        with move_on_after(0.001):
            await select(NEVER.waiting(), case.operation)

    assert await cancel_at_each_checkpoint(whole, wait_all_tasks_blocked) >= 1
    assert NEVER.statistics().tasks_waiting == 0
    case.close()


@each
async def test_an_operation_can_be_offered_twice_at_once(make: Callable[[], Case]) -> None:
    case = make()
    selecting = Selecting(case.operation, case.operation)
    async with create_task_group() as group:
        group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        case.fulfil()
    assert selecting.done == [(case.operation, case.value)]
    case.close()


def test_every_kind_of_operation_says_what_it_is() -> None:
    for make in (*TAKING, *TELLING, receiving_unbuffered):
        case = make()
        assert type(case.operation).__name__ in repr(case.operation)
        assert case.operation.subject is not case.operation
        case.close()
    assert repr(Lock().acquiring()) == "<AcquiringLock <Lock free>>"
    assert repr(deadline_at(5)) == "<Deadline at 5>"
    assert deadline_at(5).subject == deadline_at(5).subject or True


# Memory streams


async def test_a_receive_stream_keeps_its_operation_until_it_is_closed() -> None:
    send, receive = create_memory_object_stream[int](1)
    with send, receive, receive.clone() as clone:
        assert receive.receiving() is receive.receiving()
        assert receive.receiving() is not clone.receiving()
        await send.send(1)
        assert (await select(receive.receiving(), receive.receiving()))[1] == 1
    assert receive.receiving() is not receive.receiving()
    with pytest.raises(ClosedResourceError):
        await select(receive.receiving())
    # Nothing else holds on to it: no garbage collection is needed.
    gone = weakref.ref(receive)
    del receive
    assert gone() is None


async def test_two_selects_meet_on_a_stream_without_a_buffer() -> None:
    send, receive = create_memory_object_stream[str]()
    with send, receive:
        one = Selecting(receive.receiving(), NEVER.waiting())
        other = Selecting(NEVER.waiting(), send.sending("item"))
        async with create_task_group() as group:
            group.start_soon(one.run)
            group.start_soon(other.run)
        assert (one.value, other.value) == ("item", None)
        assert send.statistics()[4:] == (0, 0)


async def test_a_select_does_not_meet_itself() -> None:
    send, receive = create_memory_object_stream[str]()
    with send, receive:
        both = Selecting(receive.receiving(), send.sending("own"))
        async with create_task_group() as group:
            group.start_soon(both.run)
            await wait_all_tasks_blocked()
            assert both.done == []
            assert send.statistics()[4:] == (1, 1)
            assert receive.receive_nowait() == "own"
        assert both.done == [(both.operations[1], None)]
        assert send.statistics()[4:] == (0, 0)


async def test_two_selects_that_send_and_receive_exchange_one_item() -> None:
    send, receive = create_memory_object_stream[str]()
    with send, receive:
        selects = [Selecting(receive.receiving(), send.sending(name)) for name in ("a", "b")]
        async with create_task_group() as group:
            for selecting in selects:
                group.start_soon(selecting.run)
        values = [selecting.value for selecting in selects]
        assert None in values
        assert values[1 - values.index(None)] == ("a", "b")[values.index(None)]


async def test_an_item_of_a_select_that_was_not_chosen_is_never_received() -> None:
    send, receive = create_memory_object_stream[str]()
    stop = Event()
    with send, receive:
        selecting = Selecting(send.sending("item"), stop.waiting())
        async with create_task_group() as group:
            group.start_soon(selecting.run)
            await wait_all_tasks_blocked()
            stop.set()
            with pytest.raises(WouldBlock):
                receive.receive_nowait()


async def test_the_end_of_a_stream_is_raised_and_named() -> None:
    send, receive = create_memory_object_stream[str]()
    with receive:
        send.close()
        with pytest.raises(EndOfStream) as caught:
            await select(receive.receiving(), NEVER.waiting())
        assert "raised by <Receiving" in caught.value.__notes__[0]
        with pytest.raises(EndOfStream) as caught:
            await select(receive.receiving())
        assert "which select() has chosen" in caught.value.__notes__[0]


async def test_a_stream_that_ends_or_is_closed_ends_a_select_that_waits() -> None:
    send, receive = create_memory_object_stream[str](1)
    other_send, other_receive = create_memory_object_stream[str]()
    one = Selecting(receive.receiving(), NEVER.waiting())
    two = Selecting(other_receive.receiving(), NEVER.waiting())
    three = Selecting(other_send.clone().sending("x"))
    async with create_task_group() as group:
        group.start_soon(one.run)
        await wait_all_tasks_blocked()
        send.close()
        await wait_all_tasks_blocked()
        assert type(one.error) is EndOfStream
        assert "raised by <Receiving" in one.error.__notes__[0]
        group.start_soon(two.run)
        await wait_all_tasks_blocked()
        other_receive.close()
        await wait_all_tasks_blocked()
        assert type(two.error) is ClosedResourceError
        group.start_soon(three.run)
    assert type(three.error) is BrokenResourceError
    three.operations[0].subject.close()  # type: ignore[attr-defined]  # the clone
    receive.close()
    other_send.close()


# Errors as values


async def test_catching_makes_an_outcome_of_each_end() -> None:
    send, receive = create_memory_object_stream[str](1)
    operation = catching(receive.receiving())
    assert operation.subject is receive
    assert repr(operation).startswith("<Catching <Receiving")
    with receive:
        with send:
            send.send_nowait("ready")
            chosen, outcome = await select(operation, NEVER.waiting())
            assert chosen is operation
            assert isinstance(outcome, Outcome)
            assert outcome.value == "ready"
            selecting = Selecting(operation, NEVER.waiting())
            async with create_task_group() as group:
                group.start_soon(selecting.run)
                await wait_all_tasks_blocked()
                send.send_nowait("waited for")
            assert selecting.value.value == "waited for"
            selecting = Selecting(operation, NEVER.waiting())
            async with create_task_group() as group:
                group.start_soon(selecting.run)
                await wait_all_tasks_blocked()
                send.close()
            assert isinstance(selecting.value.error, EndOfStream)
        _, ended = await select(operation)
        assert isinstance(ended.error, EndOfStream)


async def test_futures_that_fail_are_raised_or_caught() -> None:
    failed: Future[str] = Future()
    failed.exception = LookupError("why")
    with pytest.raises(FutureFailed):
        await select(failed.waiting())
    _, outcome = await select(catching(failed.waiting()))
    assert isinstance(outcome.error, FutureFailed)
    cancelled: Future[str] = Future()
    selects = [Selecting(cancelled.waiting()), Selecting(catching(cancelled.waiting()))]
    async with create_task_group() as group:
        for selecting in selects:
            group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        cancelled.cancel()
    assert isinstance(selects[0].error, FutureCancelled)
    assert isinstance(selects[1].value.error, FutureCancelled)


# Locks and the like


async def test_a_lock_is_handed_to_a_select_in_its_turn() -> None:
    lock = Lock()
    await lock.acquire()
    selecting = Selecting(lock.acquiring(), NEVER.waiting())

    async def run() -> None:
        await selecting.run()
        assert lock.statistics().tasks_waiting == 1
        lock.release()

    async def visit() -> None:
        async with lock:
            pass

    async with create_task_group() as group:
        group.start_soon(run)
        await wait_all_tasks_blocked()
        group.start_soon(visit)
        await wait_all_tasks_blocked()
        lock.release()
    assert not lock.locked()


async def test_what_the_task_holds_already_is_an_error() -> None:
    lock, limiter = Lock(), CapacityLimiter(1)
    await lock.acquire()
    await limiter.acquire()
    with pytest.raises(RuntimeError, match="already held Lock"):
        await select(lock.acquiring())
    with pytest.raises(RuntimeError, match="already holding one of this CapacityLimiter's tokens"):
        await select(limiter.acquiring())


async def test_a_lock_is_free_again_after_a_select_that_chose_another() -> None:
    lock, stop = Lock(), Event()
    await lock.acquire()
    selecting = Selecting(lock.acquiring(), stop.waiting())
    async with create_task_group() as group:
        group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        stop.set()
        lock.release()
    assert not lock.locked()


# Conditions


async def test_a_notification_ends_a_select_which_holds_the_lock_again() -> None:
    condition = Condition()
    log: list[str] = []

    async def wait() -> None:
        async with condition:
            chosen, value = await select(news := condition.waiting(), NEVER.waiting())
            assert (chosen, value) == (news, None)
            log.append("notified")
            await checkpoint()

    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        async with condition:
            condition.notify()
            log.append("notifying")
            await checkpoint()
    assert log == ["notifying", "notified"]
    assert not condition.locked()


@pytest.mark.parametrize("how", ["other", "cancel", "deadline"])
async def test_the_lock_is_held_again_however_a_select_ends(how: str) -> None:
    condition, stop = Condition(), Event()
    scope = CancelScope()
    ends: list[str] = []

    async def wait() -> None:
        async with condition:
            with scope:
                await select(
                    condition.waiting(), stop.waiting(), deadline_after(30 * (how != "deadline"))
                )
                ends.append("chosen")
            condition.notify()  # raises unless the lock is held

    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        async with condition:
            if how == "other":
                stop.set()
            elif how == "cancel":
                scope.cancel()
            await checkpoint()
            await checkpoint()
    assert ends == (["chosen"] if how != "cancel" else [])
    assert condition.statistics().tasks_waiting == 0
    assert not condition.locked()


async def test_a_condition_is_selected_by_who_holds_its_lock() -> None:
    condition = Condition()
    with pytest.raises(RuntimeError, match="not holding the underlying lock"):
        await select(condition.waiting(), NEVER.waiting())
    async with condition:
        ready = Event()
        ready.set()
        chosen, _ = await select(condition.waiting(), known := ready.waiting())
        assert chosen is known


# Broadcasts and watched values


async def test_a_lag_is_raised_and_can_be_caught() -> None:
    with create_broadcast[int](1) as send, send.subscribe() as stream:
        for number in range(3):
            send.send_nowait(number)
        with pytest.raises(Lagged):
            await select(stream.receiving(), NEVER.waiting())
        assert (await select(stream.receiving()))[1] == 2


async def test_a_follower_sees_the_newest_change() -> None:
    value = Watched(0)
    changes = value.changes()
    assert (await select(changes.receiving()))[1] == 0
    selecting = Selecting(changes.receiving(), NEVER.waiting())
    async with create_task_group() as group:
        group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        value.set(1)
        value.set(2)
    assert selecting.value == 2


# Deadlines


@virtual_time
async def test_a_deadline_ends_the_wait_and_is_not_in_the_way_before() -> None:
    begin = current_time()
    late, early = deadline_at(begin + 5), deadline_after(2)
    assert await select(NEVER.waiting(), late, early) == (early, None)
    assert current_time() == begin + 2
    assert await select(early, NEVER.waiting()) == (early, None)
    assert current_time() == begin + 2
    event = Event()
    async with create_task_group() as group:
        selecting = Selecting(event.waiting(), late)
        group.start_soon(selecting.run)
        await wait_all_tasks_blocked()
        event.set()
    assert selecting.done == [(selecting.operations[0], None)]
    assert current_time() == begin + 2


@virtual_time
async def test_a_cancel_from_outside_is_not_taken_for_the_deadline() -> None:
    with move_on_after(1) as scope:
        await select(NEVER.waiting(), deadline_after(2))
    assert scope.cancelled_caught
    with move_on_after(2) as scope:
        await select(NEVER.waiting(), deadline_after(2))
        await checkpoint()
    assert scope.cancelled_caught


async def test_a_select_over_deadlines_alone_is_a_sleep() -> None:
    first = deadline_after(0.001)
    assert await select(first, deadline_after(60)) == (first, None)
    assert (await select(catching(first)))[1].error is None
    with pytest.raises(ValueError, match="must not be NaN"):
        deadline_at(float("nan"))


# Turns


@pytest.mark.parametrize("number", [2, 3, 5])
async def test_operations_that_are_always_ready_are_done_equally_often(number: int) -> None:
    events = [Event() for _ in range(number)]
    for event in events:
        event.set()
    operations = [event.waiting() for event in events]
    counts = Counter([operations.index((await select(*operations))[0]) for _ in range(600)])
    assert set(counts) == set(range(number))
    assert max(counts.values()) - min(counts.values()) <= 6


async def test_of_those_that_are_ready_each_has_its_turn() -> None:
    events = [Event() for _ in range(6)]
    operations = [event.waiting() for event in events]
    for ready in (0, 1, 4):
        events[ready].set()
    counts = Counter([operations.index((await select(*operations))[0]) for _ in range(600)])
    assert set(counts) == {0, 1, 4}
    assert max(counts.values()) - min(counts.values()) <= 6


async def test_tasks_that_select_in_step_have_fair_turns_each() -> None:
    events = [Event(), Event()]
    for event in events:
        event.set()
    operations = [event.waiting() for event in events]
    counts: list[Counter[int]] = [Counter() for _ in range(4)]

    async def work(number: int) -> None:
        for _ in range(200):
            chosen, _ = await select(*operations)
            counts[number][operations.index(chosen)] += 1
            await checkpoint()

    async with create_task_group() as group:
        for number in range(4):
            group.start_soon(work, number)
    for count in counts:
        assert min(count.values()) >= 50  # Trio shuffles the tasks that step together


# Operations of others


class Turnstile(Operation[int]):
    """Hands out numbers, to those who wait in the order in which they came."""

    def __init__(self) -> None:
        self.next = 0
        self.open = 0
        self.waiters: list[Waiter] = []

    def is_ready(self) -> bool:
        return self.open > 0

    def commit(self) -> int:
        self.open -= 1
        self.next += 1
        return self.next

    def join(self, waiter: Waiter, /) -> None:
        self.waiters.append(waiter)

    def leave(self, waiter: Waiter, /) -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)

    def let_in(self) -> None:
        while self.waiters:
            waiter = self.waiters.pop(0)
            if not waiter.done():
                self.next += 1
                waiter.set_result(self.next)
                return
        self.open += 1


async def test_an_operation_of_one_s_own_takes_part() -> None:
    turnstile = Turnstile()
    selects = [Selecting(turnstile, NEVER.waiting()) for _ in range(3)]
    async with create_task_group() as group:
        for selecting in selects:
            group.start_soon(selecting.run)
            await wait_all_tasks_blocked()
        selects[0].scope.cancel()
        turnstile.let_in()
        turnstile.let_in()
    assert [selecting.done for selecting in selects] == [[], [(turnstile, 1)], [(turnstile, 2)]]
    turnstile.let_in()
    assert await select(turnstile) == (turnstile, 3)
    assert turnstile.waiters == []
    assert turnstile.subject is turnstile


async def test_an_operation_that_fails_to_join_leaves_the_others_as_they_were() -> None:
    class Failing(Turnstile):
        def join(self, waiter: Waiter, /) -> None:
            raise KeyError("join")

    send, receive = create_memory_object_stream[int]()
    with send, receive:
        with pytest.raises(KeyError, match="join"):
            await select(receive.receiving(), Failing())
        assert receive.statistics().tasks_waiting_receive == 0
        with pytest.raises(WouldBlock):
            send.send_nowait(1)


# Misuse


async def test_bad_operations_are_refused() -> None:
    wrong: Any = 5

    async def coroutine() -> None:
        pass

    with pytest.raises(ValueError, match="select\\(\\) takes at least one operation"):
        await select()
    for operations in ((wrong,), (NEVER.waiting(), wrong), (wrong, wrong, wrong)):
        with pytest.raises(
            TypeError, match=r"select\(\) takes operations, .* not 5: for coroutines"
        ):
            await select(*operations)
    mistaken: Any = coroutine()
    with pytest.raises(TypeError, match="for coroutines there is race"):
        await select(mistaken, NEVER.waiting())


async def test_selects_leave_no_trace_in_what_was_not_chosen() -> None:
    idle = Event()
    send, receive = create_memory_object_stream[int](1)
    with send, receive:
        item, never = receive.receiving(), idle.waiting()
        async with create_task_group() as group:
            for number in range(500):
                selecting = Selecting(never, item)
                group.start_soon(selecting.run)
                await wait_all_tasks_blocked()
                await send.send(number)
        assert receive._waiting == 0
        for queue in (idle._queue, receive._state.receivers):
            assert len(queue._cells or ()) <= 4

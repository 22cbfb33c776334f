"""The queue of waiters alone, without a loop: order, counts, and the cost of cancelling."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creche._kernel.wait_queue import WaitQueue


class FakeWaiter:
    """A waiter that is done when told so, and counts how often it is asked."""

    asked = 0

    def __init__(self, name: int = 0) -> None:
        self.name = name
        self.over = False

    def done(self) -> bool:
        FakeWaiter.asked += 1
        return self.over

    def result(self) -> object:
        raise AssertionError("a queue never asks for it")

    def set_result(self, value: object, /) -> None:
        self.over = True

    def set_exception(self, exc: BaseException, /) -> None:
        self.over = True


def queue_of(waiters: Iterable[FakeWaiter]) -> WaitQueue[int]:
    queue: WaitQueue[int] = WaitQueue()
    for waiter in waiters:
        queue.add(waiter, waiter.name)
    return queue


def cancel(queue: WaitQueue[int], waiter: FakeWaiter) -> None:
    waiter.over = True
    queue.discard(waiter)


def test_an_unused_queue_is_empty() -> None:
    queue: WaitQueue[int] = WaitQueue()
    queue.discard(FakeWaiter())
    assert not queue
    assert len(queue) == 0
    assert list(queue) == []
    assert queue.pop() is None


def test_pop_takes_waiters_in_the_order_they_came() -> None:
    waiters = [FakeWaiter(i) for i in range(5)]
    queue = queue_of(waiters)
    assert [queue.pop() for _ in range(6)] == [(w, w.name) for w in waiters] + [None]


def test_pop_passes_over_a_waiter_that_is_done_but_not_yet_discarded() -> None:
    waiters = [FakeWaiter(i) for i in range(3)]
    queue = queue_of(waiters)
    waiters[0].over = True
    assert len(queue) == 2
    assert queue.pop() == (waiters[1], 1)
    queue.discard(waiters[0])
    assert queue.pop() == (waiters[2], 2)


def test_a_queue_of_dead_waiters_is_false() -> None:
    waiters = [FakeWaiter(i) for i in range(3)]
    queue = queue_of(waiters)
    for waiter in waiters:
        waiter.over = True
    assert not queue
    assert queue.pop() is None


def test_clear_forgets_every_waiter_and_the_queue_can_be_used_again() -> None:
    queue = queue_of(FakeWaiter(i) for i in range(3))
    queue.clear()
    assert not queue
    fresh = FakeWaiter(7)
    queue.add(fresh, 7)
    assert list(queue) == [(fresh, 7)]


def test_discarding_a_waiter_that_was_popped_changes_nothing() -> None:
    waiters = [FakeWaiter(i) for i in range(4)]
    queue = queue_of(waiters)
    for _ in range(2):
        popped = queue.pop()
        assert popped is not None
        popped[0].set_exception(ValueError())
        queue.discard(popped[0])
    assert [payload for _, payload in queue] == [2, 3]


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "cancel", "die", "pop", "stray"]), st.integers(0, 99)),
        max_size=60,
    )
)
def test_any_sequence_of_operations_behaves_like_a_plain_list(ops: list[tuple[str, int]]) -> None:
    queue: WaitQueue[int] = WaitQueue()
    model: list[FakeWaiter] = []
    late: list[FakeWaiter] = []  # cancelled, and not yet discarded by their task
    for number, (op, pick) in enumerate(ops):
        if op == "add":
            model.append(FakeWaiter(number))
            queue.add(model[-1], number)
        elif op == "pop":
            popped = queue.pop()
            expected = model.pop(0) if model else None
            assert popped == (None if expected is None else (expected, expected.name))
        elif op == "stray" and late:
            queue.discard(late.pop(pick % len(late)))
        elif op == "cancel" and model:
            cancel(queue, model.pop(pick % len(model)))
        elif op == "die" and model:
            late.append(model.pop(pick % len(model)))
            late[-1].over = True
        assert list(queue) == [(waiter, waiter.name) for waiter in model]
        assert len(queue) == len(model)
        assert bool(queue) == bool(model)


MANY = 20_000


@pytest.mark.parametrize("order", ["first to last", "last to first", "shuffled", "from the middle"])
@pytest.mark.parametrize("wave", [False, True], ids=["one by one", "all at once"])
def test_cancelling_twenty_thousand_waiters_looks_at_each_a_few_times(
    order: str, wave: bool
) -> None:
    waiters = [FakeWaiter(i) for i in range(MANY)]
    queue = queue_of(waiters)
    inner = waiters[1:-1]  # the ends stay, so that nothing can be taken off there
    if order == "last to first":
        inner.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(inner)
    elif order == "from the middle":
        inner = inner[MANY // 2 :] + inner[: MANY // 2]
    FakeWaiter.asked = 0
    if wave:
        for waiter in inner:
            waiter.over = True
    for waiter in inner:
        cancel(queue, waiter)
    assert FakeWaiter.asked < 8 * MANY
    assert [payload for _, payload in queue] == [0, MANY - 1]


def test_payloads_of_cancelled_waiters_are_not_kept() -> None:
    class Payload:
        pass

    waiters = [FakeWaiter(i) for i in range(1000)]
    queue: WaitQueue[Payload] = WaitQueue()
    refs: list[weakref.ref[Payload]] = []

    def add(waiter: FakeWaiter) -> None:
        payload = Payload()
        refs.append(weakref.ref(payload))
        queue.add(waiter, payload)

    for waiter in waiters:
        add(waiter)
    for waiter in waiters[1:-1]:
        waiter.over = True
        queue.discard(waiter)
    assert sum(ref() is not None for ref in refs) <= 5

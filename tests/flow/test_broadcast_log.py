"""`BroadcastLog` without a loop: any order of sends, reads, subscriptions and closes, against a model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creche._flow.broadcast_log import NOTHING, BroadcastLog, Lagged, Reader


class Waiter:
    def __init__(self) -> None:
        self.given: list[Any] = []

    def done(self) -> bool:
        return bool(self.given)

    def result(self) -> Any:
        return self.given[0]

    def set_result(self, value: Any, /) -> None:
        self.given.append(value)

    def set_exception(self, exc: BaseException, /) -> None:
        self.given.append(exc)


def log_of(capacity: int, on_lag: Any = "raise") -> BroadcastLog:
    log = BroadcastLog(capacity, on_lag)
    log.open_senders = 1
    return log


def test_publishing_looks_at_nobody_who_does_not_wait() -> None:
    class Watching(BroadcastLog):
        def _hand_out(self, number: int, item: Any) -> int:
            raise AssertionError("looked at the readers, and none waits")

    for on_lag in ("raise", "drop_oldest", "wait"):
        log = Watching(10_000, on_lag)
        log.open_senders = 1
        for _ in range(10_000):
            log.subscribe(0)
        for number in range(10_000):
            assert log.put(number)


def test_only_readers_that_wait_are_handed_the_item() -> None:
    log = log_of(2)
    idle, waiting = log.subscribe(0), log.subscribe(0)
    waiter = Waiter()
    log.wait_at(waiting).add(waiter, None)
    log.put("a")
    assert waiter.given == ["a"]
    assert not log.waiting
    assert (idle.position, waiting.position) == (0, 1)
    assert log.take(waiting) is NOTHING


def test_a_dead_waiter_takes_nothing() -> None:
    log = log_of(2, "wait")
    reader = log.subscribe(0)
    dead = Waiter()
    log.wait_at(reader).add(dead, None)
    dead.given.append("cancelled")
    log.put("a")
    assert not log.waiting
    assert log.take(reader) == "a"


class Model:
    """What each reader is still to get, in so many words."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.kept: list[int] = []
        self.due: list[list[int] | None] = []

    def blocked(self) -> bool:
        return any(due is not None and len(due) == self.capacity for due in self.due)

    def put(self, item: int, lossy: bool) -> None:
        self.kept = [*self.kept, item][-self.capacity :]
        for due in self.due:
            if due is not None:
                due.append(item)
                if lossy:
                    del due[: -self.capacity]


@given(
    st.integers(1, 3),
    st.sampled_from(["raise", "wait", "drop_oldest"]),
    st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "take", "take", "add", "close"]), st.integers(0, 3)
        )
    ),
)
def test_the_log_does_what_a_list_for_each_reader_would(
    capacity: int, on_lag: Any, moves: list[tuple[str, int]]
) -> None:
    log, model = log_of(capacity, on_lag), Model(capacity)
    readers: list[Reader | None] = []
    missed: dict[int, int] = {}
    for number, (move, choice) in enumerate(moves):
        which = choice % len(readers) if readers else 0
        reader = readers[which] if readers else None
        if move == "put":
            refused = on_lag == "wait" and model.blocked()
            assert log.put(number) is not refused
            if not refused:
                for place, due in enumerate(model.due):
                    if due is not None and len(due) == capacity:
                        missed[place] = missed.get(place, 0) + 1
                model.put(number, on_lag != "wait")
        elif move == "add":
            readers.append(log.subscribe(min(choice, capacity)))
            replayed = model.kept[-choice:] if choice else []
            model.due.append(list(replayed))
        elif reader is not None and move == "close":
            log.close_reader(reader)
            readers[which] = model.due[which] = None
        elif reader is not None and move == "take":
            if on_lag == "raise" and missed.pop(which, 0):
                with pytest.raises(Lagged):
                    log.take(reader)
            missed.pop(which, None)
            due = model.due[which]
            assert due is not None
            assert log.statistics(reader).current_buffer_used == len(due)
            assert log.take(reader) == (due.pop(0) if due else NOTHING)

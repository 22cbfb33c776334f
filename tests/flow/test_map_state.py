"""`MapState` without a loop: room, order, errors and the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creche._flow.map_state import END, NOTHING, MapState


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


def test_a_result_goes_to_the_first_that_waits() -> None:
    state = MapState(2, ordered=False)
    first, second = Waiter(), Waiter()
    state.readers.add(first, None)
    state.readers.add(second, None)
    state.finish(state.begin(), "a")
    assert (first.given, second.given) == (["a"], [])
    assert state.take() is NOTHING


def test_the_feeder_is_woken_when_there_is_room_and_not_before() -> None:
    state = MapState(1, ordered=False)
    state.finish(state.begin(), "a")
    number = state.begin()
    waiter = Waiter()
    assert not state.has_room()
    state.feeder.add(waiter, None)
    state.finish(number, "b")  # two results that nobody has taken
    assert not waiter.done()
    assert state.take() == "a"
    assert waiter.done()


def test_the_failure_is_raised_once_after_the_last_call_and_the_results() -> None:
    state = MapState(3, ordered=False)
    calls = [state.begin() for _ in range(3)]
    state.finish(calls[0], "a")
    state.fail(LookupError("b"))
    assert state.take() == "a"
    assert state.take() is NOTHING
    state.abandon()
    state.finish_all()
    with pytest.raises(LookupError, match="b"):
        state.take()
    assert state.take() is END
    assert (state.done, state.failed, state.running) == (2, 1, 0)


def test_of_those_who_wait_the_first_gets_the_failure() -> None:
    state = MapState(3, ordered=False)
    first, second = Waiter(), Waiter()
    state.readers.add(first, None)
    state.readers.add(second, None)
    state.begin()
    error = LookupError()
    state.fail(error)
    state.finish_all()
    assert (first.given, second.given) == ([error], [END])


@given(st.integers(1, 4), st.booleans(), st.lists(st.integers(0, 3), max_size=80))
def test_room_and_order_hold_for_any_order_of_ends(
    at_most: int, ordered: bool, choices: list[int]
) -> None:
    state = MapState(at_most, ordered)
    running: list[int] = []
    ended: list[int] = []
    read: list[int] = []
    for choice in choices:
        if choice < 2 and state.has_room():
            running.append(state.begin())
        elif choice == 2 and running:
            number = running.pop(len(choices) % len(running))
            ended.append(number)
            state.finish(number, number)
        elif choice == 3 and (result := state.take()) is not NOTHING:
            read.append(result)
        assert len(running) == state.running <= at_most
        assert state.started - len(read) <= 2 * at_most
    while running:
        number = running.pop()
        ended.append(number)
        state.finish(number, number)
    state.finish_all()
    while (result := state.take()) is not END:
        read.append(result)
    assert read == (sorted(ended) if ordered else ended)

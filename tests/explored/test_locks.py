"""Locks, semaphores and limiters under many schedules: who is inside, who is next, what is left.

The visitors come, wait, are cancelled and leave in whatever order the schedule makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import CancelScope, CapacityLimiter, Event, Lock, Semaphore, create_task_group
from creche.lowlevel import checkpoint
from creche.testing import explore

PRIMITIVES: dict[str, tuple[Callable[[], Any], int]] = {
    "lock": (Lock, 1),
    "fast lock": (lambda: Lock(fast_acquire=True), 1),
    "semaphore": (lambda: Semaphore(2, max_value=2), 2),
    "fast semaphore": (lambda: Semaphore(1, fast_acquire=True), 1),
    "limiter": (lambda: CapacityLimiter(2), 2),
}


class Visitors:
    """Tasks that each enter once; some are cancelled at some moment."""

    def __init__(self, primitive: Any, places: int, number: int = 4) -> None:
        self.primitive = primitive
        self.places = places
        self.scopes = [CancelScope() for _ in range(number)]
        self.asked: list[int] = []
        self.entered: list[int] = []
        self.inside: list[int] = []

    async def visit(self, number: int) -> None:
        with self.scopes[number]:
            self.asked.append(number)
            async with self.primitive:
                self.entered.append(number)
                self.inside.append(number)
                assert len(self.inside) <= self.places, "too many inside"
                try:
                    await checkpoint()
                finally:
                    self.inside.remove(number)

    async def run(self) -> None:
        async with create_task_group() as group:
            for number in range(len(self.scopes)):
                group.start_soon(self.visit, number)
            group.start_soon(cancel_one_by_one, self.scopes[1], self.scopes[2])
        for number, scope in enumerate(self.scopes):
            assert scope.cancel_called or number in self.entered, "one was left out"
        if self.places == 1:  # with more, two that were granted at once may step in either order
            assert self.entered == [n for n in self.asked if n in self.entered], "out of turn"


@pytest.mark.parametrize("kind", PRIMITIVES)
@explore()
async def test_never_too_many_are_inside_and_nobody_is_left_out_or_passed_over(kind: str) -> None:
    make, places = PRIMITIVES[kind]
    primitive = make()
    await Visitors(primitive, places).run()
    assert primitive.statistics().tasks_waiting == 0
    for _ in range(places):  # All is given back: there is room for as many as in the beginning.
        if isinstance(primitive, CapacityLimiter):
            primitive.acquire_on_behalf_of_nowait(object())
        else:
            primitive.acquire_nowait()
            if isinstance(primitive, Lock):
                primitive.release()


class Queueing:
    """A lock made of events, right but for what its subclasses leave out."""

    def __init__(self) -> None:
        self.held = False
        self.waiting: list[Event] = []

    async def __aenter__(self) -> None:
        if self.held:
            turn = Event()
            self.waiting.append(turn)
            try:
                await turn.wait()
            except BaseException:
                self.given_up(turn)
                raise
        self.held = True

    async def __aexit__(self, *exc: object) -> None:
        if self.waiting:
            self.next().set()
        else:
            self.held = False

    def next(self) -> Event:
        return self.waiting.pop(0)

    def given_up(self, turn: Event) -> None:
        if turn in self.waiting:
            self.waiting.remove(turn)
        elif self.waiting:  # It was cancelled first, and granted before it was gone.
            self.next().set()
        else:
            self.held = False


class Unfair(Queueing):
    """Who came last is next."""

    def next(self) -> Event:
        return self.waiting.pop()


class Wasteful(Queueing):
    """Gives the lock to those who have gone away."""

    def given_up(self, turn: Event) -> None:
        pass


class Hasty(Queueing):
    """Looks whether it is free, and takes it a little later."""

    async def __aenter__(self) -> None:
        while self.held:
            await checkpoint()
        await checkpoint()
        self.held = True


@pytest.mark.parametrize("broken", [Unfair, Wasteful, Hasty])
def test_a_lock_that_is_unfair_or_lost_or_shared_is_found_out(broken: type[Queueing]) -> None:
    assert_found(lambda: Visitors(broken(), 1).run())


@explore(runs=50)
async def test_the_lock_that_the_broken_ones_are_made_of_is_sound() -> None:
    await Visitors(Queueing(), 1).run()


# A limiter whose total changes


async def resized(limiter: CapacityLimiter) -> None:
    """Visitors of a limiter, one of them for a borrower of its own, as the total goes up and down."""
    highest = limiter.total_tokens
    scopes = [CancelScope() for _ in range(5)]
    entered: list[int] = []

    async def visit(number: int) -> None:
        with scopes[number]:
            borrower = f"borrower {number}"
            await limiter.acquire_on_behalf_of(borrower)
            try:
                entered.append(number)
                assert limiter.borrowed_tokens <= highest, "more are lent than there are"
                assert borrower in limiter.statistics().borrowers
                await checkpoint()
            finally:
                limiter.release_on_behalf_of(borrower)

    async def resize() -> None:
        nonlocal highest
        for total in (2, 0, 1):
            await checkpoint()
            before = limiter.borrowed_tokens
            highest = max(total, highest)
            limiter.total_tokens = total
            assert limiter.borrowed_tokens <= max(before, total), "more are lent than there are"
            waiting = limiter.statistics().tasks_waiting
            assert not waiting or limiter.available_tokens <= 0, "one waits while there is room"

    async with create_task_group() as group:
        for number in range(len(scopes)):
            group.start_soon(visit, number)
        group.start_soon(resize)
        group.start_soon(cancel_one_by_one, scopes[1])
    assert limiter.statistics()[:1] == (0,)
    assert limiter.total_tokens == 1
    assert {0, 2, 3, 4} <= {*entered}


@explore()
async def test_a_limiter_lends_no_more_than_its_total_and_all_of_it_as_that_changes() -> None:
    await resized(CapacityLimiter(1))


class Stingy(CapacityLimiter):
    """Lends nothing when its total grows."""

    @property
    def total_tokens(self) -> float:
        return self._total

    @total_tokens.setter
    def total_tokens(self, value: float) -> None:
        self._total = value


class Generous(CapacityLimiter):
    """Hands a token on even if the total has shrunk meanwhile."""

    def release_on_behalf_of(self, borrower: object) -> None:
        super().release_on_behalf_of(borrower)
        if (first := self._queue.pop()) is not None:
            self._borrowers[first[1][0]] = None
            first[0].set_result(None)


@pytest.mark.parametrize("broken", [Stingy, Generous])
def test_a_limiter_that_forgets_its_total_is_found_out(broken: type[CapacityLimiter]) -> None:
    assert_found(lambda: resized(broken(1)))


@explore()
async def test_of_two_tasks_that_borrow_for_one_the_second_fails_while_the_first_holds() -> None:
    limiter = CapacityLimiter(2)
    outcomes: list[str] = []
    holding = 0

    async def borrow() -> None:
        nonlocal holding
        try:
            await limiter.acquire_on_behalf_of("one")
        except RuntimeError:
            assert holding
            outcomes.append("refused")
            return
        holding += 1
        assert holding == 1, "two tokens for one borrower"
        await checkpoint()
        holding -= 1
        limiter.release_on_behalf_of("one")
        outcomes.append("had it")

    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(borrow)
    assert len(outcomes) == 3
    assert "had it" in outcomes
    assert limiter.borrowed_tokens == 0

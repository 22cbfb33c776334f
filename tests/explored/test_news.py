"""Conditions, events, futures and guards under many schedules: no news is lost, none comes twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import (
    BusyResourceError,
    CancelScope,
    Condition,
    Event,
    Future,
    FutureAlreadyFinished,
    FutureCancelled,
    Lock,
    ResourceGuard,
    create_task_group,
)
from creche.lowlevel import checkpoint
from creche.testing import explore, settle

# Conditions


async def notified(condition: Any, number: int) -> None:
    """Four wait, some are cancelled, `number` are notified: as many return, in their order."""
    scopes = [CancelScope() for _ in range(4)]
    waited: list[int] = []
    woken: list[int] = []
    promised = 0

    async def wait(number: int) -> None:
        with scopes[number]:
            async with condition:  # Whose end raises unless the task holds the lock again.
                waited.append(number)
                await condition.wait()
                woken.append(number)

    async def notify() -> None:
        nonlocal promised
        await checkpoint()
        async with condition:
            promised += min(number, condition.statistics().tasks_waiting)
            condition.notify(number)

    async with create_task_group() as group:
        for place in range(len(scopes)):
            group.start_soon(wait, place)
        group.start_soon(notify)
        group.start_soon(cancel_one_by_one, scopes[1], scopes[2])
        await settle()
        assert len(woken) == promised, "news was lost, or came twice"
        order = [place for place in waited if place in woken]
        assert woken == order, "out of turn"
        async with condition:
            condition.notify_all()
    for place, scope in enumerate(scopes):
        assert scope.cancel_called or place in woken


@pytest.mark.parametrize("number", [1, 2])
@explore()
async def test_as_many_return_from_a_condition_as_were_notified(number: int) -> None:
    await notified(Condition(), number)


class Statistics:
    def __init__(self, tasks_waiting: int) -> None:
        self.tasks_waiting = tasks_waiting


class LosesNews:
    """A condition whose waiter, if it is cancelled after its news, has had them in vain."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.waiting: list[Event] = []

    async def __aenter__(self) -> None:
        await self.lock.acquire()

    async def __aexit__(self, *exc: object) -> None:
        self.lock.release()

    async def wait(self) -> None:
        news = Event()
        self.waiting.append(news)
        self.lock.release()
        try:
            await news.wait()
            await checkpoint()
        finally:
            if news in self.waiting:
                self.waiting.remove(news)
            with CancelScope(shield=True):
                await self.lock.acquire()

    def notify(self, number: int) -> None:
        for _ in range(min(number, len(self.waiting))):
            self.waiting.pop(0).set()

    def notify_all(self) -> None:
        self.notify(len(self.waiting))

    def statistics(self) -> Statistics:
        return Statistics(len(self.waiting))


class LastFirst(LosesNews):
    """The first that waits hears the news last."""

    def notify(self, number: int) -> None:
        for _ in range(min(number, len(self.waiting))):
            self.waiting.pop().set()


@pytest.mark.parametrize("broken", [LosesNews, LastFirst])
def test_a_condition_that_loses_news_is_found_out(broken: Callable[[], Any]) -> None:
    assert_found(lambda: notified(broken(), 2))


# Events


async def everybody_hears(event: Event) -> None:
    """Four wait for an event that two set; one of the four is cancelled."""
    scopes = [CancelScope() for _ in range(4)]
    heard: list[int] = []

    async def wait(number: int) -> None:
        with scopes[number]:
            await event.wait()
            assert event.is_set(), "woken for nothing"
            heard.append(number)

    async def set_it() -> None:
        await checkpoint()
        event.set()

    async with create_task_group() as group:
        for number in range(len(scopes)):
            group.start_soon(wait, number)
        group.start_soon(set_it)
        group.start_soon(set_it)
        group.start_soon(cancel_one_by_one, scopes[2])
    assert sorted({*heard} | {2}) == [0, 1, 2, 3]
    assert len(heard) == len({*heard})


@explore()
async def test_everybody_who_waits_for_an_event_hears_of_it() -> None:
    await everybody_hears(Event())


class LooksAway(Event):
    """Between looking at the flag and waiting it lets others set it."""

    async def wait(self) -> None:
        if not self.is_set():
            await checkpoint()
            inner = Event()
            self.late = [*getattr(self, "late", []), inner]
            await inner.wait()

    def set(self) -> None:
        first = not self.is_set()
        super().set()
        if first:
            for inner in getattr(self, "late", []):
                inner.set()


def test_an_event_that_can_be_missed_is_found_out() -> None:
    assert_found(lambda: everybody_hears(LooksAway()))


# Futures


async def one_outcome(make: Callable[[], Future[int]]) -> None:
    """Three want to decide a future: one does, and all who await it hear the same."""
    future = make()
    heard: list[object] = []
    decided: list[object] = []

    async def wait() -> None:
        try:
            heard.append(await future)
        except FutureCancelled:
            heard.append("cancelled")

    async def decide(value: int) -> None:
        await checkpoint()
        try:
            future.return_value = value
        except (FutureAlreadyFinished, FutureCancelled):
            return
        decided.append(value)

    async def cancel() -> None:
        await checkpoint()
        future.cancel()
        if future.status is Future.Status.CANCELLED:
            decided.append("cancelled")

    async with create_task_group() as group:
        for _ in range(2):
            group.start_soon(wait)
        group.start_soon(decide, 1)
        group.start_soon(decide, 2)
        group.start_soon(cancel)
    assert len(decided) == 1, "decided more than once"
    assert heard == decided * 2


@explore()
async def test_a_future_has_one_outcome_and_all_hear_the_same() -> None:
    await one_outcome(Future)


class Fickle(Future[int]):
    """Takes whatever outcome comes last."""

    def _check_pending(self) -> None:
        pass


def test_a_future_that_changes_its_mind_is_found_out() -> None:
    assert_found(lambda: one_outcome(Fickle))


# Guards


async def guarded(guard: Any) -> None:
    """Three use one thing: whoever comes while it is in use is told so, and nobody else."""
    using = 0
    outcomes: list[str] = []

    async def use() -> None:
        nonlocal using
        await checkpoint()
        busy = using
        try:
            with guard:
                assert not busy, "let in while it was in use"
                using += 1
                await checkpoint()
                using -= 1
                outcomes.append("used it")
        except BusyResourceError:
            assert busy, "refused while it was free"
            outcomes.append("was refused")

    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(use)
    assert len(outcomes) == 3
    assert "used it" in outcomes


@explore()
async def test_a_guard_refuses_whoever_comes_second_and_nobody_else() -> None:
    await guarded(ResourceGuard())


class OpenGuard(ResourceGuard):
    """Lets everybody in."""

    def __enter__(self) -> None:
        self._guarded = True


class StuckGuard(ResourceGuard):
    """Opens for the first one only."""

    def __exit__(self, *exc: object) -> None:
        pass


@pytest.mark.parametrize("broken", [OpenGuard, StuckGuard])
def test_a_guard_that_does_not_guard_is_found_out(broken: Callable[[], Any]) -> None:
    assert_found(lambda: guarded(broken()))

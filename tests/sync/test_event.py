"""`Event` on every backend."""

from __future__ import annotations

import creche
from creche import CancelScope, Event, create_task_group, wait_all_tasks_blocked

module_level = Event()


def test_an_event_can_be_set_and_asked_outside_any_loop() -> None:
    event = Event()
    assert not event.is_set()
    assert event.statistics().tasks_waiting == 0
    event.set()
    assert event.is_set()


async def test_an_event_made_at_module_level_works_in_every_loop() -> None:
    with CancelScope() as scope:
        async with create_task_group() as group:
            group.start_soon(module_level.wait)
            await wait_all_tasks_blocked()
            assert module_level.statistics().tasks_waiting == 1
            scope.cancel()
    assert module_level.statistics().tasks_waiting == 0


async def test_set_wakes_every_task_that_waits() -> None:
    event = Event()
    woken: list[int] = []

    async def wait(number: int) -> None:
        await event.wait()
        woken.append(number)

    async with create_task_group() as group:
        for number in range(5):
            group.start_soon(wait, number)
        await wait_all_tasks_blocked()
        assert event.statistics().tasks_waiting == 5
        assert woken == []
        event.set()
        assert event.statistics().tasks_waiting == 0
    assert sorted(woken) == [0, 1, 2, 3, 4]


async def test_wait_returns_when_the_event_is_set_already_and_set_twice_is_once() -> None:
    event = Event()
    event.set()
    event.set()
    await event.wait()
    assert event.is_set()


async def test_wait_on_a_set_event_raises_in_a_cancelled_scope() -> None:
    event = Event()
    event.set()
    with CancelScope() as scope:
        scope.cancel()
        await event.wait()
        raise AssertionError("the cancellation was not seen")
    assert scope.cancelled_caught


async def test_wait_on_a_set_event_lets_others_run_sooner_or_later() -> None:
    event = Event()
    event.set()
    done = False

    async def other() -> None:
        nonlocal done
        done = True

    async with create_task_group() as group:
        group.start_soon(other)
        while not done:
            await event.wait()


async def test_a_cancelled_waiter_is_forgotten_and_the_others_are_woken() -> None:
    event = Event()
    woken: list[str] = []
    scope = CancelScope()

    async def wait(name: str, scope: CancelScope) -> None:
        with scope:
            await event.wait()
            woken.append(name)

    async with create_task_group() as group:
        group.start_soon(wait, "before", CancelScope())
        group.start_soon(wait, "cancelled", scope)
        group.start_soon(wait, "after", CancelScope())
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert event.statistics().tasks_waiting == 2
        event.set()
    assert sorted(woken) == ["after", "before"]
    assert scope.cancelled_caught


async def test_a_task_woken_before_it_is_cancelled_returns_from_wait() -> None:
    event = Event()
    seen: list[str] = []

    async def wait() -> None:
        await event.wait()
        seen.append("returned")
        await creche.lowlevel.checkpoint()
        seen.append("never")

    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        event.set()
        group.cancel_scope.cancel()
    assert seen == ["returned"]


def test_the_repr_tells_the_state() -> None:
    event = Event()
    assert repr(event) == "<Event clear, 0 waiting>"
    event.set()
    assert repr(event) == "<Event set>"

"""What primitives are called, by themselves and by reports of deadlocks."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import creche
from _harness import on_each_simulated_loop
from creche import _labels, debug, testing

both = on_each_simulated_loop

MAKE: list[tuple[Callable[..., Any], str]] = [
    (creche.Lock, "<Lock 'db' free>"),
    (lambda **name: creche.Semaphore(1, **name), "<Semaphore 'db' value=1, 0 waiting>"),
    (lambda **name: creche.CapacityLimiter(1, **name), "<CapacityLimiter 'db' 0 of 1 lent, 0 waiting>"),
    (creche.Event, "<Event 'db' clear, 0 waiting>"),
    (creche.Condition, "<Condition 'db' 0 waiting, with <Lock 'db' free>>"),
    (creche.Future, "<Future pending name='db'>"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "text"), MAKE)
def test_a_given_name_is_in_the_repr(make: Callable[..., Any], text: str) -> None:
    assert repr(make(name="db")) == text
    assert "db" not in repr(make())


@both
@pytest.mark.parametrize(("make", "text"), MAKE)
def test_no_name_is_made_up_in_a_repr_where_places_are_noted(
    loop: str, make: Callable[..., Any], text: str
) -> None:
    async def main() -> tuple[str, str]:
        return repr(make()), repr(make(name="db"))

    without, with_name = testing.run(main, backend=loop)
    assert without == repr(make())
    assert with_name == text


def waits_for(main: Callable[[], Awaitable[Any]], loop: str) -> list[str]:
    with pytest.raises(testing.DeadlockError) as caught:
        testing.run(main, backend=loop)
    return [row.waits_for for row in caught.value.tasks]


async def everything(name: str | None) -> None:
    """Wait for one of each, none of which is in a variable of the program's."""
    send, receive = creche.create_memory_object_stream[int](1, name=name)
    send.send_nowait(0)
    with send, receive:
        await in_tasks(
            creche.Semaphore(0, name=name).acquire,
            creche.CapacityLimiter(0, name=name).acquire,
            creche.Event(name=name).wait,
            creche.Future[int](name=name).wait,
            lambda: send.send(1),
        )


async def in_tasks(*functions: Callable[[], Any]) -> None:
    async with creche.create_task_group() as group:
        for function in functions:
            group.start_soon(_await, function, name="task")


async def _await(function: Callable[[], Awaitable[Any]]) -> None:
    await function()


@both
def test_a_deadlock_says_the_given_names(loop: str) -> None:
    assert waits_for(lambda: everything("db"), loop)[-5:] == [
        "Semaphore 'db'",
        "CapacityLimiter 'db'",
        "Event 'db'",
        "Future 'db'",
        "room in MemoryObjectSendStream 'db', which has 1 of 1 items",
    ]


@both
def test_a_given_name_goes_before_that_of_a_variable(loop: str) -> None:
    async def main() -> None:
        lock, condition = creche.Lock(name="db"), creche.Condition(name="news")
        _, items = creche.create_memory_object_stream[int](name="orders")

        async def notified() -> None:
            async with condition:
                await condition.wait()

        with _, items:
            await lock.acquire()
            await in_tasks(lock.acquire, notified, items.receive)

    assert waits_for(main, loop)[1:] == [
        "Lock 'db'",
        "a notify of Condition 'news'",
        "an item from MemoryObjectReceiveStream 'orders', which is empty and has 1 open senders",
    ]


@both
def test_what_has_no_name_is_called_by_where_it_was_made(loop: str) -> None:
    _, first = inspect.getsourcelines(everything)
    made = waits_for(lambda: everything(None), loop)[-5:]
    here = _labels.short_path(__file__)
    assert [what.replace(here, "here") for what in made] == [
        f"Semaphore made at here:{first + 6}",
        f"CapacityLimiter made at here:{first + 7}",
        f"Event made at here:{first + 8}",
        f"Future made at here:{first + 9}",
        "room in MemoryObjectSendStream 'send', which has 1 of 1 items",
    ]


@both
def test_clones_of_a_stream_in_no_variable_are_called_by_where_it_was_made(loop: str) -> None:
    async def main() -> None:
        boxes = [creche.create_memory_object_stream[int]()]
        send, receive = boxes[0]
        with send, receive:
            out_of_sight = [[receive.clone()]]
            with out_of_sight[0][0]:
                await in_tasks(lambda: out_of_sight[0][0].receive())

    *_, wait = waits_for(main, loop)
    line = inspect.getsourcelines(main)[1] + 1
    assert f"test_names.py:{line}, which is empty" in wait


async def test_find_deadlocks_says_the_given_names() -> None:
    async def take(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await creche.wait_all_tasks_blocked()
            async with second:
                raise AssertionError("never")

    one, other = creche.Lock(name="db"), creche.Lock(name="cache")
    async with creche.create_task_group() as group:
        group.start_soon(take, one, other)
        group.start_soon(take, other, one)
        await creche.wait_all_tasks_blocked()
        await creche.wait_all_tasks_blocked()
        (deadlock,) = debug.find_deadlocks()
        assert sorted(row.waits_for for row in deadlock.tasks) == ["Lock 'cache'", "Lock 'db'"]
        group.cancel_scope.cancel()


def test_places_are_noted_only_while_somebody_asks() -> None:
    assert not _labels.noting
    assert _labels.label_of(creche.Lock()) is None
    with _labels.places_noted():
        kept = _labels.label_of(creche.Lock())
    assert isinstance(kept, _labels.MadeAt) and kept.file == __file__
    assert _labels.label_of(creche.Lock()) is None


def test_a_name_costs_nothing_to_those_that_have_none() -> None:
    for make, _ in MAKE[:-1]:
        with pytest.raises(AttributeError):
            vars(type(make()))["_name"].__get__(make())  # the slot is empty

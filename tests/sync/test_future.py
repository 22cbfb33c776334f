"""`Future` on every backend: its states, its outcomes, those who wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from creche import (
    CancelScope,
    Future,
    FutureAlreadyFinished,
    FutureCancelled,
    FutureFailed,
    FutureNotFinished,
    create_task_group,
    wait_all_tasks_blocked,
)

ERROR = ValueError("boo")


def give_value(future: Future[int]) -> None:
    future.return_value = 3


def give_error(future: Future[int]) -> None:
    future.exception = ERROR


def finished_by(finish: Callable[[Future[int]], None]) -> Future[int]:
    future = Future[int]()
    finish(future)
    return future


# The table in the docstring of the module: what each state answers, and what it refuses.


def test_a_new_future_is_pending_and_has_no_outcome() -> None:
    future = Future[int](name="answer")
    assert future.status is Future.Status.PENDING
    assert repr(future) == "<Future pending name='answer'>"
    with pytest.raises(FutureNotFinished, match="the future has not finished yet"):
        _ = future.return_value
    with pytest.raises(FutureNotFinished, match="the future has not finished yet"):
        _ = future.exception


def test_a_finished_future_has_a_value_and_no_exception() -> None:
    future = finished_by(give_value)
    assert future.status is Future.Status.FINISHED
    assert future.return_value == 3
    assert future.exception is None
    assert repr(future) == "<Future finished name=None>"


def test_a_failed_future_has_an_exception_that_causes_what_reading_the_value_raises() -> None:
    future = finished_by(give_error)
    assert future.status is Future.Status.FAILED
    assert future.exception is ERROR
    with pytest.raises(FutureFailed, match="the future raised an exception") as caught:
        _ = future.return_value
    assert caught.value.__cause__ is ERROR
    assert not isinstance(caught.value, FutureCancelled)
    assert repr(future) == "<Future failed name=None>"


def test_a_cancelled_future_has_neither() -> None:
    future = finished_by(Future.cancel)
    assert future.status is Future.Status.CANCELLED
    with pytest.raises(FutureCancelled, match="the future was cancelled"):
        _ = future.return_value
    with pytest.raises(FutureCancelled, match="the future was cancelled"):
        _ = future.exception
    assert repr(future) == "<Future cancelled name=None>"


@pytest.mark.parametrize("again", [give_value, give_error])
@pytest.mark.parametrize(
    ("finish", "error", "words"),
    [
        (give_value, FutureAlreadyFinished, "the future has already finished"),
        (give_error, FutureAlreadyFinished, "the future has already finished"),
        (Future.cancel, FutureCancelled, "the future was cancelled"),
    ],
)
def test_an_outcome_is_given_once(
    finish: Callable[[Future[int]], None],
    error: type[Exception],
    words: str,
    again: Callable[[Future[int]], None],
) -> None:
    future = finished_by(finish)
    status = future.status
    with pytest.raises(error, match=words):
        again(future)
    assert future.status is status


@pytest.mark.parametrize("finish", [give_value, give_error, Future.cancel])
def test_cancel_leaves_an_outcome_alone(finish: Callable[[Future[int]], None]) -> None:
    future = finished_by(finish)
    status = future.status
    future.cancel()
    assert future.status is status


@pytest.mark.parametrize("wrong", [None, "boo", ValueError])
def test_an_exception_is_an_instance_of_one(wrong: Any) -> None:
    future = Future[int]()
    with pytest.raises(TypeError, match="must be an exception instance"):
        future.exception = wrong
    assert future.status is Future.Status.PENDING


def test_the_statuses_are_those_of_the_listing() -> None:
    assert [status.name for status in Future.Status] == [
        "PENDING",
        "FINISHED",
        "CANCELLED",
        "FAILED",
    ]


# Waiting


async def outcome_of(future: Future[int]) -> object:
    try:
        return await future
    except FutureFailed as exc:
        return type(exc), exc.__cause__


OUTCOMES = [
    (give_value, 3),
    (give_error, (FutureFailed, ERROR)),
    (Future.cancel, (FutureCancelled, None)),
]


@pytest.mark.parametrize(("finish", "outcome"), OUTCOMES)
async def test_awaiting_gives_the_same_outcome_to_all_who_wait_and_again_later(
    finish: Callable[[Future[int]], None], outcome: object
) -> None:
    future = Future[int]()
    seen: list[object] = []

    async def wait() -> None:
        seen.append(await outcome_of(future))

    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
        await wait_all_tasks_blocked()
        assert seen == []
        finish(future)
    assert seen == [outcome] * 3
    assert await outcome_of(future) == outcome
    assert await outcome_of(future) == outcome


@pytest.mark.parametrize("finish", [give_value, give_error, Future.cancel])
async def test_wait_returns_whatever_the_outcome(finish: Callable[[Future[int]], None]) -> None:
    future = Future[int]()
    async with create_task_group() as group:
        group.start_soon(future.wait)
        group.start_soon(finish_later, future, finish)
        await future.wait()
        assert future.status is not Future.Status.PENDING
    await future.wait()


async def finish_later(future: Future[int], finish: Callable[[Future[int]], None]) -> None:
    await wait_all_tasks_blocked()
    finish(future)


async def test_awaiting_a_failure_twice_raises_two_exceptions_of_one_cause() -> None:
    future = finished_by(give_error)
    raised: list[FutureFailed] = []
    for _ in range(2):
        with pytest.raises(FutureFailed) as caught:
            await future
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert raised[0].__cause__ is raised[1].__cause__ is ERROR


async def test_a_future_can_hold_an_exception_that_is_not_an_error() -> None:
    for exc in (KeyboardInterrupt(), StopIteration(1), StopAsyncIteration()):
        future = Future[int]()
        future.exception = exc
        assert await outcome_of(future) == (FutureFailed, exc)


async def test_cancelling_a_task_that_waits_leaves_the_future_pending() -> None:
    future = Future[int]()
    async with create_task_group() as group:
        group.start_soon(outcome_of, future)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert future.status is Future.Status.PENDING
    future.return_value = 1
    assert await future == 1


async def test_awaiting_a_finished_future_raises_in_a_cancelled_scope() -> None:
    future = finished_by(give_value)
    with CancelScope() as scope:
        scope.cancel()
        await future
        raise AssertionError("the cancellation was not seen")
    assert scope.cancelled_caught


module_level = Future[str]()
module_level.return_value = "made outside any loop"


async def test_a_future_finished_outside_any_loop_can_be_awaited_in_every_loop() -> None:
    assert await module_level == "made outside any loop"

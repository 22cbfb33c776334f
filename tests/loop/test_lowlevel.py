"""Checkpoints, event loop tokens and run variables on every backend."""

from __future__ import annotations

from typing import Any

import pytest

from _harness import Backend
from creche import (
    CancelScope,
    NoEventLoopError,
    RunFinishedError,
    create_task_group,
    from_thread,
    get_cancelled_exc_class,
    to_thread,
)
from creche.lowlevel import (
    EventLoopToken,
    RunVar,
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_token,
)

# Checkpoints


async def others_ran_during(operation: Any) -> bool:
    ran = False

    async def other() -> None:
        nonlocal ran
        ran = True

    async with create_task_group() as group:
        group.start_soon(other)
        await operation()
        await operation()  # Trio may let this task go first once
        ran_meanwhile = ran
    assert ran
    return ran_meanwhile


async def test_a_checkpoint_lets_others_run() -> None:
    assert await others_ran_during(checkpoint)


async def test_a_checkpoint_raises_when_cancelled() -> None:
    with CancelScope() as scope:
        scope.cancel()
        with pytest.raises(get_cancelled_exc_class()):
            await checkpoint()
        await checkpoint()
    assert scope.cancelled_caught


async def test_a_checkpoint_if_cancelled_lets_nobody_run() -> None:
    assert not await others_ran_during(checkpoint_if_cancelled)


async def test_a_checkpoint_if_cancelled_raises_when_cancelled() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await checkpoint_if_cancelled()
    assert scope.cancelled_caught


async def test_a_shielded_checkpoint_lets_others_run() -> None:
    assert await others_ran_during(cancel_shielded_checkpoint)


async def test_a_shielded_checkpoint_does_not_raise_when_cancelled() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await cancel_shielded_checkpoint()
        reached = True
    assert reached
    assert not scope.cancelled_caught


async def test_a_checkpoint_started_as_a_task_is_that_tasks_own() -> None:
    async with create_task_group() as group:
        handles = [group.start_soon(checkpoint) for _ in range(3)]
        handles[1].cancel()
    assert [handle.status.name for handle in handles] == ["FINISHED", "CANCELLED", "FINISHED"]


@pytest.mark.parametrize(
    "operation", [checkpoint, checkpoint_if_cancelled, cancel_shielded_checkpoint]
)
def test_a_checkpoint_needs_an_event_loop(operation: Any) -> None:
    with pytest.raises(NoEventLoopError):
        operation().send(None)


# Tokens


async def test_tokens_of_one_loop_are_equal(backend: Backend) -> None:
    token = current_token()
    assert token == current_token()
    assert hash(token) == hash(current_token())
    assert token.backend_name == backend.kernel
    assert token.native_token is current_token().native_token
    assert token != token.native_token
    assert backend.kernel in repr(token)


async def test_a_token_can_be_made_of_what_another_one_says() -> None:
    token = current_token()
    made = EventLoopToken(token.backend_class, token.native_token)
    assert made == token
    assert made.backend_name == token.backend_name
    assert (
        await to_thread.run_sync(lambda: from_thread.run_sync(current_token, token=made)) == token
    )


def test_a_token_made_by_hand_of_a_loop_that_has_finished_is_refused(backend: Backend) -> None:
    async def main() -> EventLoopToken:
        token = current_token()
        return EventLoopToken(backend_class=token.backend_class, native_token=token.native_token)

    token = backend.run(main)
    with pytest.raises(RunFinishedError, match="already finished"):
        from_thread.run_sync(int, token=token)


def test_a_token_says_what_is_wrong_with_its_backend() -> None:
    with pytest.raises(TypeError, match="current_token"):
        EventLoopToken("asyncio", object())


def test_tokens_of_two_loops_differ(backend: Backend) -> None:
    tokens: list[EventLoopToken] = []

    async def note() -> None:
        tokens.append(current_token())

    backend.run(note)
    backend.run(note)
    assert tokens[0] != tokens[1]


def test_there_is_no_token_without_a_loop() -> None:
    with pytest.raises(NoEventLoopError):
        current_token()


# Run variables


async def test_a_run_variable_has_one_value_for_all_tasks() -> None:
    var = RunVar[int]("var")

    async def change() -> None:
        var.set(2)

    var.set(1)
    async with create_task_group() as group:
        group.start_soon(change)
    assert var.get() == 2


def test_each_loop_has_its_own_value(backend: Backend) -> None:
    var = RunVar[int]("var", 0)
    seen: list[int] = []

    async def count() -> None:
        seen.append(var.get())
        var.set(var.get() + 1)
        seen.append(var.get())

    backend.run(count)
    backend.run(count)
    assert seen == [0, 1, 0, 1]


async def test_a_variable_without_a_value_needs_a_default() -> None:
    var = RunVar[int]("parcels")
    with pytest.raises(LookupError, match='Run variable "parcels" has no value and no default'):
        var.get()
    assert var.get(4) == 4
    assert RunVar("other", 3).get() == 3
    assert RunVar("other", 3).get(4) == 4


async def test_none_is_a_value() -> None:
    var = RunVar[int | None]("var", 3)
    var.set(None)
    assert var.get() is None
    assert var.get(5) is None


async def test_reset_brings_back_the_value_from_before_the_set() -> None:
    var = RunVar[int]("var")
    first = var.set(1)
    second = var.set(2)
    var.reset(second)
    assert var.get() == 1
    var.reset(first)
    assert var.get(None) is None


async def test_a_token_resets_at_the_end_of_its_block() -> None:
    var = RunVar[int]("var", 0)
    with var.set(1):
        assert var.get() == 1
        var.set(2)
    assert var.get() == 0


async def test_a_token_can_be_used_once_and_for_its_own_variable_only() -> None:
    var, other = RunVar[int]("var"), RunVar[int]("other")
    token = var.set(1)
    with pytest.raises(ValueError, match="This token does not belong to this RunVar"):
        other.reset(token)
    var.reset(token)
    with pytest.raises(ValueError, match="This token has already been used"):
        var.reset(token)


def test_a_run_variable_needs_an_event_loop() -> None:
    var = RunVar("var", 3)
    with pytest.raises(NoEventLoopError):
        var.get()
    with pytest.raises(NoEventLoopError):
        var.set(4)


def test_a_run_variable_shows_its_name() -> None:
    assert repr(RunVar("parcels")) == "<RunVar name='parcels'>"

"""What groups raise, on every backend: groups of errors, split groups, tracebacks, lifetimes."""

from __future__ import annotations

import gc
import traceback
import weakref
from collections.abc import Awaitable, Callable

import pytest

from _harness import Backend, leaves
from creche import (
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

MESSAGE = "unhandled errors in a TaskGroup"


async def fail_with(exc: BaseException) -> None:
    raise exc


async def fail_when_cancelled(exc: BaseException) -> None:
    try:
        await sleep_forever()
    except get_cancelled_exc_class():
        raise exc  # noqa: B904  # the cancellation is to be its context


# What is in the group


async def test_one_failure_comes_in_a_group() -> None:
    error = ValueError("no")
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(fail_with, error)
    assert caught.value.message == MESSAGE
    assert caught.value.exceptions == (error,)


async def test_a_failure_of_the_body_comes_in_a_group_as_well() -> None:
    error = ValueError("no")
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever)
            raise error
    assert caught.value.message == MESSAGE
    assert caught.value.exceptions == (error,)


async def test_failures_of_body_and_children_come_together() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(fail_when_cancelled, KeyError("child"))
            tg.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            raise ValueError("body")
    assert {repr(leaf) for leaf in leaves(caught.value)} == {
        "ValueError('body')",
        "KeyError('child')",
    }


def test_interrupts_of_children_are_collected_with_the_other_errors(backend: Backend) -> None:
    async def main() -> None:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with create_task_group() as tg:
                tg.start_soon(fail_with, SystemExit(3))
                tg.start_soon(fail_with, KeyboardInterrupt())
                tg.start_soon(fail_with, ValueError("no"))
        assert caught.value.message == MESSAGE
        assert {type(leaf) for leaf in caught.value.exceptions} == {
            SystemExit,
            KeyboardInterrupt,
            ValueError,
        }
        await checkpoint()

    try:
        backend.run(main)
    except (SystemExit, KeyboardInterrupt) as exc:
        pytest.fail(f"{exc!r} tore the loop down")


@pytest.mark.parametrize("where", ["child", "body"])
async def test_a_group_raised_by_the_user_stays_whole_inside_the_outer_one(where: str) -> None:
    mine = ExceptionGroup("mine", [ValueError(1), ExceptionGroup("deeper", [KeyError(2)])])
    mine.add_note("noted")
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            if where == "body":
                raise mine
            tg.start_soon(fail_with, mine)
    assert caught.value.message == MESSAGE
    (inner,) = caught.value.exceptions
    assert isinstance(inner, ExceptionGroup)
    assert inner.message == "mine"
    assert inner.__notes__[0] == "noted"
    assert [note.startswith("in task ") for note in inner.__notes__[1:]] == [True] * (
        where != "body"
    )
    assert repr(inner.exceptions) == repr(mine.exceptions)
    assert leaves(inner) == leaves(mine)


async def test_nested_groups_nest_their_errors() -> None:
    error = ValueError("no")

    async def inner() -> None:
        async with create_task_group() as tg:
            tg.start_soon(fail_with, error)

    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(inner)
    (nested,) = caught.value.exceptions
    assert isinstance(nested, ExceptionGroup)
    assert nested.exceptions == (error,)


async def test_an_error_raised_by_two_children_is_in_the_group_twice() -> None:
    error = ValueError("shared")
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(fail_with, error)
            tg.start_soon(fail_with, error)
    assert caught.value.exceptions == (error, error)


# Groups that mix errors and cancellations


async def test_errors_meet_an_outer_cancellation_and_only_the_errors_come_out() -> None:
    inside: list[type] = []
    with pytest.raises(ExceptionGroup) as caught, CancelScope() as outer:
        try:
            async with create_task_group() as tg:
                tg.start_soon(fail_when_cancelled, ValueError("no"))
                for _ in range(3):
                    tg.start_soon(sleep_forever)
                await wait_all_tasks_blocked()
                outer.cancel()
        except BaseExceptionGroup as group:
            inside.extend(type(leaf) for leaf in leaves(group))
            raise
    assert sorted(kind.__name__ for kind in inside) == sorted(
        ["ValueError", get_cancelled_exc_class().__name__]
    )
    assert [repr(leaf) for leaf in leaves(caught.value)] == ["ValueError('no')"]
    assert caught.value.message == MESSAGE
    assert outer.cancelled_caught


async def test_a_groups_own_cancellation_is_not_among_its_errors() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(fail_when_cancelled, ValueError("no"))
            tg.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
            await sleep_forever()
    assert [repr(leaf) for leaf in leaves(caught.value)] == ["ValueError('no')"]
    assert tg.cancel_scope.cancelled_caught


async def test_only_the_scopes_own_cancellation_is_taken_from_a_mixed_group() -> None:
    """The scope in the middle is not cancelled: it has nothing to take."""
    passed: list[type] = []
    with pytest.raises(ExceptionGroup), CancelScope() as outer:
        try:
            with CancelScope() as middle:
                async with create_task_group() as tg:
                    tg.start_soon(fail_when_cancelled, ValueError("no"))
                    tg.start_soon(sleep_forever)
                    await wait_all_tasks_blocked()
                    outer.cancel()
        except BaseExceptionGroup as group:
            passed.extend(type(leaf) for leaf in leaves(group))
            raise
    assert get_cancelled_exc_class() in passed
    assert not middle.cancelled_caught
    assert outer.cancelled_caught


async def test_cause_context_and_notes_survive_the_split() -> None:
    cause, context = OSError("cause"), LookupError("context")
    mine = ExceptionGroup("mine", [ValueError(1), KeyError(2)])
    mine.__cause__ = KeyError("inner cause")
    mine.add_note("inner note")
    with pytest.raises(ExceptionGroup) as caught, CancelScope() as outer:
        try:
            async with create_task_group() as tg:
                tg.start_soon(fail_when_cancelled, mine)
                tg.start_soon(sleep_forever)
                await wait_all_tasks_blocked()
                outer.cancel()
        except BaseExceptionGroup as group:
            group.add_note("outer note")
            group.__cause__, group.__context__ = cause, context
            raise
    assert caught.value.__cause__ is cause
    assert caught.value.__context__ is context
    assert caught.value.__notes__ == ["outer note"]
    (inner,) = caught.value.exceptions
    assert isinstance(inner, ExceptionGroup)
    assert inner.message == "mine"
    assert inner.exceptions == mine.exceptions
    assert repr(inner.__cause__) == "KeyError('inner cause')"
    assert inner.__notes__[0] == "inner note"


async def test_the_childs_own_cause_and_context_are_kept() -> None:
    async def child() -> None:
        try:
            raise KeyError("first")
        except KeyError as exc:
            raise ValueError("second") from exc

    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(child)
    (error,) = caught.value.exceptions
    assert repr(error.__cause__) == "KeyError('first')"
    assert error.__context__ is error.__cause__


# Tracebacks and lifetimes


async def nested_failure(depth: int) -> None:
    if not depth:
        raise ValueError("at the bottom")
    async with create_task_group() as tg:
        tg.start_soon(nested_failure, depth - 1)


async def nested_cancel(depth: int) -> None:
    if not depth:
        with CancelScope() as scope:
            scope.cancel()
            await sleep_forever()
        raise ValueError("at the bottom")
    with CancelScope():
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever)
            await nested_cancel(depth - 1)


@pytest.mark.parametrize("nested", [nested_failure, nested_cancel])
async def test_tracebacks_grow_with_depth_not_with_its_square(
    nested: Callable[[int], Awaitable[None]],
) -> None:
    def lines(exc: BaseException) -> int:
        text = traceback.TracebackException.from_exception(exc, max_group_depth=100).format()
        return sum(chunk.count("\n") for chunk in text)

    sizes = []
    for depth in (8, 16):
        with pytest.raises(ExceptionGroup) as caught:
            await nested(depth)
        sizes.append(lines(caught.value))
        del caught
    assert sizes[1] <= 2.6 * sizes[0], sizes


async def test_a_failed_sibling_adds_nothing_to_the_others_tracebacks() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            for _ in range(20):
                tg.start_soon(fail_with, ValueError("no"))
    depths = {len(traceback.extract_tb(leaf.__traceback__)) for leaf in leaves(caught.value)}
    assert len(depths) == 1
    assert depths.pop() <= 4


class Witness:
    """Something whose end can be seen."""


async def _returns() -> None:
    await checkpoint()


async def _fails() -> None:
    await checkpoint()
    raise ValueError("no")


@pytest.mark.parametrize("end", [_returns, _fails, sleep_forever])
async def test_a_finished_groups_frames_die_without_the_collector(
    end: Callable[[], Awaitable[None]],
) -> None:
    witnesses: list[weakref.ref[Witness]] = []

    async def child() -> None:
        witness = Witness()
        witnesses.append(weakref.ref(witness))
        await end()

    async def host() -> None:
        witness = Witness()
        witnesses.append(weakref.ref(witness))
        try:
            async with create_task_group() as tg:
                tg.start_soon(child)
                await wait_all_tasks_blocked()
                tg.cancel_scope.cancel()
                await checkpoint()
        except* ValueError:
            pass

    gc.collect()
    gc.disable()
    try:
        await host()
        await checkpoint()
        alive = [ref for ref in witnesses if ref() is not None]
    finally:
        gc.enable()
    assert len(witnesses) == 2
    assert alive == []


async def test_a_scope_that_caught_keeps_no_frame_alive() -> None:
    witnesses: list[weakref.ref[Witness]] = []

    async def waits() -> None:
        witness = Witness()
        witnesses.append(weakref.ref(witness))
        await Event().wait()

    gc.collect()
    gc.disable()
    try:
        with CancelScope() as scope:
            scope.cancel()
            await waits()
        await checkpoint()
        alive = [ref for ref in witnesses if ref() is not None]
    finally:
        gc.enable()
    assert scope.cancelled_caught
    assert len(witnesses) == 1
    assert alive == []

"""Scopes and groups left in the wrong task or in the wrong order, and generators abandoned inside.

Each is an error that says where the scope was entered, and none damages another scope.
"""

from __future__ import annotations

import gc
import inspect
import sys
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from _harness import Backend, leaves
from _harness._leaks import LoopReports
from creche import (
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    move_on_after,
    run,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup
from creche.lowlevel import checkpoint

HERE = "test_cancellation_misuse.py"


def enter(scope: CancelScope) -> None:
    scope.__enter__()


def leave(scope: CancelScope) -> None:
    scope.__exit__(None, None, None)


ENTERED_AT = str(inspect.getsourcelines(enter)[1] + 1)


async def still_works() -> None:
    """Scopes and groups made from here behave."""
    with CancelScope() as scope:
        scope.cancel()
        await sleep_forever()
    assert scope.cancelled_caught
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        await wait_all_tasks_blocked()
        tg.cancel_scope.cancel()
    await checkpoint()


async def test_a_cancelled_child_that_leaves_anothers_scope_is_told_so_and_its_owner_leaves_it() -> (
    None
):
    scope, errors = CancelScope(), list[BaseException]()
    enter(scope)

    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            with pytest.raises(RuntimeError, match="in a different task") as raised:
                leave(scope)
            errors.append(raised.value)

    async with create_task_group() as tg:
        handle = tg.start_soon(child)
        await wait_all_tasks_blocked()
        handle.cancel()
    leave(scope)
    assert len(errors) == 1
    await still_works()


async def test_a_cancelled_scope_that_another_task_leaves_still_cancels_its_own_task() -> None:
    scope, entered, tried, errors = CancelScope(), Event(), Event(), list[str]()

    async def enters() -> None:
        enter(scope)
        entered.set()
        with CancelScope(shield=True):
            await tried.wait()
        with pytest.raises(get_cancelled_exc_class()):
            await checkpoint()
        leave(scope)
        await still_works()

    async with create_task_group() as tg:
        tg.start_soon(enters, name="its own")
        await entered.wait()
        scope.cancel()
        with pytest.raises(RuntimeError, match="in a different task") as raised:
            leave(scope)
        errors.append(str(raised.value))
        await still_works()
        tried.set()
    assert errors[0].endswith("It is cancelled already, and stays so for task 'its own'")


async def test_leaving_a_scope_in_another_task_names_both_tasks_and_the_line() -> None:
    scope, entered, tried, errors = CancelScope(), Event(), Event(), []

    async def enters() -> None:
        enter(scope)
        entered.set()
        await tried.wait()
        leave(scope)
        await still_works()

    async def leaves_it() -> None:
        await entered.wait()
        with pytest.raises(RuntimeError) as caught:
            leave(scope)
        errors.append(str(caught.value))
        await still_works()
        tried.set()

    async with create_task_group() as tg:
        tg.start_soon(enters, name="the task that enters")
        tg.start_soon(leaves_it, name="the task that leaves")
    await still_works()
    (text,) = errors
    assert "the task that enters" in text
    assert "the task that leaves" in text
    assert HERE in text
    assert ENTERED_AT in text


async def test_leaving_a_scope_in_another_task_damages_no_scope_there() -> None:
    scope, entered, tried = CancelScope(), Event(), Event()

    async def enters() -> None:
        enter(scope)
        entered.set()
        await tried.wait()
        leave(scope)

    async with create_task_group() as tg:
        tg.start_soon(enters)
        await entered.wait()
        with CancelScope() as mine:
            with pytest.raises(RuntimeError):
                leave(scope)
            mine.cancel()
            await sleep_forever()
        tried.set()
    assert mine.cancelled_caught
    assert not scope.cancel_called


async def test_leaving_scopes_in_the_wrong_order_says_where_and_damages_no_other() -> None:
    outer, inner = CancelScope(), CancelScope()
    with CancelScope() as enclosing:
        enter(outer)
        enter(inner)
        with pytest.raises(RuntimeError) as caught:
            leave(outer)
        assert HERE in str(caught.value)
        assert ENTERED_AT in str(caught.value)
        leave(inner)
        with suppress(RuntimeError):
            leave(outer)
        await still_works()
        enclosing.cancel()
        await sleep_forever()
    assert enclosing.cancelled_caught
    await still_works()


async def test_a_scope_left_in_the_wrong_order_does_not_cancel_what_is_around_it() -> None:
    outer, inner = CancelScope(), CancelScope()
    enter(outer)
    enter(inner)
    outer.cancel()
    with pytest.raises(RuntimeError):
        leave(outer)
    leave(inner)
    with suppress(RuntimeError):
        leave(outer)
    await checkpoint()
    await still_works()


async def test_leaving_a_scope_that_was_not_entered_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        leave(CancelScope())
    await still_works()


async def test_entering_a_scope_a_second_time_is_an_error() -> None:
    with CancelScope() as scope:
        with pytest.raises(RuntimeError):
            enter(scope)
        await still_works()
    with pytest.raises(RuntimeError):
        enter(scope)
    await still_works()


async def test_leaving_a_group_in_another_task_names_both_tasks_and_the_line() -> None:
    entered, tried, errors, groups = Event(), Event(), [], []

    async def enter_group(tg: TaskGroup) -> None:
        await tg.__aenter__()

    entered_at = str(inspect.getsourcelines(enter_group)[1] + 1)

    async def enters() -> None:
        tg = create_task_group()
        groups.append(tg)
        await enter_group(tg)
        entered.set()
        await tried.wait()
        await tg.__aexit__(None, None, None)
        await still_works()

    async def leaves_it() -> None:
        await entered.wait()
        with pytest.raises(RuntimeError) as caught:
            await groups[0].__aexit__(None, None, None)
        errors.append(str(caught.value))
        await still_works()
        tried.set()

    async with create_task_group() as tg:
        tg.start_soon(enters, name="the task that enters")
        tg.start_soon(leaves_it, name="the task that leaves")
    (text,) = errors
    assert "the task that enters" in text
    assert "the task that leaves" in text
    assert HERE in text
    assert entered_at in text


async def test_a_context_manager_that_yields_inside_a_scope_is_no_misuse() -> None:
    @asynccontextmanager
    async def limited() -> AsyncGenerator[CancelScope]:
        with CancelScope() as scope:
            async with create_task_group() as tg:
                tg.start_soon(sleep_forever)
                yield scope
                tg.cancel_scope.cancel()

    async with limited() as scope:
        await wait_all_tasks_blocked()
    assert not scope.cancel_called
    async with limited() as scope:
        scope.cancel()
        await sleep_forever()
    assert scope.cancelled_caught


# Abandoned generators (PEP 789)


async def yields_in_a_scope() -> AsyncGenerator[int]:
    with CancelScope():
        yield 1


async def yields_in_a_deadline() -> AsyncGenerator[int]:
    with move_on_after(60):
        yield 1


async def yields_in_a_group() -> AsyncGenerator[int]:
    async with create_task_group():
        yield 1


@pytest.mark.parametrize("generator", [yields_in_a_scope, yields_in_a_deadline, yields_in_a_group])
def test_a_generator_abandoned_inside_a_scope_is_reported_with_its_place(
    backend: Backend,
    generator: Callable[[], AsyncGenerator[int]],
    loop_reports: LoopReports,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: heard.append(str(info.exc_value)))

    async def abandons() -> None:
        async for _ in generator():
            break
        gc.collect()
        await checkpoint()

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            backend.run(abandons)
        except BaseExceptionGroup as group:
            heard += [str(exc) for exc in leaves(group)]
        except RuntimeError as exc:
            heard.append(str(exc))
        gc.collect()
    heard += [str(warning.message) for warning in warned]
    heard += [str(leaf) for exc in loop_reports.errors() for leaf in leaves(exc)]
    loop_reports.take()
    entered_at = str(inspect.getsourcelines(generator)[1] + 1)
    # Trio can close some generators on the spot, and names them; others end in a scope's error.
    naming = [text for text in heard if generator.__name__ in text]
    naming += [text for text in heard if HERE in text and entered_at in text]
    assert naming, heard


def test_a_generator_abandoned_inside_a_scope_does_not_break_the_next_run(
    backend: Backend, loop_reports: LoopReports
) -> None:
    async def abandons() -> None:
        async for _ in yields_in_a_scope():
            break

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(RuntimeError, BaseExceptionGroup):
            backend.run(abandons)
        gc.collect()
    loop_reports.take()
    run(still_works, backend=backend.kernel)
    assert loop_reports.take() == []

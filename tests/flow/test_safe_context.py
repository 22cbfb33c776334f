"""`safe_contextmanager`: a generator in a task of its own, whoever enters and leaves the block."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Any

import pytest

from _harness import cancel_at_each_checkpoint
from creche import (
    CancelScope,
    Event,
    create_task_group,
    fail_after,
    get_cancelled_exc_class,
    get_current_task,
    move_on_after,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup
from creche.flow import SafeContextManager, safe_contextmanager
from creche.lowlevel import checkpoint

log: list[Any] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


@safe_contextmanager
async def resource(name: str = "it") -> AsyncGenerator[str]:
    """Yields inside a group and a scope."""
    log.append("open")
    try:
        async with create_task_group() as group:
            with fail_after(60):
                group.start_soon(sleep_forever)
                await checkpoint()
                yield name
                await checkpoint()
                group.cancel()
    except BaseException as exc:
        log.append(type(exc).__name__)
        raise
    finally:
        log.append("closed")


async def test_the_block_has_what_was_yielded() -> None:
    async with resource("name") as value:
        assert value == "name"
        assert log == ["open"]
    assert log == ["open", "closed"]


async def test_one_task_may_enter_and_another_leave() -> None:
    manager = resource()
    scopes = CancelScope()

    async def enter() -> None:
        with scopes:  # which the block is in no more when it is left
            await manager.__aenter__()

    async def leave() -> None:
        await manager.__aexit__(None, None, None)

    async with create_task_group() as group:
        group.start_soon(enter)
    scopes.cancel()
    await wait_all_tasks_blocked()
    assert log == ["open"]
    async with create_task_group() as group:
        group.start_soon(leave)
    assert log == ["open", "closed"]


async def test_blocks_may_overlap_in_one_task() -> None:
    one, other = resource(), resource()
    await one.__aenter__()
    await other.__aenter__()
    with CancelScope() as scope:
        await one.__aexit__(None, None, None)
        await other.__aexit__(None, None, None)
    assert not scope.cancelled_caught
    assert log == ["open", "open", "closed", "closed"]


async def test_the_generator_has_one_task_and_a_copy_of_the_context() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="outer")

    @safe_contextmanager
    async def contextual() -> AsyncGenerator[int]:
        token = variable.set("inner")
        yield get_current_task().id
        assert variable.get() == "inner"
        variable.reset(token)
        log.append(get_current_task().id)

    async with contextual() as task_id:
        assert variable.get() == "outer"
        assert task_id != get_current_task().id
    assert log == [task_id]


# Errors


async def test_an_error_of_the_block_is_thrown_in_at_the_yield() -> None:
    @safe_contextmanager
    async def noting() -> AsyncGenerator[None]:
        try:
            yield
        except KeyError as exc:
            log.append(exc)
            raise

    error = KeyError()
    with pytest.raises(KeyError) as caught:
        async with noting():
            raise error
    assert caught.value is error
    assert log == [error]


async def test_an_error_may_be_swallowed_at_the_yield() -> None:
    @safe_contextmanager
    async def swallowing() -> AsyncGenerator[None]:
        try:
            yield
        except KeyError:
            log.append("swallowed")

    async with swallowing():
        raise KeyError
    assert log == ["swallowed"]


async def test_another_error_takes_its_place() -> None:
    @safe_contextmanager
    async def translating() -> AsyncGenerator[None]:
        try:
            yield
        except KeyError as exc:
            raise LookupError("translated") from exc

    with pytest.raises(LookupError, match="translated"):
        async with translating():
            raise KeyError


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
async def test_errors_that_end_generators_go_through(kind: type[Exception]) -> None:
    @safe_contextmanager
    async def plain() -> AsyncGenerator[None]:
        yield

    error = kind()
    with pytest.raises(kind) as caught:
        async with plain():
            raise error
    assert caught.value is error


async def test_an_error_before_the_yield_comes_out_of_entering() -> None:
    @safe_contextmanager
    async def failing() -> AsyncGenerator[None]:
        await checkpoint()
        if not log:
            raise LookupError("before")
        yield

    with pytest.raises(LookupError, match="before"):
        async with failing():
            raise AssertionError("not reached")


async def test_an_error_after_the_yield_comes_out_of_leaving() -> None:
    @safe_contextmanager
    async def failing() -> AsyncGenerator[None]:
        yield
        raise LookupError("after")

    with pytest.raises(LookupError, match="after"):
        async with failing():
            pass


async def test_a_failing_task_of_its_group_comes_out_when_the_block_is_left() -> None:
    async def fail() -> None:
        raise LookupError

    @safe_contextmanager
    async def grouped() -> AsyncGenerator[TaskGroup]:
        async with create_task_group() as group:
            yield group

    with pytest.raises(ExceptionGroup) as caught:
        async with grouped() as group:
            group.start_soon(fail)
            await wait_all_tasks_blocked()
            log.append("the block goes on")
    assert caught.group_contains(LookupError)
    assert log == ["the block goes on"]
    error = KeyError()
    with pytest.raises(ExceptionGroup) as both:
        async with grouped() as group:
            group.start_soon(fail)
            await wait_all_tasks_blocked()
            raise error
    assert both.value.__context__ is error


# Cancellation


async def test_a_cancelled_block_cancels_the_generator_at_its_yield() -> None:
    with CancelScope() as scope:
        async with resource():
            scope.cancel()
            await checkpoint()
    assert scope.cancelled_caught
    assert log == ["open", get_cancelled_exc_class().__name__, "closed"]


async def test_a_cancel_while_entering_ends_the_generator() -> None:
    @safe_contextmanager
    async def slow() -> AsyncGenerator[None]:
        try:
            await sleep_forever()
            yield
        finally:
            log.append("closed")

    with move_on_after(0.01):
        async with slow():
            raise AssertionError("not reached")
    assert log == ["closed"]


async def test_a_cancel_while_leaving_reaches_the_clean_up_and_waits_for_it() -> None:
    @safe_contextmanager
    async def slow() -> AsyncGenerator[None]:
        yield
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await sleep(0.01)
            log.append("closed")

    with move_on_after(0.01) as scope:
        async with slow():
            pass
    assert scope.cancelled_caught
    assert log == ["closed"]


async def test_entering_in_a_cancelled_scope_raises() -> None:
    with CancelScope() as scope:
        scope.cancel()
        async with resource():
            raise AssertionError("not reached")
    assert scope.cancelled_caught
    await wait_all_tasks_blocked()
    assert log in ([], ["open", get_cancelled_exc_class().__name__, "closed"])


async def test_it_leaves_nothing_behind_wherever_it_is_cancelled() -> None:
    async def whole() -> None:
        async with resource():
            await checkpoint()

    assert await cancel_at_each_checkpoint(whole, wait_all_tasks_blocked) > 2


async def test_the_block_is_not_in_the_generator_s_scopes() -> None:
    release = Event()

    @safe_contextmanager
    async def scoped() -> AsyncGenerator[CancelScope]:
        with CancelScope() as scope:
            yield scope
        release.set()

    async with scoped() as scope:
        scope.cancel()
        await release.wait()
        await checkpoint()
        log.append("not cancelled")
    assert log == ["not cancelled"]


# Misuse


async def test_a_generator_with_no_yield_or_two_is_an_error() -> None:
    @safe_contextmanager
    async def none() -> AsyncGenerator[None]:
        if log:
            yield

    @safe_contextmanager
    async def two() -> AsyncGenerator[None]:
        yield
        yield

    with pytest.raises(RuntimeError, match="generator didn't yield"):
        async with none():
            pass
    with pytest.raises(RuntimeError, match=r"generator didn't stop: .*two has a second 'yield'"):
        async with two():
            pass


async def test_it_is_entered_once() -> None:
    manager = resource()
    assert isinstance(manager, SafeContextManager)
    assert repr(manager) == "<SafeContextManager of resource>"
    async with manager:
        pass
    with pytest.raises(RuntimeError, match="was entered before"):
        async with manager:
            pass


def test_it_goes_on_async_generator_functions_only() -> None:
    wrong: Any = len
    with pytest.raises(TypeError, match="goes on an async generator function"):
        safe_contextmanager(wrong)


async def test_one_that_is_not_entered_never_starts() -> None:
    resource()
    await checkpoint()
    assert log == []

"""Groups on a loop that has a task factory: the factory makes the children, and sees how they end."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from _harness import leaves, on_asyncio
from creche import (
    CancelScope,
    TaskInfo,
    create_task_group,
    fail_after,
    get_current_task,
    get_running_tasks,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint

pytestmark = on_asyncio

Factory = Callable[..., Any]


@contextmanager
def task_factory(factory: Factory) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(factory)
    try:
        yield
    finally:
        loop.set_task_factory(before)


class PlainTask(asyncio.Task[Any]):
    """A task of a program's own class."""


def plain(loop: Any, coro: Any, **options: Any) -> Any:
    return PlainTask(coro, loop=loop, **options)


class Wrapping:
    """A factory that runs each child in a coroutine of its own, and notes what comes out."""

    def __init__(self, *, eager: bool = False) -> None:
        self.seen: list[object] = []
        self._eager = {"eager_start": True} if eager else {}

    def __call__(self, loop: Any, coro: Any, **options: Any) -> Any:
        return asyncio.Task(self.wrap(coro), loop=loop, **{**options, **self._eager})

    async def wrap(self, coro: Coroutine[Any, Any, Any]) -> Any:
        try:
            value = await coro
        except BaseException as exc:
            self.seen.append(type(exc))
            raise
        self.seen.append(value)
        return value


def eager() -> Factory:
    make: Any = vars(asyncio)["create_eager_task_factory"](PlainTask)

    def factory(loop: Any, coro: Any, *, eager_start: None = None, **options: Any) -> Any:
        return make(loop, coro, **options)  # uvloop says `eager_start` to Pythons without it too.

    return factory


def factories() -> list[Any]:
    made: list[Any] = [pytest.param(lambda: plain, id="class")]
    made.append(pytest.param(Wrapping, id="wrapping"))
    if sys.version_info >= (3, 12):
        made.append(pytest.param(eager, id="eager"))
        made.append(pytest.param(lambda: Wrapping(eager=True), id="eager wrapping"))
    return made


with_each_factory = pytest.mark.parametrize("make_factory", factories())


async def value(number: int) -> int:
    await checkpoint()
    return number


async def fails() -> None:
    await checkpoint()
    raise ValueError("no")


async def starts(*, task_status: TaskStatus[int]) -> str:
    await checkpoint()
    task_status.started(3)
    await checkpoint()
    return "ended"


# The children are what they are without one


@with_each_factory
async def test_children_return_and_their_handles_know_it(make_factory: Callable[[], Any]) -> None:
    with task_factory(make_factory()):
        async with create_task_group() as tg:
            first = tg.start_soon(value, 1)
            second = tg.create_task(value(2), name="second")
            third = await tg.start(starts, return_handle=True)
            assert third.start_value == 3
            assert await first == 1
    assert (first.return_value, second.return_value, third.return_value) == (1, 2, "ended")


@with_each_factory
async def test_the_first_step_comes_after_start_soon_has_returned(
    make_factory: Callable[[], Any],
) -> None:
    log: list[str] = []

    async def child() -> None:
        log.append("child")

    with task_factory(make_factory()):
        async with create_task_group() as tg:
            tg.start_soon(child)
            tg.create_task(child())
            log.append("host")
    assert log == ["host", "child", "child"]


@with_each_factory
async def test_an_error_cancels_the_others_and_leaves_the_group(
    make_factory: Callable[[], Any],
) -> None:
    with task_factory(make_factory()), pytest.raises(ExceptionGroup) as raised:
        async with create_task_group() as tg:
            tg.start_soon(fails)
            other = tg.start_soon(sleep_forever)
    assert [type(exc) for exc in leaves(raised.value)] == [ValueError]
    assert other.status is other.Status.CANCELLED


@with_each_factory
async def test_errors_before_started_are_raised_bare(make_factory: Callable[[], Any]) -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        await fails()

    with task_factory(make_factory()):
        async with create_task_group() as tg:
            with pytest.raises(ValueError, match="no"):
                await tg.start(child)


@with_each_factory
async def test_children_are_cancelled_by_scopes_deadlines_and_handles(
    make_factory: Callable[[], Any],
) -> None:
    cleaned: list[str] = []

    async def child(name: str) -> None:
        try:
            await sleep_forever()
        finally:
            with pytest.raises(asyncio.CancelledError):
                await checkpoint()  # Level-triggered.
            cleaned.append(name)

    with task_factory(make_factory()):
        async with create_task_group() as tg:
            tg.start_soon(child, "group")
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
        async with create_task_group() as tg:
            handle = tg.start_soon(child, "handle")
            other = tg.start_soon(value, 1)
            await wait_all_tasks_blocked()
            handle.cancel()
        assert other.return_value == 1
        with CancelScope() as scope:
            async with create_task_group() as tg:
                tg.start_soon(child, "around")
                await wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError):
            with fail_after(0.01):
                async with create_task_group() as tg:
                    tg.start_soon(child, "deadline")
    assert cleaned == ["group", "handle", "around", "deadline"]


@with_each_factory
async def test_a_child_of_a_cancelled_group_takes_its_first_step(
    make_factory: Callable[[], Any],
) -> None:
    log: list[str] = []

    async def child() -> None:
        log.append("begun")
        await sleep_forever()

    with task_factory(make_factory()):
        async with create_task_group() as tg:
            tg.cancel_scope.cancel()
            tg.start_soon(child)
    assert log == ["begun"]


@with_each_factory
async def test_children_are_listed_with_name_parent_and_coroutine(
    make_factory: Callable[[], Any],
) -> None:
    infos: list[TaskInfo] = []

    async def child() -> None:
        infos.append(get_current_task())
        await sleep_forever()

    with task_factory(make_factory()):
        async with create_task_group() as tg:
            handle = tg.start_soon(child, name="the child")
            await wait_all_tasks_blocked()
            assert infos[0] in get_running_tasks()
            tg.cancel_scope.cancel()
    assert infos[0].name == "the child"
    assert infos[0].parent_id == get_current_task().id
    assert infos[0].coro is handle.coro


# What the factory sees


async def test_the_factory_makes_the_tasks_of_a_group() -> None:
    natives: list[Any] = []

    async def child() -> None:
        natives.append(asyncio.current_task())

    async def ready(*, task_status: TaskStatus[None]) -> None:
        await child()
        task_status.started()

    with task_factory(plain):
        async with create_task_group() as tg:
            tg.start_soon(child, name="a child")
            tg.create_task(child())
            await tg.start(ready)
    assert [type(native) for native in natives] == [PlainTask] * 3
    assert natives[0].get_name() == "a child"


async def test_the_coroutine_of_the_factory_sees_what_its_child_returns_and_raises() -> None:
    factory = Wrapping()
    with task_factory(factory), pytest.raises(ExceptionGroup):
        async with create_task_group() as tg:
            tg.start_soon(value, 7)
            tg.start_soon(sleep_forever)
            await sleep(0.01)
            tg.start_soon(fails)
    assert factory.seen == [7, ValueError, asyncio.CancelledError]


async def test_what_the_factorys_coroutine_makes_of_the_outcome_is_the_outcome() -> None:
    async def changes(coro: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await coro
        except ValueError:
            return "swallowed"

    with task_factory(
        lambda loop, coro, **options: asyncio.Task(changes(coro), loop=loop, **options)
    ):
        async with create_task_group() as tg:
            handle = tg.start_soon(fails)
    assert handle.return_value == "swallowed"


async def test_the_group_waits_for_what_the_factorys_coroutine_does_last() -> None:
    log: list[str] = []

    async def wraps(coro: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await coro
        finally:
            await asyncio.sleep(0.01)
            log.append("reported")

    with task_factory(
        lambda loop, coro, **options: asyncio.Task(wraps(coro), loop=loop, **options)
    ):
        async with create_task_group() as tg:
            tg.start_soon(value, 1)
    assert log == ["reported"]


tag: ContextVar[dict[str, str]] = ContextVar("tag")


async def test_each_child_has_the_scope_that_a_tool_forks_for_it() -> None:
    """As error reporters do it: data that is set in a child goes with the reports of that child."""

    async def isolated(coro: Coroutine[Any, Any, Any]) -> Any:
        token = tag.set(dict(tag.get()))
        try:
            return await coro
        finally:
            tag.reset(token)

    def isolating(loop: Any, coro: Any, **options: Any) -> Any:
        return asyncio.Task(isolated(coro), loop=loop, **options)

    reports: list[tuple[str, str]] = []

    async def request(user: str) -> None:
        tag.get()["user"] = user
        await wait_all_tasks_blocked()
        reports.append((user, tag.get()["user"]))

    tag.set({})
    with task_factory(isolating):
        async with create_task_group() as tg:
            tg.start_soon(request, "first")
            tg.start_soon(request, "second")
    assert sorted(reports) == [("first", "first"), ("second", "second")]


# Factories that fail


async def test_a_factory_that_fails_leaves_nothing_behind() -> None:
    def broken(loop: Any, coro: Any, **options: Any) -> Any:
        raise LookupError("no task today")

    async with create_task_group() as tg:
        with task_factory(broken):
            with pytest.raises(LookupError):
                tg.start_soon(value, 1)
            coro = value(1)
            with pytest.raises(LookupError):
                tg.create_task(coro)
            assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED
            with pytest.raises(LookupError):
                await tg.start(starts)
        handle = tg.start_soon(value, 2)
    assert handle.return_value == 2


async def test_a_coroutine_of_the_factory_that_never_runs_the_child_ends_it() -> None:
    async def refuses(coro: Coroutine[Any, Any, Any]) -> Any:
        coro.close()
        raise LookupError("refused")

    with (
        task_factory(
            lambda loop, coro, **options: asyncio.Task(refuses(coro), loop=loop, **options)
        ),
        pytest.raises(ExceptionGroup) as raised,
    ):
        async with create_task_group() as tg:
            tg.start_soon(value, 1)
    assert [str(exc) for exc in leaves(raised.value)] == ["refused"]


async def test_a_child_that_is_cancelled_natively_before_its_first_step_has_ended() -> None:
    natives: list[asyncio.Task[Any]] = []

    def noting(loop: Any, coro: Any, **options: Any) -> Any:
        natives.append(asyncio.Task(coro, loop=loop, **options))
        return natives[-1]

    with task_factory(noting):
        async with create_task_group() as tg:
            handle = tg.start_soon(value, 1)
            natives[0].cancel()
    assert handle.status is handle.Status.CANCELLED


async def test_a_child_that_the_factorys_coroutine_leaves_alone_half_way_has_ended() -> None:
    async def leaves_it(coro: Coroutine[Any, Any, Any]) -> str:
        coro.send(None)
        return "left"

    closed: list[BaseException] = []

    async def child() -> None:
        try:
            await asyncio.sleep(0)
        except GeneratorExit as exc:
            closed.append(exc)
            raise

    def leaving(loop: Any, coro: Any, **options: Any) -> Any:
        return asyncio.Task(leaves_it(coro), loop=loop, **options)

    with task_factory(leaving):
        async with create_task_group() as tg:
            handle = tg.start_soon(child)
        value_of: Any = handle  # the factory has put another value in the place of the child's
        assert (value_of.return_value, len(closed)) == ("left", 1)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks")
async def test_an_eager_factory_whose_coroutine_ends_at_once_ends_the_child() -> None:
    async def refuses(coro: Coroutine[Any, Any, Any]) -> str:
        coro.close()
        return "refused"

    def eager(loop: Any, coro: Any, **options: Any) -> Any:
        options["eager_start"] = True
        return asyncio.Task(refuses(coro), loop=loop, **options)

    with task_factory(eager):
        async with create_task_group() as tg:
            handle: Any = tg.start_soon(value, 1)
    assert handle.return_value == "refused"


async def test_a_child_of_start_that_says_so_before_there_is_a_coroutine_is_started() -> None:
    def early(*, task_status: TaskStatus[int]) -> Coroutine[Any, Any, int]:
        task_status.started(5)
        return value(6)

    factory = Wrapping()
    with task_factory(factory):
        async with create_task_group() as tg:
            handle = await tg.start(early, return_handle=True)
            assert handle.start_value == 5
    assert (handle.return_value, factory.seen) == (6, [6])

"""What type checkers know of everything else: `run`, gathering, futures, run variables, mix-ins.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, assert_type

import creche
from creche import (
    AsyncContextManagerMixin,
    CapacityLimiter,
    Condition,
    ContextManagerMixin,
    Event,
    Future,
    Lock,
    ResourceGuard,
    Semaphore,
    TaskHandle,
    TaskInfo,
    amap,
    as_completed,
    gather,
    get_current_task,
    get_running_tasks,
    run,
)
from creche.lowlevel import EventLoopToken, RunVar, RunvarToken, current_token
from creche.streams.memory import MemoryObjectReceiveStream


async def number() -> int:
    return 1


async def text(of: int) -> str:
    return str(of)


async def raw() -> bytes:
    return b""


def run_checks_the_arguments_and_returns_the_result() -> None:
    assert_type(run(number), int)
    assert_type(run(text, 1), str)
    assert_type(run(text, 1, backend="trio", backend_options={"clock": None}), str)
    run(text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run(text, "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run(number())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run(number, backend=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def what_is_not_there_is_an_error() -> None:
    creche.nothing  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert_type(creche.run(number), int)
    assert_type(creche.lowlevel.current_token(), EventLoopToken)


async def gather_keeps_each_type() -> None:
    assert_type(await gather(number()), tuple[int])
    assert_type(await gather(number(), text(1)), tuple[int, str])
    assert_type(await gather(number(), text(1), raw()), tuple[int, str, bytes])
    assert_type(
        await gather(number(), text(1), raw(), number(), text(1)),
        tuple[int, str, bytes, int, str],
    )
    assert_type(await gather(*[number(), number()]), tuple[int, ...])
    assert_type(
        await gather(number(), number(), number(), number(), number(), number()), tuple[int, ...]
    )
    await gather(number)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]


async def amap_and_as_completed() -> None:
    assert_type(await amap(text, [1, 2]), list[str])
    await amap(text, ["1"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with as_completed(number(), number()) as results:
        assert_type(results, MemoryObjectReceiveStream[TaskHandle[int]])
        async for handle in results:
            assert_type(handle.return_value, int)


async def a_future_carries_the_type_of_its_value() -> None:
    future = Future[int](name="answer")
    assert_type(await future, int)
    assert_type(future.return_value, int)
    assert_type(future.exception, BaseException | None)
    assert_type(future.status, Future.Status)
    assert_type(await future.wait(), None)
    future.return_value = 42
    future.return_value = "42"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


async def a_run_variable_carries_the_type_of_its_value(other: str) -> None:
    variable = RunVar[int]("variable", 1)
    assert_type(variable.get(), int)
    assert_type(variable.get(None), int | None)
    assert_type(variable.get(other), int | str)
    assert_type(variable.set(2), RunvarToken[int])
    with variable.set(3) as token:
        assert_type(token.var, RunVar[int])
    variable.set("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RunVar[int]("another", "1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(current_token(), EventLoopToken)
    assert_type(RunVar("inferred", 1), RunVar[int])
    assert_type(RunVar[int]("unset", RunVar.NO_VALUE_SET), RunVar[int])


class Playground(ContextManagerMixin):
    @contextmanager
    def __contextmanager__(self) -> Generator[int, None, None]:
        yield 1


class Nursery(AsyncContextManagerMixin):
    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[str, None]:
        yield ""


async def mixins_give_what_the_generator_yields() -> None:
    with Playground() as place:
        assert_type(place, int)
    async with Nursery() as nursery:
        assert_type(nursery, str)
    with Nursery():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def primitives() -> None:
    event, lock, semaphore = Event(), Lock(fast_acquire=True), Semaphore(1, max_value=2)
    limiter, condition, guard = CapacityLimiter(1), Condition(), ResourceGuard("using")
    async with lock as entered:
        assert_type(entered, None)
    async with semaphore as same:
        assert_type(same, Semaphore)
    async with limiter as nothing:
        assert_type(nothing, None)
    async with condition as no_more:
        assert_type(no_more, None)
        assert_type(await condition.wait_for(lambda: [1]), list[int])
    with guard as guarded:
        assert_type(guarded, None)
    assert_type(event.set(), None)
    assert_type(event.is_set(), bool)
    assert_type(limiter.total_tokens, float)
    with lock:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


def tasks_can_be_listed() -> None:
    assert_type(get_current_task(), TaskInfo)
    assert_type(get_running_tasks(), list[TaskInfo])
    assert_type(get_current_task().parent_id, int | None)
    assert_type(get_current_task().coro, Any)  # type: ignore[assert-type]  # pyright: ignore[reportAssertTypeFailure]

"""Running several things at once and collecting what they return: `gather`, `amap`, `as_completed`.

Each is a task group that also collects results; the group decides what happens when a task
fails. Knows no event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from inspect import iscoroutine
from typing import Any, TypeVar, overload

from ._exceptions import BrokenResourceError
from ._tasks.group import create_task_group
from ._tasks.handle import TaskHandle, name_of
from .streams._memory_pair import create_memory_object_stream
from .streams.memory import MemoryObjectReceiveStream

T = TypeVar("T")
R = TypeVar("R")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")


async def amap(func: Callable[[T], Coroutine[Any, Any, R]], args: Iterable[T]) -> list[R]:
    """Call an async function once for each argument, all at the same time.

    :param func: a coroutine function of one argument
    :param args: the arguments; read to the end before the first call takes its first step
    :return: what the calls returned, in the order of the arguments
    :raises ExceptionGroup: a call raised; the others were then cancelled
    """
    handles: list[TaskHandle[R]] = []
    async with create_task_group() as group:
        handles.extend(group.start_soon(func, arg) for arg in args)
    return [handle.return_value for handle in handles]


@overload
async def gather(c1: Coroutine[Any, Any, T1], /) -> tuple[T1]: ...


@overload
async def gather(c1: Coroutine[Any, Any, T1], c2: Coroutine[Any, Any, T2], /) -> tuple[T1, T2]: ...


@overload
async def gather(
    c1: Coroutine[Any, Any, T1],
    c2: Coroutine[Any, Any, T2],
    c3: Coroutine[Any, Any, T3],
    /,
) -> tuple[T1, T2, T3]: ...


@overload
async def gather(
    c1: Coroutine[Any, Any, T1],
    c2: Coroutine[Any, Any, T2],
    c3: Coroutine[Any, Any, T3],
    c4: Coroutine[Any, Any, T4],
    /,
) -> tuple[T1, T2, T3, T4]: ...


@overload
async def gather(
    c1: Coroutine[Any, Any, T1],
    c2: Coroutine[Any, Any, T2],
    c3: Coroutine[Any, Any, T3],
    c4: Coroutine[Any, Any, T4],
    c5: Coroutine[Any, Any, T5],
    /,
) -> tuple[T1, T2, T3, T4, T5]: ...


@overload
async def gather(*coros: Coroutine[Any, Any, T]) -> tuple[T, ...]: ...


async def gather(*coros: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """Run coroutines at the same time, and wait for all of them.

    ```python
    import creche


    async def name() -> str:
        return "Ada"


    async def born() -> int:
        return 1815


    async def main() -> None:
        print(await creche.gather(name(), born()))


    creche.run(main)
    ```

    :param coros: coroutine objects that have not begun
    :return: what they returned, in the order in which they were passed
    :raises ExceptionGroup: one of them raised; the others were then cancelled
    """
    handles: list[TaskHandle[Any]] = []
    async with create_task_group() as group:
        try:
            handles.extend(group.create_task(coro) for coro in coros)
        except TypeError:
            for unused in coros[len(handles) :]:
                if iscoroutine(unused):
                    unused.close()  # or Python reports that it was never awaited
            raise
    return tuple(handle.return_value for handle in handles)


@asynccontextmanager
async def as_completed(
    *awaitables: Awaitable[R],
) -> AsyncGenerator[MemoryObjectReceiveStream[TaskHandle[R]]]:
    """Run awaitables at the same time, and hand out each task as it ends.

    An async context manager that gives a stream of task handles, in the order in which the tasks
    end, also by an error. Leaving the block early cancels the rest.

    ```python
    import creche


    async def fetch(page: str) -> str:
        return f"the text of {page}"


    async def main() -> None:
        async with creche.as_completed(fetch("a"), fetch("b")) as results:
            async for handle in results:
                print(handle.return_value)


    creche.run(main)
    ```

    :param awaitables: what is to be awaited, each in a task of its own
    :raises ValueError: nothing was passed
    :raises ExceptionGroup: one of them raised; the others, and the block, were then cancelled
    """
    if not awaitables:
        raise ValueError("as_completed() takes at least one awaitable")
    send, receive = create_memory_object_stream[TaskHandle[R]](len(awaitables))
    handles: dict[int, TaskHandle[R]] = {}

    async def run(number: int, awaitable: Awaitable[R]) -> R:
        try:
            return await awaitable
        finally:
            # The task ends in this same step, before any receiver can look at the handle.
            try:
                send.send_nowait(handles.pop(number))
            except BrokenResourceError:
                pass  # the block has closed its stream: nobody wants to know
            if not handles:
                send.close()

    with send, receive:
        async with create_task_group() as group:
            for number, awaitable in enumerate(awaitables):
                coro = run(number, awaitable)
                handles[number] = group.create_task(coro, name=name_of(awaitable))
            yield receive
            group.cancel()

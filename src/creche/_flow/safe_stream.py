"""`as_safe_stream`: an async generator in a task of its own, read through a stream.

Owns that task and the hand-over of items. A generator that yields inside a scope, a task group or a
changed context variable is only sound if the same task takes all its steps, and if it is never left
suspended; PEP 789 tells what happens otherwise. Here one task takes them, from first to last.

    new --async with--> open --the generator ends or fails--> ended
                             --the block is left--> stopping: a cancel at the `yield` --> ended

    the driver      in the generator | at a yield, waiting until an item is wanted
    wanted          somebody waits for an item, or fewer than `buffer` are kept

Rules
-----
* The driver waits at a yield in the scopes that the generator has entered. So what ends that wait, a
  deadline of the generator's own or the end of the block, is thrown into the generator at its
  `yield`, in the task that it belongs to.
* An item whose reader was cancelled is kept for the next.
* A generator that yields once more after the end of the block is closed, and an error if it goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from functools import wraps
from inspect import isasyncgenfunction, unwrap
from types import TracebackType
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar

from .below import CancelScope, TaskInfo, WaitDescription, WaitQueue, current_task
from .beside import Beside

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
P = ParamSpec("P")

_END: Final = object()


class SafeStream(Generic[T_co]):
    """What an async generator yields, read by a block: what a safe stream function returns.

    An async context manager, entered once, that gives itself: an async iterator.
    """

    __slots__ = ("_beside", "_buffer", "_driver", "_ended", "_error", "_generator", "_items",
                 "_left", "_readers", "_scope")  # fmt: skip

    def __init__(self, generator: AsyncGenerator[T_co, None], buffer: int) -> None:
        self._generator = generator
        self._buffer = buffer
        self._items: deque[Any] = deque()
        self._readers: WaitQueue[None] = WaitQueue()
        self._driver: WaitQueue[None] = WaitQueue()
        self._scope = CancelScope()
        self._error: Exception | None = None
        self._ended = self._left = False
        self._beside: Beside | None = None

    async def __aenter__(self) -> Self:
        if self._beside is not None:
            raise RuntimeError(
                f"{self!r} was entered before: call the function again for another block"
            )
        self._beside = Beside(self._drive, self._stop)
        await self._beside.enter(self._name())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        assert self._beside is not None, "entered before it is left"
        return await self._beside.leave(exc_val, f"errors around {self._name()}", self._unseen)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        task = current_task()
        if self._items or self._ended:  # Otherwise the wait is a checkpoint by itself.
            await task.ready_checkpoint()
        if self._items:
            item: Any = self._items.popleft()
            self._let_drive()
        elif self._ended:
            item = _END
        elif self._beside is None:
            raise RuntimeError(f"enter {self!r} first: 'async with {self._name()}(...) as stream'")
        else:
            entry = self._driver.pop()
            if entry is not None:
                entry[0].set_result(None)
            item = await self._readers.wait(task, None)
        if item is not _END:
            value: T_co = item
            return value
        if self._error is not None:
            raise self._take_error()
        raise StopAsyncIteration

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._name()}>"

    def _name(self) -> str:
        return name_of(self._generator)

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        if inner is not None:
            return inner
        if task.name == self._name():
            return WaitDescription(f"a reader of {self._name()}", "anext()")
        return WaitDescription(f"an item of {self._name()}", "yield")

    def _take_error(self) -> Exception:
        error, self._error = self._error, None
        assert error is not None, "asked for only if there is one"
        return error

    def _unseen(self) -> list[Exception]:
        return [] if self._error is None else [self._take_error()]

    # What the driver does

    def _wanted(self) -> bool:
        return len(self._items) < self._buffer or bool(self._readers)

    def _let_drive(self) -> None:
        if self._driver and self._wanted():
            entry = self._driver.pop()
            if entry is not None:
                entry[0].set_result(None)

    def _stop(self) -> None:
        self._left = True
        self._scope.cancel()

    async def _drive(self) -> None:
        try:
            with self._scope:  # Which takes its cancellation out of a group of errors.
                await self._steps()
        except Exception as exc:
            self._error = exc
        finally:
            self._ended = True
            while (entry := self._readers.pop()) is not None:
                entry[0].set_result(_END)

    async def _steps(self) -> None:
        """Take the generator's steps, from the first to the last."""
        generator, task = self._generator, current_task()
        if not self._wanted():
            await self._driver.wait(task, None)
        step = generator.__anext__()
        leaving = False
        while True:
            try:
                item = await step
            except StopAsyncIteration:
                return
            if leaving:
                await self._close()
                return
            entry = self._readers.pop()
            if entry is not None:
                entry[0].set_result(item)
            else:
                self._items.append(item)
            try:
                if not self._wanted():
                    await self._driver.wait(task, None)
            except BaseException as exc:
                leaving = self._left
                step = generator.athrow(exc)
            else:
                step = generator.__anext__()

    async def _close(self) -> None:
        """End a generator that has swallowed a cancel, as `aclose` does, which would be the last try."""
        try:
            await self._generator.athrow(GeneratorExit())
        except (StopAsyncIteration, GeneratorExit):
            return
        raise RuntimeError(
            f"{self._name()}() has yielded again after it was cancelled and closed: let the exceptions "
            f"at its 'yield' go on"
        )


def as_safe_stream(
    buffer: int = 0,
) -> Callable[[Callable[P, AsyncGenerator[T, None]]], Callable[P, SafeStream[T]]]:
    """Make an async generator function one whose generator is safe to leave at any time.

    A decorator. What the function returns is entered with `async with`, and gives the items:

    ```python
    from collections.abc import AsyncGenerator

    import creche
    from creche.flow import as_safe_stream


    @as_safe_stream()
    async def ticks(interval: float) -> AsyncGenerator[int]:
        with creche.move_on_after(10):  # a plain generator must not yield in here
            number = 0
            while True:
                yield number
                number += 1
                await creche.sleep(interval)


    async def main() -> None:
        async with ticks(0.001) as stream:
            async for number in stream:
                if number == 2:
                    break
                print(number)


    creche.run(main)
    ```

    The generator runs in a task of its own, in one context, so it may yield inside scopes, task groups and
    changed context variables. With a buffer of 0 it takes a step only when somebody waits for an item.
    If the block is left early, in whatever way, the generator is cancelled at its `yield`, and its
    clean-up has ended before the block is left. What it raises comes out of the iteration as it is, or
    out of the block if the block is left first. One that is never entered never starts.

    :param buffer: how many items it may be ahead of the reader, 0 or more
    :return: the decorator
    :raises TypeError: `buffer` is not an int, or it decorates something else
    :raises ValueError: `buffer` is negative
    """
    if not isinstance(buffer, int):  # pyright: ignore[reportUnnecessaryIsInstance]  # not all check
        raise TypeError(
            f"buffer must be an int, not {buffer!r}: write '@as_safe_stream()' above the function"
        )
    if buffer < 0:
        raise ValueError(f"buffer must be 0 or more, not {buffer}")

    def decorate(function: Callable[P, AsyncGenerator[T, None]]) -> Callable[P, SafeStream[T]]:
        check_generator_function(function, "as_safe_stream()")

        @wraps(function)
        def make(*args: P.args, **options: P.kwargs) -> SafeStream[T]:
            return SafeStream(function(*args, **options), buffer)

        return make

    return decorate


def name_of(generator: object) -> str:
    """Return what an async generator is called."""
    name: str = getattr(generator, "__qualname__", None) or type(generator).__qualname__
    return name


def check_generator_function(function: object, decorator: str) -> None:
    """Raise TypeError unless `function` is an async generator function, or wraps one."""
    if not callable(function) or not isasyncgenfunction(unwrap(function)):
        raise TypeError(
            f"@{decorator} goes on an async generator function, one that is 'async def' and has a "
            f"'yield', not on {function!r}"
        )

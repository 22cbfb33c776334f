"""`as_mapped`: call a function for each of many items, so many calls at a time.

Owns the tasks: one that feeds, beside the block, and one for each call, in a group of the feeder's.
Which call may start and which result comes out is decided by `MapState`, which knows nothing of
waiting.

    new --async with--> running --left--> stopping: the calls are cancelled and awaited,
                                                    then the source is closed --> left

The feeder: take a slot, pull an item, wait for the rate, start the call. In this order, so that
nothing is pulled that has no slot, and calls start at the rate even if the source is uneven.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

from .below import (
    CancelScope,
    TaskCancelled,
    TaskGroup,
    TaskInfo,
    WaitDescription,
    create_task_group,
    current_effective_deadline,
    current_task,
)
from .below import get_cancelled_exc_class as cancelled_class
from .beside import Beside
from .map_state import END, FAILED, NOTHING, MapState
from .outcomes import Outcome, without_cancellation
from .rates import RateLimiter
from .sources import Source

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Mapped(Generic[R_co]):
    """The results of a bounded map: what `as_mapped` and `Cluster.map` return.

    An async context manager, entered once, that gives itself: an async iterator over the results.
    Several tasks may iterate; each result goes to one of them.
    """

    __slots__ = ("_beside", "_feeder", "_func", "_keeps_errors", "_limiter", "_name", "_scope",
                 "_source", "_state")  # fmt: skip

    def __init__(
        self,
        func: Callable[[Any], Awaitable[Any]],
        source: Source[Any],
        state: MapState,
        limiter: RateLimiter | None,
        keeps_errors: bool,
        maker: str,
    ) -> None:
        self._func = func
        self._source = source
        self._state = state
        self._limiter = limiter
        self._keeps_errors = keeps_errors
        self._scope = CancelScope()
        self._name: str = getattr(func, "__qualname__", None) or type(func).__qualname__
        self._feeder = f"{maker}({self._name})"
        """The name of the task that feeds."""
        self._beside: Beside | None = None

    @property
    def total(self) -> int | None:
        """How many items there are, None if the source has no length."""
        return self._source.total

    @property
    def done(self) -> int:
        """How many calls have ended, those that failed among them."""
        return self._state.done

    @property
    def failed(self) -> int:
        """How many calls have raised."""
        return self._state.failed

    @property
    def running(self) -> int:
        """How many calls run now."""
        return self._state.running

    async def __aenter__(self) -> Self:
        if self._beside is not None:
            raise RuntimeError(
                f"this map was entered before: make another {self._feeder} for another block"
            )
        self._beside = Beside(self._feed_and_close, self._stop)
        await self._beside.enter(self._feeder)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        assert self._beside is not None, "entered before it is left"
        return await self._beside.leave(exc_val, FAILED, self._take_errors)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R_co:
        task = current_task()
        await task.ready_checkpoint()
        if self._beside is None:
            raise RuntimeError(f"enter the map first: 'async with {self._feeder} as results'")
        result: Any = self._state.take()
        if result is NOTHING:
            result = await self._state.readers.wait(task, None)
        if result is END:
            raise StopAsyncIteration
        value: R_co = result
        return value

    def __repr__(self) -> str:
        state = self._state
        total = "" if self.total is None else f" of {self.total}"
        return (
            f"<{type(self).__name__} {self._name}: {state.done}{total} done, "
            f"{state.failed} failed, {state.running} running>"
        )

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        if inner is not None or task.name == self._name:  # the task of a call
            return inner
        if task.name == self._feeder:
            return WaitDescription(f"room for a call of {self._feeder}", "the end of a call")
        return WaitDescription(f"a result of {self._feeder}", "the end of a call")

    # What the tasks do

    def _stop(self) -> None:
        self._state.stopped = True
        self._scope.cancel()

    def _take_errors(self) -> list[Exception]:
        errors, self._state.errors = self._state.errors, []
        return errors

    async def _feed_and_close(self) -> None:
        state = self._state
        try:
            with self._scope:
                async with create_task_group() as calls:
                    await self._feed(calls)
        finally:
            try:
                await self._source.close()
            except Exception as exc:
                state.fail(exc, call=False)
            finally:
                state.finish_all()

    async def _feed(self, calls: TaskGroup) -> None:
        state, source, task = self._state, self._source, current_task()
        start, call, name, limiter = calls.start_soon, self._call, self._name, self._limiter
        while not state.stopped:
            await task.ready_checkpoint()
            if not state.has_room():
                await state.feeder.wait(task, None)
            try:
                item = await source.pull()
            except StopAsyncIteration:
                return
            except Exception as exc:
                state.fail(exc, call=False)
                self._scope.cancel()
                return
            if limiter is not None:
                await limiter.acquire()
            if not state.stopped:
                start(call, state.begin(), item, name=name)

    async def _call(self, number: int, item: Any) -> None:
        state = self._state
        try:
            result = await self._func(item)
        except Exception as exc:
            self._failed(number, item, exc)
        except BaseException as exc:
            if self._ends_map(number, item, exc):
                raise
        else:
            if self._keeps_errors:
                result = item, Outcome[Any].of_value(result)
            state.finish(number, result)

    def _ends_map(self, number: int, item: Any, exc: BaseException) -> bool:
        """Tell whether what is no `Exception` has to go on; note errors among cancellations."""
        rest = without_cancellation(exc, cancelled_class())
        if isinstance(rest, Exception):
            self._failed(number, item, rest)
        elif rest is not None or current_effective_deadline() < 0:
            self._state.abandon()
            return True
        else:
            # Cancelled alone, by whoever holds its native task: the reader misses the result.
            name = f"{self._name}({item!r})"
            self._failed(number, item, TaskCancelled(f"the call {name} was cancelled"))
        return False

    def _failed(self, number: int, item: Any, exc: Exception) -> None:
        if self._keeps_errors:
            self._state.failed += 1
            self._state.finish(number, (item, Outcome[Any].of_error(exc)))
        else:
            self._state.fail(exc)
            self._scope.cancel()


@overload
def as_mapped(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    at_most: int = 20,
    per_second: float | RateLimiter | None = None,
    ordered: bool = False,
    errors: Literal["raise"] = "raise",
) -> Mapped[R]: ...


@overload
def as_mapped(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    at_most: int = 20,
    per_second: float | RateLimiter | None = None,
    ordered: bool = False,
    *,
    errors: Literal["return"],
) -> Mapped[tuple[T, Outcome[R]]]: ...


def as_mapped(
    func: Callable[[Any], Awaitable[Any]],
    items: Iterable[Any] | AsyncIterable[Any],
    at_most: int = 20,
    per_second: float | RateLimiter | None = None,
    ordered: bool = False,
    errors: Literal["raise", "return"] = "raise",
) -> Mapped[Any]:
    """Call an async function for each item, at most so many calls at a time.

    Used as an async context manager that gives an async iterator over what the calls return:

    ```python
    import creche
    from creche.flow import as_mapped


    async def fetch(page: str) -> str:
        return f"the text of {page}"


    async def main() -> None:
        async with as_mapped(fetch, ["a", "b", "c"], at_most=2, ordered=True) as results:
            async for text in results:
                print(text)


    creche.run(main)
    ```

    Each call is a task of its own. An item is pulled when a call for it may start, so the source may
    be endless; calls start while fewer than `at_most` run, and fewer than twice as many run or have
    a result that the reader has not taken.

    A call that raises cancels the others. What the calls before it have returned still comes out, then
    the iteration raises the error: as it is, or in one ExceptionGroup with others that came as the
    calls ended. An error of the source is treated like one of a call. If the block is left before the
    error came out of the iteration, it comes out of the block.

    Leaving the block cancels the calls that run, waits for them, and closes the source, if that is a
    generator or an iterator that was made here.

    :param func: an async function of one argument
    :param items: an iterable or async iterable of the arguments
    :param at_most: how many calls may run at a time, 1 or more
    :param per_second: how many calls may start per second, or a RateLimiter to share
    :param ordered: whether results come out in the order of the items, rather than as calls end
    :param errors: `"raise"`, or `"return"` for pairs of an item and the `Outcome` of its call, where no
        call cancels another
    :return: the results, to be used in `async with`
    :raises TypeError: an argument is of the wrong type
    :raises ValueError: `at_most` is less than 1, or `errors` is neither of the two
    """
    if not callable(func):
        raise TypeError(f"func must be an async function of one argument, not {func!r}")
    return make_map(func, items, at_most, per_second, ordered, errors)


def make_map(
    func: Callable[[Any], Awaitable[Any]],
    items: Iterable[Any] | AsyncIterable[Any],
    at_most: int,
    per_second: float | RateLimiter | None,
    ordered: bool,
    errors: str,
    *,
    ahead: int | None = None,
    maker: str = "as_mapped",
) -> Mapped[Any]:
    """Make a map of any kind: check what was asked for, and put the parts together.

    :param ahead: how many calls may run or have a result that nobody has taken
    :param maker: what the user has called, for names and messages
    """
    if not isinstance(at_most, int):  # pyright: ignore[reportUnnecessaryIsInstance]  # not all check
        raise TypeError(f"at_most must be an int, not {at_most!r}")
    if at_most < 1:
        raise ValueError(f"at_most must be 1 or more, not {at_most}: with none no call ever starts")
    if errors not in ("raise", "return"):
        raise ValueError(f"errors must be 'raise' or 'return', not {errors!r}")
    limiter = per_second
    if per_second is not None and not isinstance(per_second, RateLimiter):
        limiter = RateLimiter(per_second, name=maker)
    assert limiter is None or isinstance(limiter, RateLimiter), "made one above"
    state = MapState(at_most, ordered, ahead)
    return Mapped(func, Source(items), state, limiter, errors == "return", maker)


async def for_each(
    func: Callable[[T], Awaitable[object]],
    items: Iterable[T] | AsyncIterable[T],
    at_most: int = 20,
    per_second: float | RateLimiter | None = None,
) -> None:
    """Call an async function for each item, at most so many at a time; wait for all. A checkpoint.

    As `as_mapped`, for functions that return nothing of interest. The first error cancels the other
    calls and is raised, bare or in a group.

    :param func: an async function of one argument
    :param items: an iterable or async iterable of the arguments
    :param at_most: how many calls may run at a time, 1 or more
    :param per_second: how many calls may start per second, or a RateLimiter to share
    """
    async with as_mapped(func, items, at_most, per_second) as results:
        async for _ in results:
            pass


async def map_bounded(
    func: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    at_most: int = 20,
    per_second: float | RateLimiter | None = None,
) -> list[R]:
    """Call an async function for each item, at most so many at a time; return all results.

    As `creche.amap`, which starts all calls at once. The first error cancels the other calls and is
    raised, bare or in a group. A checkpoint.

    :param func: an async function of one argument
    :param items: an iterable or async iterable of the arguments
    :param at_most: how many calls may run at a time, 1 or more
    :param per_second: how many calls may start per second, or a RateLimiter to share
    :return: what the calls returned, in the order of the items
    """
    async with as_mapped(func, items, at_most, per_second, ordered=True) as results:
        return [result async for result in results]

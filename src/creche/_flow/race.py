"""`race`: run several at the same time, take the first result, and end the others.

Owns who has won, and what becomes of errors. The tasks live in one task group, which waits for them.

    running --one returns--> won: the others are cancelled and awaited
            --all have failed--> lost

    a contestant fails    before the first result    goes to `on_error`; raised if all fail; else logged
                          after it, as it ends       raised, in a group: a fault in its clean-up

The first begins a step before the others, which do not begin if it has a result at once, or is cancelled: then
a race costs one task, not all of them (`race` in benchmarks).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import iscoroutine
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar, overload

from .below import (
    TaskCancelled,
    TaskGroup,
    create_task_group,
    current_effective_deadline,
    current_task,
)
from .below import get_cancelled_exc_class as cancelled_class
from .outcomes import without_cancellation

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")

Contestant: TypeAlias = Coroutine[Any, Any, T] | Callable[[], Coroutine[Any, Any, T]]
OnError: TypeAlias = Callable[[Exception], object]


class _Race:
    """Who has won, and who has failed when."""

    __slots__ = ("early", "group", "late", "on_error", "running", "value", "won")

    def __init__(self, group: TaskGroup, on_error: OnError | None) -> None:
        self.group = group
        self.on_error = on_error
        self.running = 0
        """Contestants that have begun, and not ended."""
        self.won = False
        self.value: Any = None
        self.early: list[Exception] = []
        self.late: list[Exception] = []

    def start(self, coro: Coroutine[Any, Any, Any]) -> None:
        """Start the task of a contestant, named after it."""
        self.group.start_soon(self.run, coro, name=getattr(coro, "__qualname__", None))

    async def run(self, coro: Coroutine[Any, Any, Any]) -> None:
        """Run one contestant. What its task does."""
        if self.won:
            coro.close()  # It need not begin.
            return
        self.running += 1
        try:
            value = await coro
        except Exception as exc:
            self.failed(exc)
        except BaseException as exc:
            if self.ends_race(exc, getattr(coro, "__qualname__", "a contestant")):
                raise
        else:
            if not self.won:
                self.won = True
                self.value = value
                if self.running > 1:  # Cancelling costs more than they do (`race` in benchmarks).
                    self.group.cancel()
        finally:
            self.running -= 1

    def ends_race(self, exc: BaseException, name: str) -> bool:
        """Tell whether what is no `Exception` has to go on; note errors among cancellations."""
        rest = without_cancellation(exc, cancelled_class())
        if isinstance(rest, Exception):
            self.failed(rest)
        elif rest is not None or current_effective_deadline() < 0:
            return True
        else:
            self.failed(TaskCancelled(f"{name} was cancelled, and nobody else in the race"))
        return False

    def log(self, what: str) -> None:
        """Log the errors that neither the caller nor `on_error` gets."""
        if self.early and self.on_error is None:
            from logging import getLogger  # heavy, and hardly ever needed

            for exc in self.early:
                getLogger("creche").warning(
                    "An error in a race that %s. Pass on_error= to take such errors",
                    what,
                    exc_info=exc,
                )

    def failed(self, exc: Exception) -> None:
        if self.won:
            self.late.append(exc)
        else:
            self.early.append(exc)
            if self.on_error is not None:
                self.on_error(exc)


@overload
async def race(c1: Contestant[T1], /, *, on_error: OnError | None = None) -> T1: ...


@overload
async def race(
    c1: Contestant[T1], c2: Contestant[T2], /, *, on_error: OnError | None = None
) -> T1 | T2: ...


@overload
async def race(
    c1: Contestant[T1],
    c2: Contestant[T2],
    c3: Contestant[T3],
    /,
    *,
    on_error: OnError | None = None,
) -> T1 | T2 | T3: ...


@overload
async def race(*contestants: Contestant[T], on_error: OnError | None = None) -> T: ...


async def race(*contestants: Contestant[Any], on_error: OnError | None = None) -> Any:
    """Run coroutines at the same time, and return the first result.

    ```python
    import creche
    from creche.flow import race


    async def ask(server: str, seconds: float) -> str:
        await creche.sleep(seconds)
        return f"an answer from {server}"


    async def main() -> None:
        print(await race(ask("a", 1), ask("b", 0.001)))


    creche.run(main)
    ```

    The others are cancelled, and have ended when this returns. What happens with errors:

    - One that fails while nobody has a result is out of the race, and the others go on. Its error goes to
      `on_error`. Without `on_error` it is logged, as a warning of the logger "creche", if somebody wins later
      or the race is cancelled.
    - If all fail, their errors are raised together.
    - One that raises an error, rather than ends, when it is cancelled because another has won, has a fault in its
      clean-up. Such errors are raised in a group, in place of the result.

    If two have a result in the same moment, that of the second is dropped: let a contestant return
    nothing that has to be closed. A checkpoint.

    :param contestants: coroutine objects that have not begun, or async functions without arguments
    :param on_error: called with each error that comes before the first result
    :return: the first result
    :raises ExceptionGroup: all have failed; or one has failed when it was cancelled
    :raises ValueError: nothing was passed
    :raises TypeError: something else was passed; no coroutine has begun
    """
    coros = _coroutines(contestants)
    group = create_task_group()
    state = _Race(group, on_error)
    try:
        async with group:
            state.start(coros[0])
            try:
                if len(coros) > 1:
                    await (
                        current_task().checkpoint()
                    )  # The first may win here, or all be cancelled.
                    while len(coros) > 1 and not state.won:
                        state.start(coros.pop(1))
            finally:
                for coro in coros[1:]:
                    coro.close()
    except BaseException:
        state.log("has ended without a result")
        raise
    if not state.won:
        raise ExceptionGroup("everyone in the race has failed", state.early)
    if state.early:
        state.log("another has won")
    if state.late:
        raise ExceptionGroup("errors of those who have lost the race, as they ended", state.late)
    return state.value


def _coroutines(contestants: tuple[Any, ...]) -> list[Coroutine[Any, Any, Any]]:
    """Return a coroutine of each, none of them begun; close all if one is something else."""
    if not contestants:
        raise ValueError("race() takes at least one coroutine or async function")
    coros: list[Coroutine[Any, Any, Any]] = []
    try:
        for contestant in contestants:
            # A function's own coroutine needs no question (`race` in benchmarks).
            plain = CoroutineType is type(contestant)
            coros.append(contestant if plain else _coroutine(contestant))
    except BaseException:
        for unused in (*contestants, *coros):
            if iscoroutine(unused):
                unused.close()  # or Python reports that it was never awaited
        raise
    return coros


def _coroutine(contestant: Any) -> Coroutine[Any, Any, Any]:
    """Return the coroutine that a contestant is, or returns."""
    coro: Any = contestant
    if callable(contestant) and not isinstance(contestant, Coroutine):
        coro = contestant()
        if CoroutineType is type(coro):
            return coro
    if not isinstance(coro, Coroutine):
        raise TypeError(
            f"race() takes coroutines and async functions, not {contestant!r}"
            + (f", which returned {coro!r}" if coro is not contestant else "")
        )
    return coro

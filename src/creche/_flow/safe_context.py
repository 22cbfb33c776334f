"""`safe_contextmanager`: an async context manager whose generator has a task of its own.

Owns that task: it is outside all scopes and groups, for the block may be entered in one task and left
in another. What the generator opens around its `yield`, scopes and groups, it opens and closes
there.

    new --enter--> opening --the yield--> open --leave--> closing --> ended
                   `--raised, or the entering task is cancelled--> closing --> ended

Rules
-----
* Entering and leaving wait for the task. If the one who waits is cancelled, the task is, and is
  awaited all the same; so nothing is left running.
* What the block raised is thrown into the generator at the `yield`, and may be swallowed there, as with
  `contextlib`. A cancellation is not thrown, for it belongs to another task: the generator's own
  task is cancelled instead, and the cancellation goes on.
* If the generator ends while the block still runs, because a task of its group has failed, the block
  goes on, and what the generator raised comes out when it is left.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import wraps
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

from .below import CancelScope, Event, TaskInfo, WaitDescription, spawn_detached
from .below import get_cancelled_exc_class as cancelled_class
from .safe_stream import check_generator_function, name_of

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
P = ParamSpec("P")


class SafeContextManager(Generic[T_co]):
    """A block around what an async generator yields: what a safe context manager function returns.

    Entered once, and left once, in the same task or another.
    """

    __slots__ = ("_ended", "_entered", "_error", "_generator", "_leaving", "_opened", "_scope",
                 "_thrown", "_value")  # fmt: skip

    def __init__(self, generator: AsyncGenerator[T_co, None]) -> None:
        self._generator = generator
        self._scope = CancelScope()
        self._opened = Event()  # or ended
        self._leaving = Event()
        self._ended = Event()
        self._entered = False
        self._thrown: BaseException | None = None
        self._error: BaseException | None = None
        self._value: Any = None

    async def __aenter__(self) -> T_co:
        if self._entered:
            raise RuntimeError(
                f"{self!r} was entered before: call the function again for another block"
            )
        self._entered = True
        spawn_detached(self._run(), name_of(self._generator))
        await self._wait(self._opened)
        if self._ended.is_set():
            raise self._take_error() or RuntimeError("generator didn't yield")
        value: T_co = self._value
        return value

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        ended_before = self._ended.is_set()
        if exc_val is not None and isinstance(exc_val, cancelled_class()):
            self._scope.cancel()
        else:
            self._thrown = exc_val
        self._leaving.set()
        try:
            await self._wait(self._ended)
            error = self._take_error()
            if error is None:
                return self._thrown is not None and not ended_before
            if error is exc_val or _stops(error, exc_val):
                return False
            raise error
        finally:
            self._thrown = None
            del exc_val

    async def _wait(self, event: Event) -> None:
        """Wait for the task; if this is cancelled, cancel the task and wait until it has ended."""
        try:
            await event.wait()
        except BaseException:
            self._scope.cancel()
            with CancelScope(shield=True):
                await self._ended.wait()
            raise

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        name = name_of(self._generator)
        if task.name == name:
            return WaitDescription(f"the end of the block of {name}", "leaving the block")
        ends = "the end" if self._opened.is_set() else "the yield"
        return WaitDescription(f"{ends} of {name}", "the task of the generator")

    def _take_error(self) -> BaseException | None:
        error, self._error = self._error, None
        return error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {name_of(self._generator)}>"

    # What the task does

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._steps()
        except BaseException as exc:
            self._error = exc
        finally:
            self._ended.set()
            self._opened.set()

    async def _steps(self) -> None:
        generator = self._generator
        try:
            self._value = await generator.__anext__()
        except StopAsyncIteration:
            return
        self._opened.set()
        step: Any
        try:
            await self._leaving.wait()
        except BaseException as exc:  # Cancelled, by the block or by the generator's own scopes.
            step = generator.athrow(exc)
        else:
            step = generator.__anext__() if self._thrown is None else generator.athrow(self._thrown)
        try:
            await step
        except StopAsyncIteration as exc:
            if exc is self._thrown:
                raise
            return
        await generator.aclose()
        raise RuntimeError(f"generator didn't stop: {name_of(generator)} has a second 'yield'")


def _stops(error: BaseException, thrown: BaseException | None) -> bool:
    """Tell whether Python has wrapped what was thrown into the generator, as it does with these."""
    return isinstance(thrown, StopIteration | StopAsyncIteration) and error.__cause__ is thrown


def safe_contextmanager(
    function: Callable[P, AsyncGenerator[T, None]],
) -> Callable[P, SafeContextManager[T]]:
    """Make an async generator function an async context manager that any tasks may enter and leave.

    As `contextlib.asynccontextmanager`, but the generator runs in a task of its own, so it may yield inside
    scopes and task groups also where the block is entered by one task and left by another, as
    test fixtures and the dependencies of web frameworks are.

    ```python
    from collections.abc import AsyncGenerator

    import creche
    from creche.flow import safe_contextmanager


    @safe_contextmanager
    async def workers(number: int) -> AsyncGenerator[creche.abc.TaskGroup]:
        async with creche.create_task_group() as group:
            for _ in range(number):
                group.start_soon(creche.sleep_forever)
            yield group
            group.cancel()


    async def main() -> None:
        async with workers(2):
            print("two are at work")


    creche.run(main)
    ```

    The generator starts with a copy of the context of the task that enters the block; what it sets
    there, the block does not see. The block is not in the generator's scopes. If a task of its group fails,
    the group ends, and the block hears of it when it is left.

    :param function: an async generator function with one `yield`
    :return: a function that makes the context manager
    :raises TypeError: it decorates something else
    """
    check_generator_function(function, "safe_contextmanager")

    @wraps(function)
    def make(*args: P.args, **options: P.kwargs) -> SafeContextManager[T]:
        return SafeContextManager(function(*args, **options))

    return make

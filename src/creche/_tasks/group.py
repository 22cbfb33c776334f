"""`TaskGroup`: tasks that are started together and awaited together.

Knows no event loop: where its tasks live is the kernel's `Nursery`.

    new --__aenter__--> active --__aexit__ ends--> closed

Tasks may be started while the group is active, also while it is cancelled or waits for its last
tasks. The first error, in a task or in the body, cancels all the rest; every error is kept, and
they leave the group together in an exception group. A cancellation leaves it only if it comes
from outside the group, by the rules of Trio: with errors it is in the group with them, where the
cancelled scope around it will take it out again.
"""

# A group and its handles are one thing in two rooms.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Coroutine
from math import inf
from sys import _getframe  # nothing public gives frames
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, TypeVarTuple, overload

from .._kernel import current_task
from .._kernel.scope import link
from .._wait_description import WaitDescription
from .handle import (
    CANCELLED,
    CANCELLING,
    FAILED,
    FINISHED,
    TaskHandle,
    name_of,
    origin_of,
)
from .scope import CancelScope
from .start import Starting

if TYPE_CHECKING:
    from contextvars import Context
    from typing import Self, Unpack

    from .._kernel.contract import Nursery, Task
    from .info import TaskInfo

T_co = TypeVar("T_co", covariant=True)
PosArgsT = TypeVarTuple("PosArgsT")

MESSAGE = "unhandled errors in a TaskGroup"


class TaskGroup:
    """A group of tasks that all end before its `async with` block is left.

    Made by `create_task_group()`. If the block or a task raises, the others are cancelled, and
    the errors leave the block together in an exception group.
    """

    __slots__ = (
        "__weakref__",
        "_cancelled",
        "_errors",
        "_failed",
        "_host",
        "_nursery",
        "_open",
        "_started",
        "_starts",
        "cancel_scope",
    )

    cancel_scope: CancelScope
    """The scope that the tasks and the block run in."""

    def __init__(self) -> None:
        self.cancel_scope = CancelScope()
        self._host: Task | None = None
        self._nursery: Nursery | None = None
        self._open = False
        self._errors: list[BaseException] = []
        self._started = self._failed = self._cancelled = 0
        self._starts: dict[Task, TaskHandle[Any]] | None = None
        """The tasks that wait in `start()`, each with the child that it waits for."""

    async def __aenter__(self) -> Self:
        if self._nursery is not None:
            raise RuntimeError(
                "TaskGroup cannot be entered more than once: make a new one with "
                "create_task_group() for each block"
            )
        task = current_task()
        link(self.cancel_scope, task, _getframe(1))
        self._host = task
        self._nursery = task.kernel.open_nursery(self.cancel_scope, task)
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        nursery, host, scope = self._nursery, self._host, self.cancel_scope
        assert nursery is not None and host is not None, "entered before it is left"
        if host is not (task := current_task()):
            from .._kernel.scope import misplaced

            raise misplaced(scope, task)
        stopped: BaseException | None = None
        if exc_val is not None:
            if isinstance(exc_val, host.kernel.cancelled_class):
                stopped = exc_val
            else:
                self._errors.append(exc_val)
            scope.cancel()
        try:
            try:
                rest = await nursery.close(stopped)
            except BaseException as exc:  # Such as Trio's KeyboardInterrupt in the main task.
                self._errors.append(exc)
                rest = None
            if exc_val is None and rest is None and not self._errors:
                return False
            return self._conclude(host, exc_val, rest)
        finally:
            self._open = False
            self._errors = []
            del exc_val, stopped, nursery, host

    def _conclude(
        self, host: Task, body: BaseException | None, stopped: BaseException | None
    ) -> bool:
        """Raise what has to leave the group; return whether the body's exception ends here."""
        enclosed = host.effective_deadline() == -inf
        errors = self._errors
        if errors and self.cancel_scope._cancelled and not enclosed:
            errors = self._without_cancellations(host, errors)
        try:
            if errors:
                if len(errors) == 1 and errors[0] is body and isinstance(body, GeneratorExit):
                    return False  # The generator around the block is being closed: let it.
                if stopped is not None and enclosed:
                    errors.append(stopped)
                raise BaseExceptionGroup(MESSAGE, errors) from None
            if stopped is not None and stopped is not body:
                raise stopped
            return stopped is None
        finally:
            del errors, stopped, body

    def _without_cancellations(
        self, host: Task, errors: list[BaseException]
    ) -> list[BaseException]:
        """Take the group's own cancellations out of groups that tasks raised."""
        rest: list[BaseException] = []
        for exc in errors:
            left: BaseException | None = exc
            if isinstance(exc, BaseExceptionGroup):
                caught, left = exc.split(host.kernel.cancelled_class)
                if caught is not None:
                    self.cancel_scope._caught = True
            if left is not None:
                rest.append(left)
        return rest

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the group's tasks and its block. Short for `cancel_scope.cancel(reason)`."""
        self.cancel_scope.cancel(reason)

    def start_soon(
        self,
        func: Callable[[Unpack[PosArgsT]], Coroutine[Any, Any, T_co]],
        *args: *PosArgsT,
        name: object = None,
    ) -> TaskHandle[T_co]:
        """Start `func(*args)` as a task; it takes its first step at a checkpoint of the caller's.

        The task has a copy of the caller's context.

        :param func: an async function
        :param args: positional arguments for it
        :param name: a name to see in lists of tasks
        :return: the handle of the task
        :raises RuntimeError: if the group is not active
        :raises TypeError: if `func` returns something else than a coroutine
        """
        nursery = self._nursery
        if not self._open or nursery is None:
            raise self._inactive()
        coro: Any = func(*args)
        if CoroutineType is not type(coro):  # Said this way round, pyright keeps what it knows.
            coro = _checked(func, coro)
        handle: TaskHandle[T_co] = TaskHandle(coro, origin_of(func, coro, name))
        handle._nursery = nursery
        self._started += 1
        nursery.spawn(self._run(handle), handle, None)
        return handle

    def create_task(
        self,
        coro: Coroutine[Any, Any, T_co],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> TaskHandle[T_co]:
        """Start a coroutine as a task.

        :param coro: a coroutine that has not begun
        :param name: a name to see in lists of tasks
        :param context: the context to run it in, a copy of the caller's if None
        :return: the handle of the task
        :raises RuntimeError: if the group is not active; the coroutine is closed
        :raises TypeError: if `coro` is not a coroutine
        """
        if not isinstance(coro, Coroutine):  # pyright: ignore[reportUnnecessaryIsInstance]  # not all check
            raise TypeError(
                f"expected a coroutine, got {type(coro).__name__}: call the async function, or "
                f"pass it to start_soon()"
            )
        nursery = self._nursery
        if not self._open or nursery is None:
            coro.close()
            raise self._inactive()
        handle = TaskHandle(coro, origin_of(None, coro, name))
        handle._nursery = nursery
        self._started += 1
        nursery.spawn(self._run(handle), handle, context)
        return handle

    @overload
    async def start(
        self,
        func: Callable[..., Coroutine[Any, Any, T_co]],
        *args: object,
        name: object = None,
        return_handle: Literal[False] = False,
    ) -> Any: ...

    @overload
    async def start(
        self,
        func: Callable[..., Coroutine[Any, Any, T_co]],
        *args: object,
        name: object = None,
        return_handle: Literal[True],
    ) -> TaskHandle[T_co]: ...

    async def start(
        self,
        func: Callable[..., Coroutine[Any, Any, T_co]],
        *args: object,
        name: object = None,
        return_handle: bool = False,
    ) -> Any:
        """Start `func(*args, task_status=...)` and wait until it calls `task_status.started()`.

        Until then the task is part of the caller: it is in the caller's scopes, and its errors
        are raised here, bare. From then on it is one of the group's. A checkpoint.

        :param func: an async function with a keyword argument `task_status`
        :param args: positional arguments for it
        :param name: a name to see in lists of tasks
        :param return_handle: whether to return the task's handle rather than the start value
        :return: what the task gave to `started()`, or its handle
        :raises RuntimeError: if the task ends without a call of `started()`, or the group is not
            active
        """
        nursery = self._nursery
        if not self._open or nursery is None:
            raise self._inactive()
        status = Starting()
        coro: Any = func(*args, task_status=status)
        if CoroutineType is not type(coro):  # Said this way round, pyright keeps what it knows.
            coro = _checked(func, coro)
        handle: TaskHandle[T_co] = TaskHandle(coro, origin_of(func, coro, name))
        handle._nursery = nursery
        self._started += 1
        handle._starting = status
        caller = current_task()
        if self._starts is None:
            self._starts = {}
        self._starts[caller] = handle
        try:
            await nursery.start(self._run(handle), handle, status)
            if not status._started and handle._state is not FINISHED:
                await caller.checkpoint_if_cancelled()
        except BaseException as exc:
            self._start_interrupted(handle, exc)
            # As in Trio: where the child returned nobody was interrupted, so that it is its return
            # that counts, and the cancellation comes at the next checkpoint.
            if handle._state is not FINISHED or caller.effective_deadline() > -inf:
                raise
        finally:
            coro = None
            self._starts.pop(caller, None)
            del caller
        if status._abandoned and handle._state is FINISHED:
            status._started = True
        if not status._started:
            _raise_unstarted(handle)
        return handle if return_handle else status._value

    def _start_interrupted(self, handle: TaskHandle[Any], exc: BaseException) -> None:
        """The caller of `start()` was cancelled. An error of the child says more, so it wins."""
        if handle._state is FAILED:
            try:
                raise handle._failure()
            finally:
                del handle, exc

    async def _run(self, handle: TaskHandle[Any]) -> None:
        """What each task of the group really runs. Raises no error of the task."""
        cancelled = None
        try:
            handle._end(FINISHED, await handle._coro)
        except BaseException as exc:
            cancelled = self._ended_badly(handle, exc)
        nursery, key = handle._nursery, handle._key
        assert nursery is not None, "set before the task was spawned"
        # The frames of the task's exception lead here, and the handle holds that exception.
        del handle, self
        try:
            nursery.retire(key, cancelled)
        finally:
            del cancelled, nursery, key

    def _ended_badly(self, handle: TaskHandle[Any], exc: BaseException) -> BaseException | None:
        """Note how a task failed; return the cancellation that the group has to know of."""
        if exc.__traceback__ is not None:  # Without our own frame, which would keep the handle.
            exc.__traceback__ = exc.__traceback__.tb_next
        host = self._host
        assert host is not None, "a task runs in a group that was entered"
        cancelled_class = host.kernel.cancelled_class
        nursery = handle._nursery
        # Where the group is cancelled too, the cancellation is the group's, as in Trio: a scope
        # leaves it to those around it.
        alone = handle._state is CANCELLING and nursery is not None and not nursery.cancelled()
        if isinstance(exc, BaseExceptionGroup):
            rest = exc.split(cancelled_class)[1]
            if rest is None:
                exc = _first_of(exc)  # `except*` has left nothing but cancellations.
            elif alone:
                exc = rest
        if isinstance(exc, cancelled_class):
            self._cancelled += 1
            handle._end(CANCELLED, exc)
            return None if alone else exc
        self._failed += 1
        handle._end(FAILED, exc)
        starting = handle._starting
        if starting is None or starting._started:
            self._errors.append(exc)
            self.cancel_scope.cancel()
        return None

    def _describe_group(self) -> tuple[int, int, int]:
        """Tell how many tasks were started, how many failed, and how many were cancelled."""
        return self._started, self._failed, self._cancelled

    def __repr__(self) -> str:
        nursery = self._nursery
        if nursery is None:
            state = "not entered"
        elif self._open:
            count = len(nursery.children())
            state = f"active, {count} task{'s' * (count != 1)}"
        else:
            state = "closed"
        return f"<{type(self).__name__} {state}{self.cancel_scope._conditions()}>"

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        if inner is not None or self._nursery is None:
            return inner
        starts, kernel = self._starts, task._kernel
        caller = None if kernel is None else kernel.task_of(task._native)
        child = None if caller is None or starts is None else starts.get(caller)
        if child is not None:
            return WaitDescription("started() from", "started()", tasks=(child,))
        children = self._nursery.children()
        what = "the end of" if children else "the end of its task group"
        return WaitDescription(what, "the end of all", tasks=children, needs_all=True)

    def _inactive(self) -> RuntimeError:
        return RuntimeError(
            "This task group is not active; no new tasks can be started: start them inside its "
            "'async with' block"
        )


def create_task_group() -> TaskGroup:
    """Make a task group, to be entered with `async with`."""
    return TaskGroup()


def _checked(func: Any, coro: Any) -> Any:
    """Return `coro` if it is a coroutine of another kind, such as Cython's."""
    if isinstance(coro, Coroutine):
        return coro
    raise TypeError(
        f"Expected {name_of(func)}() to return a coroutine, but the return value ({coro!r}) is "
        f"not a coroutine object"
    )


def _first_of(exc: BaseException) -> BaseException:
    """Return the first exception in a tree of groups."""
    first: Any = exc
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first  # type: ignore[no-any-return]


def _raise_unstarted(handle: TaskHandle[Any]) -> None:
    """Raise what kept a child of `start()` from calling `started()`, bare."""
    exc = handle._failure() if handle._state is FAILED else None
    try:
        if exc is not None:
            raise exc
        raise RuntimeError(
            f"Child exited without calling task_status.started(): {handle.name} has to call it "
            f"once it is ready"
        )
    finally:
        del exc, handle

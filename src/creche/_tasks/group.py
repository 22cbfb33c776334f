"""`TaskGroup`: tasks that are started together and awaited together.

Knows no event loop: where its tasks live is the kernel's `Nursery`.

    new --__aenter__--> active --__aexit__ ends--> closed

Tasks may be started while the group is active, also while it is cancelled or waits for its last
tasks. The first error, in a task or in the body, cancels all the rest; every error is kept, and
they leave the group together in an exception group. A cancellation leaves it only if it comes
from outside the group, by the rules of Trio: with errors it is in the group with them, where the
cancelled scope around it will take it out again. A request of the loop's own to cancel the block
leaves it bare, and where there are errors it is raised at the next checkpoint. A task that is cancelled
by such a request ends alone, and the group goes on.
"""

# A group and its handles are one thing in two files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from math import inf
from sys import _getframe  # nothing public gives frames
from types import CoroutineType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, TypeVarTuple, Unpack, overload

from .._kernel import current_task
from .._kernel.cleanup import give
from .._kernel.scope import is_innermost, reentered
from .._kernel.waking import OtherLoop
from .._misuse import NeedsAsyncWith, explain_call
from .._tracebacks import innermost_place, place_in, without_machinery
from .._wait_description import WaitDescription
from . import stop as _stop
from .beginnings import checked_coroutine, child_elsewhere, inactive, raise_unstarted
from .describing import describe_wait, state_of
from .errors import (
    MESSAGE,
    group_of,
    heard_failures,
    leave_bare,
    leaves,
    may_hold_cancellations,
    note_task,
    shortly,
    sole_error,
    take_frames_out,
    without_cancellations,
)
from .handle import CANCELLED, CANCELLING, FAILED, FINISHED, TaskHandle, child_of, origin_of
from .info import TaskInfo
from .scope import CancelScope, TimedScope
from .start import new_starting

if TYPE_CHECKING:
    from .._kernel.contract import Nursery, Task

T_co = TypeVar("T_co", covariant=True)
PosArgsT = TypeVarTuple("PosArgsT")


class TaskGroup(NeedsAsyncWith):
    """A group of tasks that all end before its `async with` block is left.

    Made by `create_task_group()`. If the block or a task raises, the others are cancelled, and
    the errors leave the block together in an exception group.
    """

    __slots__ = (
        "__weakref__",
        "_cancelled",
        "_collapse",
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

    def __init__(self, collapse: bool = False) -> None:
        scope = self.cancel_scope = TimedScope()  # `CancelScope()`, as fast as `move_on_after`.
        scope._deadline = inf
        scope._shield = scope._cancelled = scope._entered = False
        scope._host = scope._reason = scope._reached = scope._stopping = None
        self._collapse = collapse
        self._host: Task | None = None
        self._nursery: Nursery | None = None
        self._open = False
        self._errors: list[BaseException] = []
        self._started = self._failed = self._cancelled = 0  # For those who look from outside.
        self._starts: dict[Task, TaskHandle[Any]] | None = None
        """The tasks that wait in `start()`, each with the child that it waits for."""

    async def __aenter__(self) -> Self:
        if self._nursery is not None:
            raise RuntimeError(
                "TaskGroup cannot be entered more than once: make a new one with "
                "create_task_group() for each block"
            )
        task, scope, frame = current_task(), self.cancel_scope, _getframe(1)
        if scope._entered:
            raise reentered(scope)
        # `link`, without the call (`spawn-1` in benchmarks).
        scope._entered = True
        scope._code, scope._instruction = frame.f_code, frame.f_lasti
        scope._host = self._host = task
        scope._parent = task.scope
        task.scope = scope
        self._nursery = task.kernel.open_nursery(scope, task)
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
        task = current_task()
        if host is not task or (task.scope is not scope and not is_innermost(scope, task)):
            from .misplaced import leave_misplaced

            return await leave_misplaced(self, task)
        stopped: BaseException | None = None
        if exc_val is not None:
            if isinstance(exc_val, host.kernel.cancelled_class):
                stopped = exc_val
            else:
                exc_val.__traceback__ = without_machinery(exc_val.__traceback__)
                self._errors.append(exc_val)
                scope.cancel(f"by an error in the group's block: {shortly(exc_val)}")
        try:
            try:
                # A coroutine that is closed may not suspend, and GeneratorExit is how it is told.
                rest = await nursery.close(stopped, give_way=exc_type is not GeneratorExit)
            except BaseException as exc:  # Such as Trio's KeyboardInterrupt in the main task.
                self._errors.append(exc)
                rest = None
            if exc_val is None and rest is None and not self._errors:
                return False
            return self._conclude(host, nursery, exc_val, rest)
        finally:
            self._open = False
            if self._errors:
                self._errors = []
            if scope._stopping is not None:
                _stop.leave(scope, host, exc_val)
            del exc_val, stopped, nursery, host

    def _conclude(
        self,
        host: Task,
        nursery: Nursery,
        body: BaseException | None,
        stopped: BaseException | None,
    ) -> bool:
        """Raise what has to leave the group; return whether the body's exception ends here."""
        enclosed = not self.cancel_scope._shield and host.in_cancelled_scope()
        errors = self._errors
        if errors and self.cancel_scope._cancelled and not enclosed:
            errors, found = without_cancellations(errors, host.kernel.cancelled_class)
            if found:
                self.cancel_scope._entered = "caught"
        try:
            if errors:
                if len(errors) == 1 and errors[0] is body and isinstance(body, GeneratorExit):
                    return False  # The generator around the block is being closed: let it.
                if stopped is not None and enclosed:
                    errors.append(stopped)
                nursery.put_off(host, stopped)
                if self._collapse:
                    sole = sole_error(errors, host.kernel.cancelled_class)
                    if sole is not None:
                        return leave_bare(sole, body)
                raise group_of(MESSAGE, errors) from None
            if stopped is not None and stopped is not body:
                raise stopped
            return stopped is None
        finally:
            del errors, stopped, body

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the group's tasks and its block. Short for `cancel_scope.cancel(reason)`."""
        self.cancel_scope.cancel(reason)

    def stop(self, reason: str | None = None, *, grace: float = inf) -> None:
        """Ask the group's tasks and its block to stop. Short for `cancel_scope.stop(...)`."""
        self.cancel_scope.stop(reason, grace=grace)

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
            raise inactive()
        try:
            coro: Any = func(*args)
        except TypeError:
            explain_call("start_soon", func)
            raise
        if CoroutineType is not type(coro):  # Said this way round, pyright keeps what it knows.
            coro = checked_coroutine(func, coro)
        # `origin_of`, without the call for what is most often started (`spawn-1` in benchmarks).
        origin = (
            func if name is None and FunctionType is type(func) else origin_of(func, coro, name)
        )
        handle: TaskHandle[T_co] = child_of(self, coro, origin, _getframe(1))
        try:
            nursery.spawn(self._run(handle), handle, None)
        except OtherLoop:
            child_elsewhere(self, handle).begin()
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
            raise inactive()
        handle = child_of(self, coro, origin_of(None, coro, name), _getframe(1))
        try:
            nursery.spawn(self._run(handle), handle, context)
        except OtherLoop:
            child = child_elsewhere(self, handle)
            child.begin() if context is None else context.run(child.begin)
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
            raise inactive()
        status = new_starting()
        try:
            coro: Any = func(*args, task_status=status)
        except TypeError:
            explain_call("start", func)
            raise
        if CoroutineType is not type(coro):  # Said this way round, pyright keeps what it knows.
            coro = checked_coroutine(func, coro)
        # `origin_of`, without the call for what is most often started (`spawn-1` in benchmarks).
        origin = (
            func if name is None and FunctionType is type(func) else origin_of(func, coro, name)
        )
        # A frame that was kept would keep the caller's locals for as long as this waits.
        handle: TaskHandle[T_co] = child_of(self, coro, origin, _getframe(1))
        handle._starting = status
        caller = current_task()
        if caller.kernel is not self._host.kernel:  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # it is active
            await child_elsewhere(self, handle).start(caller, status)
            return handle if return_handle else status._value
        if self._starts is None:
            self._starts = {}
        self._starts[caller] = handle
        status._early = False
        run = status._act_first(self._run, handle) if status._called else self._run(handle)
        try:
            try:
                await nursery.start(run, handle, status)
                if not (status._started or handle._state is FINISHED or handle._state is FAILED):
                    await caller.checkpoint_if_cancelled()
            except BaseException as exc:
                # As in Trio: where the child returned nobody was interrupted, so that it is its return
                # that counts, and the cancellation comes at the next checkpoint. An error of the child
                # says more than a cancellation, so it wins as well.
                if handle._state is not FAILED and (
                    handle._state is not FINISHED or not caller.in_cancelled_scope()
                ):
                    raise
                nursery.put_off(caller, exc)
            if not status._started:
                if not status._abandoned or handle._state is not FINISHED:
                    raise_unstarted(handle)
                status._started = True
            return handle if return_handle else status._value
        finally:
            del self._starts[caller]
            # The frames of an error that is raised here lead here, and the handle holds the error.
            del caller, handle, coro, run

    async def _run(self, handle: TaskHandle[Any]) -> None:
        """What each task of the group really runs. Raises no error of the task."""
        cancelled = None
        try:
            handle._outcome = await handle._coro
            handle._state = FINISHED
            if handle._queue is not None:
                handle._wake()
        except BaseException as exc:
            cancelled = self._ended_badly(handle, exc)
        nursery, key = self._nursery, handle._key
        assert nursery is not None, "a task runs in a group that was entered"
        # The frames of the task's exception lead here, and the handle holds that exception.
        del handle, self
        try:
            nursery.retire(key, cancelled)
        finally:
            del cancelled, nursery, key

    def _ended_badly(self, handle: TaskHandle[Any], exc: BaseException) -> BaseException | None:
        """Note how a task failed; return the cancellation that the group has to know of."""
        host = self._host
        assert host is not None, "a task runs in a group that was entered"
        cancelled_class = host.kernel.cancelled_class
        take_frames_out(exc, cancelled_class)
        nursery = self._nursery
        # Where the group is cancelled too, the cancellation is the group's, as in Trio: a scope
        # leaves it to those around it.
        alone = handle._state is CANCELLING and nursery is not None and not nursery.cancelled()
        if may_hold_cancellations(exc):
            rest = exc.split(cancelled_class)[1]
            if rest is None:
                exc = next(leaves(exc))  # `except*` has left nothing but cancellations.
            elif alone:
                exc = rest
        if isinstance(exc, cancelled_class):
            self._cancelled += 1
            handle._end(CANCELLED, exc)
            if _stop.grace_given:
                place = innermost_place(exc.__traceback__)
                _stop.note_overrun(self.cancel_scope, handle.name, place)
            return None if alone else exc
        self._failed += 1
        note_task(exc, handle.name, place_in(handle._code, handle._at))
        handle._end(FAILED, exc)
        starting = handle._starting
        if starting is None or starting._started:
            self._errors.append(exc)
            if not self.cancel_scope._cancelled:
                self.cancel_scope.cancel(f"by the failure of task {handle.name!r}: {shortly(exc)}")
                for hear in heard_failures:
                    hear(self.cancel_scope, exc)
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {state_of(self)}{self.cancel_scope._conditions()}>"

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return inner or describe_wait(self, task)


def create_task_group(
    *,
    collapse: bool = False,
    stop_order: Literal["reverse"] | None = None,
    cleanup: float | None = None,
) -> TaskGroup:
    """Make a task group, to be entered with `async with`.

    :param collapse: whether an error that is the only one, besides cancellations, leaves the group bare
    :param stop_order: `"reverse"` to have a stop first reach the body and the tasks of `start_soon`, then
        what was started with `start()`, the last one first; None to have it reach all at once
    :param cleanup: seconds that each task has for its clean-up once it is cancelled: see `CancelScope`
    :raises ValueError: there is no such order, or `cleanup` is negative or NaN
    :raises TypeError: `cleanup` is not a number
    """
    group = TaskGroup(collapse) if stop_order is None else _in_order(stop_order, collapse)
    if cleanup is not None:
        give(group.cancel_scope, cleanup)
    return group


def _in_order(stop_order: object, collapse: bool) -> TaskGroup:
    if stop_order != "reverse":
        raise ValueError(f"stop_order must be 'reverse' or None, not {stop_order!r}")
    from .ordered import OrderedTaskGroup  # few need it

    return OrderedTaskGroup(collapse)

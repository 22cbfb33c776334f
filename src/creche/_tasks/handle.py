r"""`TaskHandle`: what a task group returns for each task it starts.

Knows no event loop and no group, only a function that cancels its task. Names that begin with an
underscore are for `_tasks/group.py`, which fills in handles and ends them.

    pending ----------------------> finished | failed | cancelled
       \--cancel()--> cancelling ------^

The last three are final. What may be asked in each:

    status       return_value      exception         await
    ----------   ---------------   ---------------   -----------------
    pending      TaskNotFinished   TaskNotFinished   waits
    cancelling   TaskCancelled     TaskCancelled     waits
    finished     the value         None              the value
    failed       TaskFailed        the exception     TaskFailed
    cancelled    TaskCancelled     TaskCancelled     TaskCancelled
"""

# Handles and groups are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Coroutine, Generator
from enum import Enum
from types import CodeType, CoroutineType, FrameType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from .._exceptions import TaskCancelled, TaskFailed, TaskNotFinished
from .._kernel import current_task
from .._kernel.names import name_of as name_of
from .._kernel.wait_queue import WaitQueue
from .._wait_description import WaitDescription
from .errors import quoted
from .info import TaskInfo
from .scope import CancelScope

if TYPE_CHECKING:
    from .._kernel.contract import Nursery
    from .group import TaskGroup


T_co = TypeVar("T_co", covariant=True)


class _Status(Enum):
    PENDING = 1
    """The task has not finished yet."""
    FINISHED = 2
    """The task returned a value."""
    CANCELLING = 3
    """The task was cancelled through its handle and has not finished yet."""
    CANCELLED = 4
    """The task was cancelled and has ended."""
    FAILED = 5
    """The task raised an exception."""


PENDING, FINISHED, CANCELLING = _Status.PENDING, _Status.FINISHED, _Status.CANCELLING
CANCELLED, FAILED = _Status.CANCELLED, _Status.FAILED


class TaskHandle(Generic[T_co]):
    """One task of a group: its state, its outcome, and the way to cancel it alone.

    Awaiting a handle returns what the task returned, or raises TaskFailed from what it raised.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_code",
        "_coro",
        "_group",
        "_key",
        "_origin",
        "_outcome",
        "_scope",
        "_starting",
        "_state",
        "_queue",
    )

    Status: TypeAlias = _Status

    _key: Any  # The kernel's own name for the task: see the contract's `Label`.
    _scope: CancelScope | None  # Unset if the group made the handle; `elsewhere.py` sets it.
    _outcome: Any  # The value or the exception, once it has ended.
    # Where the task was started: some code, and an instruction in it.
    _code: CodeType
    _at: int

    def __init__(
        self,
        coro: Coroutine[Any, Any, T_co],
        name: object,
        cancel_scope: CancelScope | None = None,
    ) -> None:
        self._coro = coro
        self._origin = name
        self._scope = cancel_scope
        self._state = PENDING
        self._group: TaskGroup | None = None
        self._starting: Any = None
        self._outcome = None
        self._queue: WaitQueue[None] | None = None

    @property
    def status(self) -> _Status:
        """The state of the task, as a `TaskHandle.Status`."""
        return self._state

    @property
    def name(self) -> str:
        """The name that was given, or the module and qualified name of the function."""
        origin = self._origin
        if type(origin) is not str:
            origin = self._origin = name_of(origin)
        return origin

    @property
    def coro(self) -> Coroutine[Any, Any, T_co]:
        """The coroutine that the task runs."""
        return self._coro

    @property
    def return_value(self) -> T_co:
        """What the task returned.

        :raises TaskNotFinished: if it has not ended
        :raises TaskCancelled: if it was cancelled, whether it has ended or not
        :raises TaskFailed: if it raised; what it raised is the cause
        """
        if self._state is FINISHED:
            value: T_co = self._outcome
            return value
        raise self._no_value()

    @property
    def exception(self) -> BaseException | None:
        """What the task raised, None if it returned.

        :raises TaskNotFinished: if it has not ended
        :raises TaskCancelled: if it was cancelled, whether it has ended or not
        """
        if self._state is FAILED:
            exc: BaseException = self._outcome
            return exc
        if self._state is FINISHED:
            return None
        raise self._no_value()

    @property
    def start_value(self) -> Any:
        """What the task gave to `task_status.started()`.

        :raises RuntimeError: if it was not started with `TaskGroup.start()`
        """
        starting = self._starting
        if starting is None or not starting._started:
            raise RuntimeError("the task was not started with TaskGroup.start()")
        return starting._value

    def cancel(self) -> None:
        """Cancel this task alone: every checkpoint in it raises until it ends.

        Does nothing to a task that has ended.
        """
        if self._state is PENDING:
            self._state = CANCELLING
            try:
                scope = getattr(self, "_scope", None)
                if scope is not None:
                    scope.cancel()
                nursery = self._nursery
                if nursery is not None:
                    nursery.cancel_child(self._key, None)
            except RuntimeError:  # from another thread: nothing has changed
                self._state = PENDING
                raise

    async def wait(self) -> None:
        """Wait until the task has ended, however it ended. A checkpoint."""
        task = current_task()
        await task.ready_checkpoint()
        if self._state is PENDING or self._state is CANCELLING:
            queue = self._queue
            if queue is None:
                queue = self._queue = WaitQueue()
            await queue.wait(task, None)

    def __await__(self) -> Generator[Any, Any, T_co]:
        yield from self.wait().__await__()
        if self._state is FINISHED:
            value: T_co = self._outcome
            return value
        raise self._no_value()

    def _end(self, state: _Status, outcome: Any) -> None:
        """Record how the task ended, and wake the tasks that wait for it."""
        self._state = state
        self._outcome = outcome
        if self._queue is not None:
            self._wake()

    def _wake(self) -> None:
        queue, self._queue = self._queue, None
        for waiter, _ in queue or ():
            waiter.set_result(None)

    @property
    def _nursery(self) -> Nursery | None:
        return None if self._group is None else self._group._nursery

    def _exposed(self) -> Coroutine[Any, Any, Any]:
        """Return what to run in a task of the loop's task factory: see the contract's `Label`."""
        starting = self._starting
        if starting is not None and starting._called:
            acting: Coroutine[Any, Any, Any] = starting._act_first(_itself, self._coro)
            return acting
        return self._coro

    def _finish(self, value: Any, exc: BaseException | None, /) -> BaseException | None:
        group = self._group
        assert group is not None, "only a child of a group is exposed"
        if exc is None:
            self._end(FINISHED, value)
            return None
        try:
            return group._ended_badly(self, exc)
        finally:
            del exc

    def _unfinished(self) -> bool:
        """Tell whether the task has not ended."""
        return self._state is PENDING or self._state is CANCELLING

    def _failure(self) -> BaseException:
        """Return what the task raised; only of one that failed or was cancelled."""
        exc: BaseException = self._outcome
        return exc

    def _no_value(self) -> Exception:
        if self._state is FAILED or self._state is CANCELLED:
            failed = self._state is FAILED
            error = (
                TaskFailed(f"the task raised an exception: {self.name!r}, {quoted(self._outcome)}")
                if failed
                else TaskCancelled("the task was cancelled")
            )
            error.__cause__ = self._outcome
            return error
        if self._state is CANCELLING:
            return TaskCancelled("the task was cancelled")
        return TaskNotFinished("the task has not finished yet")

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return inner or WaitDescription("the end of", "its end", tasks=(self,))

    def __repr__(self) -> str:
        return f"<TaskHandle {self._state.name.lower()} name={self.name!r} coro={self._coro!r}>"


class ChildHandle(TaskHandle[T_co]):
    """What a group makes: a `TaskHandle` to users.

    `child_of` does what `__init__` would do: CPython has no fast way through that of a class with slots
    (`spawn-100` in benchmarks).
    """

    __slots__ = ()

    if not TYPE_CHECKING:
        __init__ = object.__init__


_make: Any = ChildHandle  # Type checkers see the arguments of `TaskHandle`.


def child_of(
    group: TaskGroup, coro: Coroutine[Any, Any, T_co], origin: object, frame: FrameType
) -> TaskHandle[T_co]:
    """Return the handle of a new child of `group`; `frame` is the user's, which starts it."""
    handle: TaskHandle[T_co] = _make()
    none = None  # To store a local is a step less than to store a constant.
    handle._coro = coro
    handle._origin = origin
    handle._state = PENDING
    handle._group = group
    handle._code = frame.f_code
    handle._at = frame.f_lasti
    handle._starting = none
    handle._queue = none
    group._started += 1
    return handle


def _itself(coro: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    return coro


def origin_of(func: Any, coro: Any, name: object) -> object:
    """Return what a task is to be named by, without holding on to more than code.

    A plain function is kept and named only when somebody asks, since most tasks never are.
    """
    if name is not None:
        return str(name)
    if type(func) is FunctionType:
        return func
    if isinstance(func, MethodType):
        return func.__func__
    made_of: Any = coro
    if CoroutineType is not type(made_of) and hasattr(func, "__qualname__"):
        return name_of(func)  # what makes it is named better, as with `agen.asend`
    return name_of(made_of)

"""The running task: parking, checkpoints, and the state that the kernel keeps for each task.

`Task` is asyncio's own task with room for that state, so that finding it costs one attribute.
A task that other code made is `foreign`: its state is in a `ForeignTask` beside it, found by the task's
identity, and it counts as outside every scope that it did not enter itself.

What may suspend here: the waits and the checkpoints. They are the loop's own future or generator-based
coroutines, because each frame in a wait costs time and memory. `delivery` is None until the first
cancellation; `delivery.py` has what happens then.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from ..inspection import TaskRecord
from ..names import name_from
from .call_graph import TOLD
from .delivery import Delivery, interrupt
from .probe import note, refill, watched
from .reach import reached
from .state import (
    LoopKernel,
    TaskState,
    lower_bases,
    native_cancel,
    native_task,
    native_uncancel,
    python_task,
    requests,
)

if TYPE_CHECKING:
    from ..scope import Scope

Future = asyncio.Future
CancelledError = asyncio.CancelledError

if TYPE_CHECKING:
    NativeTask: TypeAlias = asyncio.Task[None]
else:
    NativeTask = asyncio.Task


@coroutine
def _nothing() -> Generator[Any, Any, None]:
    return
    yield


NOTHING: Awaitable[None] = _nothing()
"""The awaitable of an operation with nothing to do. It has ended, so each await returns at once."""
next(NOTHING, None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a generator too


class Verbs(TaskState):
    """What both kinds of task can do: the contract's `Task`."""

    __slots__ = tuple[str, ...]()

    def enclosing_scope(self) -> Scope | None:
        return None  # the chain has it

    def make_waiter(self) -> Future[Any]:
        return self.kernel.make_future()

    # The waiters that come back are futures of this loop, and the contract cannot say so: `Any`.

    @coroutine
    def wait(self, waiter: Any, /) -> Generator[Any, Any, Any]:
        parked: Any = self.park(waiter)  # A future or a generator.
        try:
            return (yield from parked)  # pyright: ignore[reportUnknownVariableType]
        except BaseException as exc:
            if not self.granted(waiter, exc):
                raise
            return waiter.result()

    def park(self, waiter: Any, /) -> Awaitable[Any]:
        if self.credit > 0:
            # Before the wait: a cancel that comes with the grant sets it back to nothing.
            self.credit = self.kernel.budget
            # As it is: a coroutine around it would cost each blocked task 230 bytes.
            return waiter  # type: ignore[no-any-return]  # a future
        return self._park_if_not_cancelled(waiter)

    @coroutine
    def _park_if_not_cancelled(self, waiter: Future[Any]) -> Generator[Any, Any, Any]:
        yield from interrupt(self, waiter)
        if not waiter.done():  # If it is, the task did not check whether it is cancelled.
            refill(self)
        return (yield from waiter)

    def granted(self, waiter: Any, exc: BaseException, /) -> bool:
        if waiter.cancelled() or not isinstance(exc, CancelledError):
            return False
        if not waiter.done():
            waiter.cancel()
            return False
        # A native cancel met a grant: the grant wins, the cancel comes next.
        Delivery.of(self).defer(exc.args)
        waiter.result()  # What it failed with says more than a cancellation.
        return True

    def make_firm_waiter(self, heard: Callable[[], object] | None = None, /) -> FirmFuture:
        waiter = FirmFuture(loop=self.kernel.loop)
        waiter.heard = heard
        waiter.task = self
        return waiter

    def check_parked(self, waiter: Any, /) -> None:
        if waiter.cancelled():
            raise CancelledError
        if type(waiter) is FirmFuture and not waiter.done():
            text = reached(self)
            if text is not None:
                raise CancelledError(text)
            if getattr(self.native, "_must_cancel", False):
                raise CancelledError

    def shield_ended(self) -> None:
        """Deliver what was cancelled during a shielded wait, which has ended."""
        delivery = self.delivery
        if self.shield_depth == 0 and (
            (delivery is not None and delivery.deferred is not None) or reached(self) is not None
        ):
            Delivery.of(self).deliver()

    @coroutine
    def checkpoint(self) -> Generator[Any, Any, None]:
        if self.credit < 1:
            yield from interrupt(self, None)
            refill(self)
        else:
            self.credit = self.kernel.budget
        yield
        if self.credit < 1:
            yield from interrupt(self, None)

    def ready_checkpoint(self, cost: int = 1, /) -> Awaitable[None]:
        if self.credit > 0:
            self.credit -= cost
            return NOTHING
        return self._ready_in_probe(cost) if self in watched else self.checkpoint()

    @coroutine
    def _ready_in_probe(self, cost: int) -> Generator[Any, Any, None]:
        keeper = watched[self][0]
        if keeper.credit + self.credit > 0:
            yield from interrupt(self, None)
            note(self)
            keeper.credit -= cost
        else:
            yield from self.checkpoint()  # pyright: ignore[reportGeneralTypeIssues]  # a generator

    def spend(self, cost: int, /) -> None:
        self.credit -= cost

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        return NOTHING if self.credit > 0 else self._checkpoint_if_cancelled()

    @coroutine
    def _checkpoint_if_cancelled(self) -> Generator[Any, Any, None]:
        yield from interrupt(self, None)
        note(self, scheduled=False)

    @coroutine
    def cancel_shielded_checkpoint(self) -> Generator[Any, Any, None]:
        self.shield_depth += 1
        try:
            yield
        except CancelledError as exc:
            Delivery.of(self).defer(exc.args)
        finally:
            self.shield_depth -= 1
            if self.credit < 1:
                self.shield_ended()

    def in_cancelled_scope(self) -> bool:
        scope = self.scope
        while scope is not None and scope._floats and scope._host is self:
            scope = scope._parent
        return scope is not None and scope._reached is not None

    def ended(self) -> bool:
        native = self.native
        return native is None or native.done()

    def at_end(self, callback: Callable[[], object], /) -> None:
        native = self.native
        if native is None or native.done():
            callback()
        else:
            native.add_done_callback(lambda _: callback())

    def effective_deadline(self) -> float:
        if reached(self) is not None:
            return float("-inf")
        deadline = float("inf")
        scope = self.scope
        while scope is not None:
            deadline = min(deadline, scope._deadline)
            if scope._shield:
                break
            scope = scope._parent
        return deadline


if TYPE_CHECKING:
    AnyFuture: TypeAlias = asyncio.Future[Any]
else:
    AnyFuture = asyncio.Future


class FirmFuture(AnyFuture):
    """A future that no native cancel can end: the task hears of that when the wait is over.

    A plain one needs another in front of it, and each wait then a pass of the loop more
    (`to-thread` in benchmarks).
    """

    __slots__ = ("heard", "task")

    heard: Callable[[], object] | None
    task: Verbs

    def cancel(self, msg: Any = None) -> bool:
        if self.heard is not None and not self.done():
            self.heard()
        return False

    @coroutine
    def wait(self) -> Generator[Any, Any, Any]:
        task = self.task
        if self.heard is not None and task.delivery is not None and task.delivery.deferred:
            self.heard()  # The cancel came in a wait before this one, and was put off.
        task.shield_depth += 1
        try:
            while not self.done():
                try:
                    yield from self
                except CancelledError as exc:  # A native cancel, thrown at the end of the wait.
                    Delivery.of(task).defer(exc.args)
        finally:
            task.shield_depth -= 1
            if task.credit < 1:
                task.shield_ended()
        return self.result()


class Task(Verbs, NativeTask):
    """A task of Creche's own, with the kernel's state in slots. `nursery.py` makes them."""

    __slots__ = (
        "credit", "kernel", "label", "shield_depth", "nursery", "origin", "scope", "delivery",
    )  # fmt: skip

    label: Any
    nursery: Any
    origin: object
    """What the task is named by once it has ended, and has dropped its label. Unset before."""

    @property
    def native(self) -> asyncio.Task[Any]:
        return self

    def get_name(self) -> str:
        if self.label is not None:
            name: str = self.label.name
            return name
        origin = getattr(self, "origin", None)
        return super().get_name() if origin is None else name_from(origin)

    def set_name(self, value: object) -> None:
        if value is None:  # From CPython 3.13's create_task, for a task that got no name.
            return
        super().set_name(value)
        self.label = self.origin = None

    def cancel(self, msg: Any = None) -> bool:
        if self.begun() or self.done():
            return native_cancel(self, msg)
        # asyncio would throw into a coroutine that never ran, and none of its code would see it.
        Delivery.of(self).defer(() if msg is None else (msg,), uncounted=1)
        return True

    def uncancel(self) -> int:
        left = native_uncancel(self)
        lower_bases(self)
        if self.delivery is not None and not requests(self):
            self.delivery.deferred = None
        return left

    def strike(self, text: object = None) -> None:
        native_cancel(self, text)

    def take_back(self, strikes: int) -> None:
        for _ in range(strikes):
            native_uncancel(self)

    def begun(self) -> bool:
        """Tell whether the first step was taken."""
        coro: Any = self.get_coro()
        begun: bool = coro.cr_suspended or coro.cr_running
        return begun

    def info(self) -> TaskRecord:
        label = self.label
        host = self.nursery.host if self.nursery is not None else None
        return TaskRecord(
            id(self),
            id(host.native) if host is not None else None,
            self.get_name(),
            label.coro if label is not None else self.get_coro(),
            self,
            label if host is not None else None,
        )


def new_task(
    kernel: LoopKernel,
    coro: Coroutine[Any, Any, Any],
    label: Any,
    nursery: Any = None,
    scope: Scope | None = None,
    context: Context | None = None,
) -> Task:
    """Make a task of ours: a child of `nursery` that begins in `scope`, or one outside of all."""
    if TOLD and label is not None:
        task = Task(coro, loop=kernel.loop, name=label.name, context=context)
    else:
        task = Task(coro, loop=kernel.loop, context=context)
    task.kernel = kernel
    task.label = label
    task.nursery = nursery
    task.scope = scope
    task.shield_depth = 0
    task.delivery = None
    task.credit = kernel.budget
    return task


class ForeignTask(Verbs):
    """The kernel's state for a task that Creche did not make."""

    __slots__ = (
        "__weakref__", "_name", "_native", "credit", "kernel", "shield_depth", "scope", "delivery",
    )  # fmt: skip

    def __init__(self, native: asyncio.Task[Any], kernel: LoopKernel) -> None:
        key = id(native)
        self._native = weakref.ref(native, lambda _: foreign_tasks.pop(key, None))
        self._name = native.get_name()
        self.kernel = kernel
        self.scope: Scope | None = None
        self.credit = kernel.budget
        self.shield_depth = 0
        self.delivery: Delivery | None = None

    @property
    def native(self) -> asyncio.Task[Any] | None:
        return self._native()

    def cancelling(self) -> int:
        native = self._native()
        return native.cancelling() if native is not None else 0

    def strike(self, text: object = None) -> None:
        native = self._native()
        if native is not None:
            native.cancel(text)

    def take_back(self, strikes: int) -> None:
        native = self._native()
        if native is not None:
            for _ in range(strikes):
                native.uncancel()

    def begun(self) -> bool:
        return True  # Its state is made when it first uses Creche.

    def info(self) -> TaskRecord:
        native = self._native()
        if native is None:
            return TaskRecord(id(self), None, self._name, None, None)
        # CPython 3.12.1 crashes when a finished eager task is asked for its coroutine.
        coro = None if native.done() else native.get_coro()
        return TaskRecord(id(native), None, native.get_name(), coro, native)


foreign_tasks: dict[int, ForeignTask] = {}


def task_of(native: asyncio.Task[Any]) -> Task | ForeignTask | None:
    """Return the kernel's state for a task, None for one that never used Creche."""
    return native if isinstance(native, Task) else foreign_tasks.get(id(native))


def running_task(kernel: LoopKernel) -> Task | ForeignTask:
    """Return the task that runs in the loop of `kernel`, this thread's."""
    native = native_task(kernel.loop)
    if type(native) is Task:
        return native
    native = native or python_task(kernel.loop)
    assert native is not None, "called in a task"
    return foreign_tasks.get(id(native)) or foreign_task(native, kernel)


def foreign_task(native: asyncio.Task[Any], kernel: LoopKernel) -> ForeignTask:
    """Begin to keep the state of a foreign task."""
    state = foreign_tasks[id(native)] = ForeignTask(native, kernel)
    return state

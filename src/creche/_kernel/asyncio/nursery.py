"""`Nursery`: where the children of one task group live, on asyncio.

    open -> closing (the host waits for the last child) -> closed

A child is a `Task` whose chain of scopes begins with the nursery's scope. During `start()` it begins
with the caller's scope instead (`PendingStart`), and moves when the child says that it is ready. There
are no done-callbacks: a child's last step calls `retire`, and the last one wakes the host.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import cleanup
from ..contract import ChildLabel, Starting
from ..scope import Scope, cut, unlink
from ..waking import OtherLoop
from . import cleaning, scopes
from .call_graph import TOLD, add, discard
from .checked import check_thread
from .delivery import Delivery, interrupt, settle
from .factory import EAGER, make_child
from .reach import reached
from .state import LoopKernel, ScopeState, base_of, requests, running_loop, state_of
from .tasks import Task, new_task, running_task

if TYPE_CHECKING:
    from .factory import FactoryTask
    from .tasks import ForeignTask

    Child: TypeAlias = Task | FactoryTask


class Nursery(ScopeState):
    """The children of one group: what the kernel keeps of the group's scope, and more."""

    __slots__ = (
        "_cancelled",
        "_idle",
        "_name",
        "_named_for",
        "_stopped",
        "host",
        "kernel",
        "native_host",
        "scope",
        "starting",
    )

    if not TYPE_CHECKING:
        # CPython has no fast way to one of ours (`spawn-1` in benchmarks): see `open`.
        __init__ = object.__init__

    _cancelled: BaseException | None
    _idle: asyncio.Future[Any] | None
    _name: str | None
    _named_for: object
    _stopped: BaseException | None
    host: Task | ForeignTask
    kernel: LoopKernel
    native_host: Any
    scope: Scope
    starting: int
    """Children that `start()` waits for."""

    def open(self, kernel: LoopKernel, scope: Scope, host: Task | ForeignTask) -> None:
        """Begin, as the nursery of `scope`, which `host` has just entered."""
        kept = scope._native
        if kept is None:
            self.base = 0
            self.timer = None
        else:
            kept = state_of(scope)
            self.base = kept.base
            self.timer = kept.timer
        self.tasks = {}
        scope._native = self
        self.kernel = kernel
        self.scope = scope
        self.host = host
        self.starting = 0
        self._idle = self._cancelled = self._stopped = None
        if TOLD:
            self.native_host = host.native
            self._named_for = self._name = None

    def spawn(
        self, coro: Coroutine[Any, Any, None], label: ChildLabel, context: Context | None
    ) -> None:
        scope, kernel = self.scope, self.kernel
        loop = kernel.loop
        if running_loop() is not loop:
            coro.close()
            raise OtherLoop
        factory = kernel.factories._task_factory
        if factory is not None and factory is not EAGER:
            self._spawn_by_factory(coro, label, context)
            return
        # `new_task`, without the call (`spawn-100` in benchmarks).
        if TOLD:
            origin = label._origin
            if (
                origin is not self._named_for
            ):  # As a rule a group starts one function again and again.
                self._named_for, self._name = origin, label.name
            task = Task(coro, loop=loop, name=self._name, context=context)
            add(task, self.native_host)
        else:
            task = Task(coro, loop=loop, context=context)
        label._key = task
        task.kernel = kernel
        task.label = label
        task.nursery = self
        task.scope = scope
        task.shield_depth = 0
        task.delivery = None
        task.credit = kernel.budget
        self.tasks[task] = None
        if scope._reached is not None:
            Delivery.of(task).deliver()

    def _spawn_by_factory(
        self, coro: Coroutine[Any, Any, None], label: ChildLabel, context: Context | None
    ) -> None:
        task = make_child(self.kernel, coro, label, self, self.scope, context)
        if TOLD:
            add(task.native, self.native_host)
        self.tasks[task] = None
        if self.scope._reached is not None:
            Delivery.of(task).deliver()

    def retire(self, task: Child, cancelled: BaseException | None) -> None:
        if task.nursery is self:
            if cancelled is not None and (self.scope._reached is not None or _by_scopes(task)):
                # A scope did it, no native cancel. As in Trio, the group is then cancelled as well.
                self._cancelled = self._cancelled or cancelled
                if not self.scope._cancelled:
                    scopes.cancel(self.scope)
            self.tasks.pop(task, None)
        else:
            self.starting -= 1
            task.nursery.ended(cancelled)
        # Nothing of the task leads to its handle now, so the frames of its exception can die.
        task.label._key = None
        task.origin = task.label._origin
        task.label = None
        if task.delivery is not None:
            task.delivery = None
            if cleanup.used:
                cleaning.forget(task)
        idle = self._idle
        if idle is not None and not self.tasks and not self.starting and not idle.done():
            idle.set_result(None)

    @coroutine
    def start(
        self, coro: Coroutine[Any, Any, None], label: ChildLabel, move: Starting
    ) -> Generator[Any, Any, None]:
        caller = running_task(self.kernel)
        pending = PendingStart()
        pending.begin(self, caller, coro, label)
        move._move = pending.move
        self.starting += 1
        try:
            if caller.credit < 1:
                yield from interrupt(caller, pending.waiter)
            yield from pending.waiter
        except asyncio.CancelledError as exc:
            if caller.granted(pending.waiter, exc):
                return
            interrupted = cleanup.used and cleaning.take_away(caller, pending._scope)
            if pending.task.nursery is pending and not pending.over:
                pending.given_up = True
                self.cancel_child(pending.task, "the caller of start() was cancelled")
                pending.waiter = waiter = caller.make_firm_waiter()
                # A generator, whatever `types.coroutine` makes of its type.
                yield from waiter.wait()  # pyright: ignore[reportGeneralTypeIssues]
            if interrupted and not pending.has_outcome:
                cleaning.begin(caller, None)  # Here it is raised, and not before.
            raise
        finally:
            move._move = None

    def adopt(self, task: Child, scope: Scope | None) -> None:
        """Take in a child that lived in `scope` until now, which no cancellation reaches."""
        ours = self.scope
        self.tasks[task] = None
        if task.scope is scope:
            task.scope = ours
        else:
            _hang(task, ours)
        if ours._reached is not None:  # or nothing is new (`supervised-start` in benchmarks)
            _spread_from(task)

    def cancel_child(self, task: Child, reason: str | None) -> None:
        if task.ended():
            return
        if self.kernel.loop.get_debug():
            check_thread(self.kernel.loop)
        delivery = Delivery.of(task)
        own = delivery.own
        if own is None:
            own = delivery.own = Scope()
            own._host = task
            _hang(task, own)
        if not own._cancelled:
            own._reason = reason
            scopes.cancel(own)

    def cancelled(self) -> bool:
        return self.scope._reached is not None

    def put_off(self, task: Any, cancelled: BaseException | None) -> None:
        base = self.base if task is self.host else base_of(task.scope, task)
        if requests(task) > base:
            Delivery.of(task).defer(() if cancelled is None else cancelled.args)

    def children(self) -> list[Any]:
        return [task.native for task in list(self.tasks)]  # Other threads look, too: one step of C.

    @coroutine
    def close(
        self, cancelled: BaseException | None, *, give_way: bool = True
    ) -> Generator[Any, Any, BaseException | None]:
        host, scope = self.host, self.scope
        try:
            # Whatever the counts say, no scope did this; or one did, before a shield was set.
            native = cancelled is not None and scope._reached is None
            native = native and not _by_scopes(host, self.base)
            if cancelled is not None:
                scopes.cancel(scope)
            elif host.delivery is not None:
                self._hear_deferred(host.delivery)
            if self.tasks or self.starting:
                yield from self._wait()
            elif give_way:
                yield from host.cancel_shielded_checkpoint()  # pyright: ignore[reportGeneralTypeIssues]  # as below
            if cancelled is None:
                native = self._stopped is not None
                cancelled = self._stopped or self._cancelled
            if host.scope is scope:
                host.scope = scope._parent  # `unlink`, without the call (`spawn-1` in benchmarks).
                scope._host = None
            else:
                unlink(scope, host)
            # `scopes.leave`, without the call: this nursery is what is kept of the scope.
            if self.timer is not None:
                self.kernel.timers.drop(self.timer)
            scope._native = None
            if scope._cancelled or scope._shield:
                cancelled = scopes.settle_counts(scope, host, cancelled, self.base, native=native)
            if cancelled is not None and cleanup.used and reached(host) is not None:
                cleaning.begin(host, None)  # The end of the group raises it.
            return cancelled
        finally:
            self._cancelled = self._stopped = None
            if TOLD:
                self.native_host = self._named_for = None
            del cancelled

    def _hear_deferred(self, delivery: Delivery) -> None:
        """A native cancel that was put off comes here at the latest."""
        deferred = None
        if delivery.deferred is not None and not delivery.deferred[1]:
            deferred = delivery.take_deferred()
        if deferred is not None:
            self._stopped = asyncio.CancelledError(*deferred[0])
            scopes.cancel(self.scope)

    # The task is of this kernel, and the contract cannot say so: `Any`.
    @coroutine
    def abandon(self, task: Any) -> Generator[Any, Any, BaseException | None]:
        scope, host = self.scope, self.host
        if scope._host is not None:
            cut(scope, host)
        if reached(host) is None:
            settle(host)
        # From here on it is a group of `task`, and its innermost one.
        self.host = scope._host = task
        if TOLD:
            for child in self.tasks:
                discard(child.native, self.native_host)
                add(child.native, task.native)
            self.native_host = task.native
        self.base = max(requests(task), 0)
        scope._entered = True
        scope._parent = task.scope
        task.scope = scope
        scopes.cancel(scope)
        # A generator, whatever `types.coroutine` makes of its type.
        rest: BaseException | None = yield from self.close(None, give_way=False)  # pyright: ignore[reportGeneralTypeIssues,reportUnknownVariableType]
        return rest  # pyright: ignore[reportUnknownVariableType]

    def _wait(self) -> Generator[Any, Any, None]:
        """Wait until no child is left.

        A cancelled scope does not interrupt this: the children are in it as well, and it is over
        when they are. So nothing is raised where nobody was interrupted.
        """
        host = self.host
        host.shield_depth += 1
        try:
            while self.tasks or self.starting:
                idle = self._idle = asyncio.Future(loop=self.kernel.loop)
                try:
                    yield from idle
                except asyncio.CancelledError as exc:  # Native, for the host waits shielded.
                    self._stopped = self._stopped or exc
                    scopes.cancel(self.scope)
        finally:
            self._idle = None
            host.shield_depth -= 1
            if host.credit < 1:
                host.shield_ended()


class PendingStart:
    """A child that is not started yet, and so lives in the scope of the caller of `start()`.

    pending -> moved (by `started()`) | ended | given up (the caller was cancelled) -> ended
    """

    __slots__ = (
        "_nursery", "_scope", "given_up", "has_outcome", "host", "native_host", "over", "task", "waiter",
    )  # fmt: skip

    def begin(
        self,
        nursery: Nursery,
        caller: Task | ForeignTask,
        coro: Coroutine[Any, Any, None],
        label: ChildLabel,
    ) -> None:
        """Make the child. Not in an `__init__`, which would be slower (`start` in benchmarks)."""
        self._nursery = nursery
        self.host = caller
        scope = self._scope = caller.scope
        self.over = self.given_up = self.has_outcome = False
        kernel = nursery.kernel
        self.waiter: asyncio.Future[Any] = asyncio.Future(loop=kernel.loop)
        factory = kernel.factories._task_factory
        make: Any = new_task if factory is None or factory is EAGER else make_child
        task = self.task = make(kernel, coro, label, self, scope, None)
        label._key = task
        if TOLD:
            self.native_host = caller.native
            add(task.native, self.native_host)
        if scope is not None:
            home = nursery if scope is nursery.scope else state_of(scope)
            home.tasks[task] = None
            if scope._reached is not None:
                Delivery.of(task).deliver()

    def retire(self, task: Child, cancelled: BaseException | None) -> None:
        self._nursery.retire(task, cancelled)

    def move(self) -> bool:
        """Move the child into the nursery: what its `started()` does."""
        task, scope, nursery = self.task, self._scope, self._nursery
        if self.given_up or (scope is not None and scope._reached is not None):
            return False  # The caller is cancelled, so the child is, and will hear of it.
        if scope is not nursery.scope:
            self._forget_task()
            nursery.adopt(task, scope)
        nursery.starting -= 1
        task.nursery = nursery
        if TOLD:
            discard(task.native, self.native_host)
            add(task.native, nursery.native_host)
        if not self.waiter.done():
            self.waiter.set_result(None)
        return True

    def ended(self, cancelled: BaseException | None) -> None:
        """The child has ended without having been started."""
        self.over = True
        self.has_outcome = cancelled is None
        self._forget_task()
        if not self.waiter.done():
            self.waiter.set_result(None)

    def _forget_task(self) -> None:
        state = self._scope._native if self._scope is not None else None
        if isinstance(state, ScopeState):
            state.tasks.pop(self.task, None)


def _by_scopes(task: Task | ForeignTask, base: int = 0) -> bool:
    """Tell whether a cancellation that was raised in a task came from scopes, and a shield since then."""
    delivery = task.delivery
    return delivery is not None and delivery.struck and requests(task) <= base


def _hang(task: Child, scope: Scope) -> None:
    """Make `scope` what the task's own chain of scopes hangs on; or its first own link."""
    first = None
    link = task.scope
    while link is not None and link._host is task:
        first, link = link, link._parent
    if scope._host is task:
        scope._parent = link
    if first is None:
        task.scope = scope
    else:
        first._parent = scope


def _spread_from(task: Child) -> None:
    """Deliver to a child that came into a cancelled scope, and to all that is inside it."""
    if task.scope is not None and task.scope._host is task:
        link = task.scope
        while link._parent is not None and link._parent._host is task:
            link = link._parent
        scopes.spread(link)
    elif reached(task) is not None:
        Delivery.of(task).deliver()

"""The kernel contract: all that Creche asks of an event loop, and the rules it asks it by.

Two kernels implement it, `_kernel/asyncio/` and `_kernel/trio/`; everything above is written
once against these names. Nothing here imports an event loop. What only some callers need has an
interface of its own: `descriptors.py` (sockets), `inspection.py` (looking at tasks), `outside.py` (other
threads, signals, the end of the loop, native calls), `running.py` (starting a loop), `inlining.py` (copies of two verbs),
`probing.py` (tests), `simulation.py` (simulated runs). "Adding a kernel" in `docs/architecture.md` shows
how to add a third one.

The rules
---------
Waiting     `Task.wait` is the only way to block; `WaitQueue.wait` is the same with a place in a
            queue. A waker holds the task's `Waiter`, and skips one that is `done()`: its task was
            cancelled, and is on its way out.
Grants      A grant wins over a cancel. Once `Waiter.set_result` was called the operation has
            succeeded, whatever cancel arrives before the task steps; the cancel is raised at the
            task's next checkpoint. So no primitive ever has to take a grant back.
Cancelling  Level-triggered. While a scope is cancelled every wait and checkpoint of an unshielded
            task inside it raises `Kernel.cancelled_class`, until the task has left the scope. An
            operation that raises it had no effect.
Budget      A task may do `Kernel.budget` ready operations before it lets the others run. An operation that
            need not wait awaits `Task.ready_checkpoint()`, which costs one of them; one whose work
            grows with its bytes also calls `Task.spend`. Pay first, then act: `ready_checkpoint`
            may run other tasks, so look at the state after it.
Threads     All of this belongs to the loop's own thread, but `Kernel.call_soon_threadsafe`,
            `Kernel.ended`, `Kernel.now`, `Task.check_parked` and what looks at the tasks of a loop
            (`Inspection`), which any thread may call.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from .descriptors import Descriptors
from .descriptors import Watch as Watch
from .inlining import Parts
from .inspection import Inspection, TaskInspection
from .inspection import TaskRecord as TaskRecord
from .outside import NativeCalls, Outside

if TYPE_CHECKING:
    from .cleanup import Cleanups
    from .probing import TestProbe
    from .scope import Scope
    from .simulation import Simulation


def checked_budget(asked: object, name: str) -> int:
    """Return the `Kernel.budget` for every `asked`-th ready operation to let other tasks run.

    :raises ValueError: `asked`, which came by `name`, is not a whole number of at least 1
    """
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 1:
        return asked - 1  # That one is not counted.
    raise ValueError(
        f"{name} must be a whole number of at least 1, not {asked!r}: with 1 every operation lets "
        f"other tasks run. Leave it out for the usual 129"
    )


def budget_of(environment: Mapping[str, str]) -> int:
    """Return the budget that `CRECHE_BUDGET` asks for: 128 if nobody does.

    For programs that count on every operation to let others run, as AnyIO's do: `CRECHE_BUDGET=1`.

    :raises ValueError: the variable is not a whole number of at least 1
    """
    asked = environment.get("CRECHE_BUDGET", "").strip() or "129"
    return checked_budget(int(asked) if asked.isdecimal() else asked, "CRECHE_BUDGET")


BUDGET = budget_of(os.environ)
"""The usual `Kernel.budget`: 128 if `CRECHE_BUDGET` does not ask for another.

As many as Tokio allows: at some 0.3 µs each a task has the loop for 40 µs at most, and the pass of
the loop that ends it is spread so thin that it does not show (`event`, `lock` in benchmarks)."""


class Waiter(Protocol):
    """The wake-up of one parked task: `waiting -> granted | failed | cancelled`, once."""

    def done(self) -> bool:
        """Tell whether the waiter was granted, failed or cancelled already."""
        ...

    def result(self) -> Any:
        """Return what the waiter was granted, or raise what it failed with, if no wait has done so."""
        ...

    def set_result(self, value: Any, /) -> None:
        """Grant: the wait returns `value`. Only on a waiter that is not done."""
        ...

    def set_exception(self, exc: BaseException, /) -> None:
        """Fail: the wait raises `exc`. Only on a waiter that is not done."""
        ...


class FirmWaiter(Waiter, Protocol):
    """A waiter that no cancellation ends."""

    def wait(self) -> Awaitable[Any]:
        """Block until the waiter is granted or failed. Awaited by the task that it was made for.

        A cancellation that comes meanwhile is raised at the task's next checkpoint.
        """
        ...


class Task(Parts, TaskInspection, Protocol):
    """What a kernel knows of one running task. Hashable, compared by identity."""

    scope: Scope | None
    """The innermost scope that the task has entered, and not left yet.

    Then that of the nursery it was born in, or None on a loop that has scopes of its own: the chain is
    for code that enters and leaves scopes. What reaches a task is asked of `effective_deadline`."""

    @property
    def kernel(self) -> Kernel:
        """The loop that the task runs in."""
        ...

    def enclosing_scope(self) -> Scope | None:
        """Return the scope around all that this task has entered, where the chain ends before it.

        A kernel whose loop keeps that by itself need not link a child to the scope of its group.
        """
        ...

    def make_waiter(self) -> Waiter:
        """Make a waiter that this task is about to wait on."""
        ...

    def wait(self, waiter: Waiter, /) -> Awaitable[Any]:
        """Block this task (the running one) until `waiter` is granted. Awaited at once.

        Returns what was granted, or raises what the waiter failed with, or `cancelled_class`; then
        the waiter is done, and its waker will skip it.
        """
        ...

    def make_firm_waiter(self, heard: Callable[[], object] | None = None, /) -> FirmWaiter:
        """Make a waiter that this task will wait on shielded.

        `heard()` is called when the task is cancelled natively, around all scopes, as it waits, or
        was in a shielded wait just before.
        """
        ...

    def ready_checkpoint(self, cost: int = 1, /) -> Awaitable[None]:
        """Raise if cancelled; otherwise take `cost` off the budget, or let others run if it is spent.

        The checkpoint of an operation that need not wait. `cost` is 0 where it calls `spend` later,
        when it knows what it has done. Awaited at once.
        """
        ...

    def spend(self, cost: int, /) -> None:
        """Take `cost` off the budget. The next ready checkpoint lets others run if that was all."""
        ...

    def checkpoint(self) -> Awaitable[None]:
        """Raise if cancelled; always let other tasks run."""
        ...

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Raise if cancelled; otherwise do nothing, without letting others run."""
        ...

    def cancel_shielded_checkpoint(self) -> Awaitable[None]:
        """Let other tasks run; never raise a scope's cancellation."""
        ...

    def in_cancelled_scope(self) -> bool:
        """Tell whether the task, the running one, is cancelled: its innermost scope, or one around.

        Also while it has time for its clean-up.
        """
        ...

    def effective_deadline(self) -> float:
        """Return the earliest deadline that applies: -inf if cancelled, inf if none."""
        ...


class Nursery(Protocol):
    """The place where the children of one task group live. Its coroutines never raise.

    `open -> closed`. Children run inside `scope`; `close` waits for all of them.
    """

    def spawn(
        self, coro: Coroutine[Any, Any, None], label: ChildLabel, context: Context | None
    ) -> None:
        """Run `coro` as a new task inside the nursery, and note its key in `label`.

        Its first step comes after the running task has next let others run. `context=None` means
        a copy of the current context. Closes `coro` and raises OtherLoop where the nursery's loop does not run.
        """
        ...

    def start(
        self, coro: Coroutine[Any, Any, None], label: ChildLabel, move: Starting
    ) -> Awaitable[None]:
        """Run `coro` in the caller's own scope until `move._move()` moves it into the nursery.

        Returns when it has moved, or has ended without. If the caller is cancelled first, the
        child is cancelled and awaited, and the cancellation raised.
        """
        ...

    def retire(self, key: Any, cancelled: BaseException | None, /) -> None:
        """Hear from a child that it does its last step, once from each.

        `cancelled` is what ended it, if a scope around the group or a native cancel did. May raise
        that: the child lets it out.
        """
        ...

    def cancel_child(self, key: Any, reason: str | None, /) -> None:
        """Cancel one child as a scope of its own around all of it would."""
        ...

    def cancelled(self) -> bool:
        """Tell whether the nursery's scope or one around it is cancelled, shields considered."""
        ...

    def put_off(self, task: Task, cancelled: BaseException | None, /) -> None:
        """An error or a result takes the place of `cancelled`, which `task` was given in the group.

        The loop's own request to cancel the task, if there was one and nobody has taken it back, is
        raised at its next checkpoint. (A scope's cancellation is raised there in any case.)
        """
        ...

    def children(self) -> list[Any]:
        """Return the children that are left, each as the loop's own object for it."""
        ...

    def close(
        self, cancelled: BaseException | None, /, *, give_way: bool = True
    ) -> Awaitable[BaseException | None]:
        """Wait until no child is left, then leave the scope.

        Lets other tasks run once also where there is no child; it need not without `give_way`.
        `cancelled` is the cancellation that ended the body of the group, if one did; then the scope
        is cancelled first. Returns the
        cancellation, of the body or of a child, that has to go on to the enclosing scopes: None
        where nobody was interrupted, or by the nursery's own scope. The wait itself injects none.
        """
        ...

    def abandon(self, task: Task, /) -> Awaitable[BaseException | None]:
        """Close for `task`, the running one, which was not the one to leave the scope, or not yet.

        The scope is taken out of its host's chain (`misplaced` may have done so), the children are
        cancelled and awaited, and the host hears nothing of it. Returns as `close` does.
        """
        ...


class Label(Protocol):
    """What a kernel may show of a child, and where it notes its own key for it."""

    _key: Any
    _origin: object
    """The name, or the function that it is made from: all that a task keeps when it has ended."""

    @property
    def name(self) -> str: ...

    @property
    def coro(self) -> Any: ...


class ChildLabel(Label, Protocol):
    """The label of a child of a group.

    A kernel may run the child inside a task of somebody else's making, whose outcome is then the child's.
    It closes the coroutine that it was given, unused, and retires the child itself.
    """

    def _exposed(self) -> Coroutine[Any, Any, Any]:
        """Return the coroutine to run, once: it lets the child's value and its error out."""
        ...

    def _finish(self, value: Any, exc: BaseException | None, /) -> BaseException | None:
        """Note how the child has ended; return what `retire` is to hear of it."""
        ...


class Starting(Protocol):
    """Handed to `Nursery.start`: the kernel fills in `_move`, the child's `started()` calls it.

    `_move()` answers False if the caller was cancelled, and nothing moves any more.
    """

    _move: Callable[[], bool] | None


class Kernel(Descriptors, Inspection, NativeCalls, Outside, Protocol):
    """One running event loop."""

    @property
    def name(self) -> str:
        """The kernel's name in the registry."""
        ...

    @property
    def cancelled_class(self) -> type[BaseException]: ...

    token: Any
    """The loop's own object for itself: hashable, the same for the life of the loop."""
    run_vars: dict[Any, Any]
    """What `RunVar` stores for this loop."""
    simulation: Simulation | None
    """The simulated run that this is, None in the world outside."""
    cleanups: Cleanups
    """The clean-ups that have time and go on: see `cleanup.py`."""
    budget: int
    """What a task has when it begins, and again when it has waited or let others run. `BUDGET`, unless
    whoever started the loop has asked for another."""

    @property
    def test_probe(self) -> TestProbe:
        """What only tests ask of a kernel."""
        ...

    def now(self) -> float:
        """Return the loop's clock, in seconds."""
        ...

    async def sleep_until(self, deadline: float) -> None:
        """Park until `deadline`; a checkpoint also if that has passed."""
        ...

    def enter_scope(self, scope: Scope, task: Task) -> None:
        """Make `scope` part of `task`, the running one. The chain is linked already.

        Calls `scope._entered_late()` if its clock runs, and its deadline has passed.
        """
        ...

    def leave_scope(
        self, scope: Scope, task: Task, exc: BaseException | None
    ) -> BaseException | None:
        """Take `scope` off `task`. The chain is unlinked already.

        Returns what is left of `exc`: the same object if `scope` caught nothing, None if it was
        all this scope's cancellation, else a group without it. Sets `scope._entered`
        to `"caught"` if it caught any.
        """
        ...

    def update_scope(self, scope: Scope, /) -> None:
        """Carry out a cancel, a new deadline or a change of the shield of an entered scope.

        The scope's data says it already. A deadline that has passed cancels the scope at once.
        """
        ...

    def open_nursery(self, scope: Scope, task: Task) -> Nursery:
        """Enter `scope` (the chain is linked already) as the scope of a group. No checkpoint."""
        ...

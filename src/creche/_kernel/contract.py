"""The kernel contract: all that Creche asks of an event loop, and the rules it asks it by.

Two kernels implement it, `_kernel/asyncio/` and `_kernel/trio/`; everything above is written
once against these names. Nothing here imports an event loop.

The rules
---------
Waiting     `Task.park` is the only way to block. Whoever wakes a task holds its `Waiter`, and
            skips a waiter that is `done()`: its task was cancelled, and is on its way out.
Grants      A grant wins over a cancel. Once `Waiter.set_result` was called the operation has
            succeeded, whatever cancel arrives before the task steps; the cancel is raised at the
            task's next checkpoint. So no primitive ever has to take a grant back.
Cancelling  Level-triggered. While a scope is cancelled every `park`, `give_way` and checkpoint of
            an unshielded task inside it raises `Kernel.cancelled_class`, until the task has left
            the scope. An operation that raises it had no effect.
Credit      `Task.credit` is the number of ready operations the task may still do before it gives
            way. A kernel keeps `credit > 0` only while the task is not cancelled, so one test of
            one attribute is the whole cost of a checkpoint that has nothing to do:

                if task.credit > 0:
                    task.credit -= 1
                else:
                    await task.give_way()

            Pay first, then act: `give_way` may run other tasks, so look at the state after it.
Threads     Nothing here may be called from another thread but `Kernel.call_soon_threadsafe`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from .scope import Scope
    from .simulation import Simulation

T = TypeVar("T")

BUDGET = 128
"""Ready operations that a task may do in a row before it lets the others run.

As many as Tokio allows: at some 0.3 µs each a task has the loop for 40 µs at most, and the pass of
the loop that ends it is spread so thin that it does not show (`event`, `lock` in benchmarks)."""


class Waiter(Protocol):
    """The wake-up of one parked task: `waiting -> granted | failed | cancelled`, once."""

    def done(self) -> bool:
        """Tell whether the waiter was granted, failed or cancelled already."""
        ...

    def result(self) -> Any:
        """Return what a granted waiter was given, or raise what a failed one was."""
        ...

    def set_result(self, value: Any, /) -> None:
        """Grant: `park` returns `value`. Only on a waiter that is not done."""
        ...

    def set_exception(self, exc: BaseException, /) -> None:
        """Fail: `park` raises `exc`. Only on a waiter that is not done."""
        ...


class Task(Protocol):
    """What a kernel knows of one running task. Hashable, compared by identity."""

    scope: Scope | None
    """The innermost scope that the task is in, None outside all of them."""
    credit: int

    @property
    def kernel(self) -> Kernel:
        """The loop that the task runs in."""
        ...

    def make_waiter(self) -> Waiter:
        """Make a waiter that this task is about to park on."""
        ...

    def park(self, waiter: Waiter, /) -> Awaitable[Any]:
        """Return what this task (the running one) awaits to block until `waiter` is granted.

        Awaiting it returns what was granted, or raises what the waiter failed with, or
        `cancelled_class`. It is awaited at once, and only in this way:

            try:
                value = await task.park(waiter)
            except BaseException as exc:
                if not task.granted(waiter, exc):
                    queue.discard(waiter)
                    raise
                value = waiter.result()
        """
        ...

    def granted(self, waiter: Waiter, exc: BaseException, /) -> bool:
        """Tell, when `park` raised `exc`, whether `waiter` had been granted before the cancel.

        Then the operation has succeeded, and the cancel is put off to the next checkpoint.
        Otherwise the waiter is done: whoever holds it will skip it.
        """
        ...

    def park_shielded(self, waiter: Waiter, /) -> Awaitable[Any]:
        """Block until `waiter` is granted or failed, whatever is cancelled meanwhile."""
        ...

    def make_firm_waiter(self, heard: Callable[[], object] | None = None, /) -> Waiter:
        """Make a waiter that is only good for `park_shielded`, which is cheaper with it.

        `heard()` is called when the task is cancelled natively, around all scopes, as it waits.
        """
        ...

    def check_parked(self, waiter: Waiter, /) -> None:
        """Raise the cancellation that has ended the wait on `waiter`, or comes after it, if any.

        From any thread. The task is parked on `waiter`, or was when it was cancelled.
        """
        ...

    def give_way(self) -> Awaitable[None]:
        """Raise if cancelled; otherwise let other tasks run and fill `credit` again."""
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
        """Tell whether a scope around the task is cancelled now, shields considered."""
        ...

    def effective_deadline(self) -> float:
        """Return the earliest deadline that applies: -inf if cancelled, inf if none."""
        ...

    def info(self) -> TaskRecord:
        """Describe this task."""
        ...

    def use_up(self) -> None:
        """Take away what is left of this task's budget: its next checkpoint lets others run."""
        ...

    def probe(self) -> Probe:
        """Watch this task (the running one) for checkpoints. For tests."""
        ...


class Probe(Protocol):
    """Watches one task, which made it and ends it. Probes end in the reverse of their order."""

    def end(self) -> CheckpointsSeen:
        """Stop watching, and tell what was seen."""
        ...


class CheckpointsSeen(NamedTuple):
    """What a task has come to while it was watched."""

    any_part: bool
    """It let others run, or asked whether it is cancelled."""
    whole: bool
    """It did both, or spent credit instead."""


class TaskRecord(NamedTuple):
    """A task as `TaskInfo` shows it. `native` is the loop's own task object."""

    id: int
    parent_id: int | None
    name: str
    coro: Any
    native: Any
    label: Any = None
    """The `Label` of a child of a group, None of any other task."""


class Nursery(Protocol):
    """The place where the children of one task group live. Its coroutines never raise.

    `open -> closed`. Children run inside `scope`; `close` waits for all of them.
    """

    def spawn(self, coro: Coroutine[Any, Any, None], label: Label, context: Context | None) -> None:
        """Run `coro` as a new task inside the nursery, and note its key in `label`.

        Its first step comes after the running task has next let others run. `context=None` means
        a copy of the current context.
        """
        ...

    def start(
        self, coro: Coroutine[Any, Any, None], label: Label, move: Starting
    ) -> Awaitable[None]:
        """Run `coro` in the caller's own scope until `move.move()` moves it into the nursery.

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

    def children(self) -> list[Any]:
        """Return the children that are left, each as the loop's own object for it."""
        ...

    def close(self, cancelled: BaseException | None, /) -> Awaitable[BaseException | None]:
        """Wait until no child is left, then leave the scope.

        `cancelled` is the cancellation that ended the body of the group, if one did. Returns the
        cancellation, of the body or of a child, that has to go on to the enclosing scopes: None
        where nobody was interrupted, or by the nursery's own scope. The wait itself injects none.
        """
        ...


class Label(Protocol):
    """What a kernel may show of a child, and where it notes its own key for it."""

    key: Any

    @property
    def name(self) -> str: ...

    @property
    def coro(self) -> Any: ...


class Starting(Protocol):
    """Handed to `Nursery.start`: the kernel fills in `move`, the child's `started()` calls it.

    `move()` answers False if the caller was cancelled, and nothing moves any more.
    """

    move: Callable[[], bool] | None


class Watch(Protocol):
    """One descriptor that Creche owns, watched for readiness. `close` it before the descriptor.

    `attempt` is a function that never blocks and raises BlockingIOError when it would have to.
    It runs when the descriptor is ready, perhaps outside the waiting task, until it returns or
    raises something else; that is then the outcome of the call. At most one reader and one writer
    at a time: the caller guards that. `task` is the running one, from callers that have it at hand.
    """

    def when_readable(
        self, attempt: Callable[[], T], task: Task | None = None, /
    ) -> Awaitable[T]: ...

    def when_writable(
        self, attempt: Callable[[], T], task: Task | None = None, /
    ) -> Awaitable[T]: ...

    def close(self) -> None:
        """Stop watching. Whoever waits gets `ClosedResourceError`."""
        ...


class Kernel(Protocol):
    """One running event loop."""

    @property
    def name(self) -> str:
        """`"asyncio"` or `"trio"`."""
        ...

    @property
    def cancelled_class(self) -> type[BaseException]: ...

    token: Any
    """The loop's own object for itself: hashable, the same for the life of the loop."""
    run_vars: dict[Any, Any]
    """What `RunVar` stores for this loop."""
    simulation: Simulation | None
    """The simulated run that this is, None in the world outside."""

    def now(self) -> float:
        """Return the loop's clock, in seconds."""
        ...

    def tasks(self) -> Iterable[TaskRecord]:
        """Describe every task that has not ended."""
        ...

    def record(self, native: Any) -> TaskRecord:
        """Describe one task that has not ended, by the loop's own object for it."""
        ...

    def has_pending_cancellation(self, native: Any) -> bool: ...

    async def wait_all_tasks_blocked(self) -> None: ...

    async def sleep_until(self, deadline: float) -> None:
        """Park until `deadline`; a checkpoint also if that has passed."""
        ...

    def enter_scope(self, scope: Scope, task: Task) -> None:
        """Make `scope` part of `task`, the running one. The chain is linked already."""
        ...

    def leave_scope(
        self, scope: Scope, task: Task, exc: BaseException | None
    ) -> BaseException | None:
        """Take `scope` off `task`. The chain is unlinked already.

        Returns what is left of `exc`: the same object if `scope` caught nothing, None if it was
        all this scope's cancellation, else a group without it. Sets `scope.caught`.
        """
        ...

    def cancel_scope(self, scope: Scope) -> None:
        """Carry out a cancel of an entered scope; `scope.cancel_called` is already set."""
        ...

    def rearm_scope(self, scope: Scope) -> None:
        """Carry out a change of `deadline` or `shield` of an entered scope."""
        ...

    def scope_cancel_called(self, scope: Scope) -> bool:
        """Tell whether an entered scope is cancelled, counting a deadline that has passed."""
        ...

    def open_nursery(self, scope: Scope, task: Task) -> Nursery:
        """Enter `scope` (the chain is linked already) as the home of children. No checkpoint."""
        ...

    def watch(self, sock: Any) -> Watch:
        """Watch a socket or descriptor that Creche owns."""
        ...

    async def wait_readable(self, obj: Any) -> None:
        """Wait for a socket or descriptor of the user's; leaves no registration behind."""
        ...

    async def wait_writable(self, obj: Any) -> None: ...

    def notify_closing(self, obj: Any) -> None:
        """Wake whoever waits on `obj` in the two calls above with `ClosedResourceError`."""
        ...

    def call_soon_threadsafe(self, func: Callable[..., object], *args: Any) -> None:
        """Have the loop call `func(*args)` soon, outside any task. From any thread, in a copy of
        whose context it runs.

        Raises RunFinishedError when the loop is gone.
        """
        ...

    def own_descriptors(self) -> Collection[int]:
        """Return the descriptors that the kernel has opened for itself, until the loop ends."""
        ...

    def wake_on_signals(self) -> Callable[[], None]:
        """Have the loop wake up for a signal whichever thread gets it; return what ends that.

        Python's handlers run in the main thread, and with this also while the loop sleeps there.
        Only from the main thread. Any number of callers, each ends it once.
        """
        ...

    def spawn_detached(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        """Run `coro`, which never raises, as a task outside all scopes. Not only from a task.

        It has a copy of the current context. The end of the loop cancels it.
        """
        ...

    def at_exit(self, callback: Callable[[], object], /) -> None:
        """Have `callback()` called once when the loop ends, in its thread; see `exits.py`.

        It must not raise, nor take long. Called at once if the loop is ending already.
        """
        ...

    def ended(self) -> bool:
        """Tell, from any thread, whether `at_exit` was called back, or the loop is closed."""
        ...


class Runner(Protocol):
    """A loop with one main task, entered from synchronous code of one thread as often as need be.

        standing <--drive / pause--> driven --the main function ends--> over --close--> closed

    Outside `drive` it stands still, and nothing of it is set in the thread.
    """

    reports: list[BaseException]
    """What was raised where nobody could take it, in callbacks of the loop. To be taken out."""

    def drive(self) -> None:
        """Let the loop run until it is paused, or the main function has ended.

        What a signal raises, KeyboardInterrupt too, ends what the main task waits for, by the
        loop's own means; it comes out here, or of the main task's wait, once the loop is paused.
        """
        ...

    def pause(self) -> None:
        """Have `drive` return soon. Inside the loop."""
        ...

    def close(self) -> None:
        """End the loop, with all that is left in it."""
        ...


class Backend(Protocol):
    """What each kernel's package offers to `_kernel/__init__.py`, before any loop runs."""

    def run(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run `func(*args)` in a new loop, and leave nothing behind."""
        ...

    def open_runner(
        self, main: Callable[[], Coroutine[Any, Any, None]], options: dict[str, Any]
    ) -> Runner:
        """Make a new loop whose main task is `main()`, which never raises; it takes no step yet."""
        ...

"""What Trio does not publish and the kernel needs. Every use of a private name of Trio is here.

* To cancel one child of a nursery, without having paid for a scope around each child, a scope is
  put around the task afterwards: between the nursery's cancel status and the task's first own.
* To give a task time for its clean-up, a shield is put inside the scopes that it is in when a
  cancellation is about to be raised in it, and taken out again.
* To raise a cancellation at what a task waits on, once, when its scopes must not feel it; or, where it
  waits for children, to put a scope around all that it has opened lately, and take it off again.
* A nursery that was not left by its own task, or not when it was its turn, is taken out.
* Whether a task that is not the running one is cancelled, when it will be, and whether it waits.
* For simulated runs: the queue of the tasks that are ready, the order of their birth, and the one
  place where calls are given to threads.

A Trio that keeps them otherwise gives an error that names its version, before anything changed.
"""

# This is the place for it.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf
from operator import attrgetter
from typing import Any

import trio


def put_scope_around(task: Any, nursery: Any) -> trio.CancelScope:
    """Return a new scope, entered around all that `task`, a child of `nursery`, does."""
    scope = trio.CancelScope()
    put_scope_inside(task, nursery, scope)
    return scope


def put_scope_inside(task: Any, around: Any, scope: trio.CancelScope) -> None:
    """Enter `scope` around all that `task` does inside `around`, a nursery or an entered scope."""
    try:
        _put_scope_inside(around._cancel_status, task, scope)
    except (AttributeError, TypeError) as exc:
        raise _unsupported() from exc


def _put_scope_inside(outside: Any, task: Any, scope: Any) -> None:
    """Enter a scope around all that a task has inside the status `outside`."""
    activate = task._activate_cancel_status
    first = None
    link = task._cancel_status
    while link is not outside:
        first, link = link, link.parent
    cancelled = outside.effectively_cancelled and not scope.shield
    status = type(outside)(scope=scope, effectively_cancelled=cancelled, parent=outside)
    scope._cancel_status = status
    if first is None:
        activate(status)
    else:
        first.parent = status


def raised_in(task: Any) -> BaseException | None:
    """Return the exception that the next step of a task begins with."""
    try:
        sent = task._next_send
    except AttributeError as exc:
        raise _unsupported() from exc
    return getattr(sent, "error", None)


def cancelled_natives(task: Any) -> list[trio.CancelScope]:
    """Return the cancelled scopes that reach a task, from the inside out."""
    found: list[trio.CancelScope] = []
    try:
        link = task._cancel_status
        while link is not None:
            scope = link._scope
            if scope.cancel_called:
                found.append(scope)
            if scope.shield:
                break
            link = link.parent
    except AttributeError as exc:
        raise _unsupported() from exc
    return found


def scopes_around(task: Any) -> list[trio.CancelScope]:
    """Return the scopes that a task is in, from the inside out."""
    found: list[trio.CancelScope] = []
    try:
        link = task._cancel_status
        while link is not None:
            found.append(link._scope)
            link = link.parent
    except AttributeError as exc:
        raise _unsupported() from exc
    return found


def let_out(scope: Any) -> None:
    """Have a cancelled scope leave the cancellation that comes out of it to those around it."""
    try:
        scope.deadline = inf  # Or it would look at the clock again.
        scope._cancel_called = False
        scope._cancel_status.recalculate()
    except AttributeError as exc:
        raise _unsupported() from exc


def is_reached(scope: Any) -> bool:
    """Tell whether a cancellation comes from outside to a scope that is entered, or would unshielded."""
    try:
        return bool(scope._cancel_status.parent.effectively_cancelled)
    except AttributeError as exc:
        raise _unsupported() from exc


def cancel_wait(task: Any) -> bool:
    """Raise a cancellation at what a task waits on, and leave nothing of it; tell whether it waited.

    As a native cancel on asyncio does: neither what the task has open feels it, nor its next wait.
    """
    try:
        if task._abort_func is None:
            return False
        here = task._cancel_status
        activate = task._activate_cancel_status
        scope = trio.CancelScope()
        status = type(here)(
            scope=scope, effectively_cancelled=here.effectively_cancelled, parent=here
        )
    except (AttributeError, TypeError) as exc:
        raise _unsupported() from exc
    scope._cancel_status = status
    activate(status)
    scope.cancel()
    activate(here)
    status.parent = None
    return task._abort_func is None


def innermost(task: Any) -> Any:
    """Return what stands for the innermost scope of a task, for `cancel_since`."""
    try:
        return task._cancel_status
    except AttributeError as exc:
        raise _unsupported() from exc


def awaited_nursery(task: Any) -> Any:
    """Return the nursery whose children a task waits for at its end, None if it waits elsewhere."""
    try:
        nursery = task.child_nurseries[-1] if task.child_nurseries else None
        return nursery if nursery is not None and nursery._parent_waiting_in_aexit else None
    except AttributeError as exc:
        raise _unsupported() from exc


def cancel_since(task: Any, outside: Any) -> trio.CancelScope | None:
    """Cancel all that a task has opened since `outside` was its `innermost`, and return the scope.

    None, and nothing is done, if it has opened nothing since or has left that scope.
    """
    try:
        link = task._cancel_status
        if link is outside:
            return None
        while link is not outside:
            if link is None:
                return None
            link = link.parent
        scope = trio.CancelScope()
        _put_scope_inside(outside, task, scope)
    except (AttributeError, TypeError) as exc:
        raise _unsupported() from exc
    scope.cancel()
    return scope


def take_off(scope: Any) -> None:
    """Take a scope that was put around something out again, whatever is still inside it."""
    status = scope._cancel_status
    _empty(status)
    status.parent = None
    scope._cancel_status = None


def _empty(status: Any) -> None:
    outside = status.parent
    for inner in list(status.children):
        inner.parent = outside
    for task in list(status.tasks):
        task._activate_cancel_status(outside)


def take_out(nursery: Any) -> None:
    """Take an open nursery without children, and its scope, out of the task that has opened it."""
    try:
        status = nursery._cancel_status
        host = nursery.parent_task
        _empty(status)
        host._child_nurseries.remove(nursery)
        nursery._closed = True
        status.close()
        nursery.cancel_scope._cancel_status = None
    except (AttributeError, TypeError, ValueError) as exc:
        raise _unsupported() from exc


def is_cancelled(task_or_nursery: Any) -> bool:
    """Tell whether a scope around a task is cancelled, or the one of a nursery or around it."""
    try:
        status = task_or_nursery._cancel_status
        return status is not None and bool(status.effectively_cancelled)
    except AttributeError as exc:
        raise _unsupported() from exc


def deadline_of(task: Any) -> float:
    """Return the earliest deadline that applies to a task: -inf if it is cancelled, inf if none."""
    try:
        return float(task._cancel_status.effective_deadline())
    except (AttributeError, TypeError) as exc:
        raise _unsupported() from exc


def is_running(task: Any) -> bool:
    """Tell whether a task is in a step."""
    return bool(getattr(task.coro, "cr_running", False))


def is_blocked(task: Any) -> bool:
    """Tell whether a task waits: it neither runs nor is in the queue of those that are ready."""
    try:
        return task._next_send_fn is None and not is_running(task)
    except AttributeError as exc:
        raise RuntimeError(
            f"creche does not know how Trio {trio.__version__} stores its tasks, so it cannot tell "
            f"which of them wait: use an older Trio, or a newer creche"
        ) from exc


THREADS = ("trio._core._thread_cache", "ThreadCache.start_thread_soon")
"""The method that hands a call to a thread, by the names of its module and of itself there."""


def replace_run_queue(queue: Any) -> None:
    """Put `queue` in the place of the running loop's queue of ready tasks."""
    try:
        from trio._core._run import GLOBAL_RUN_CONTEXT

        runner: Any = GLOBAL_RUN_CONTEXT.runner
        for task in runner.runq:
            queue.append(task)
        runner.runq = queue
    except (ImportError, AttributeError, TypeError) as exc:
        raise _unsimulated() from exc


def abandon_run() -> None:
    """Forget a run whose loop was left by an exception, for Trio does not."""
    from trio._core._run import GLOBAL_RUN_CONTEXT

    for name in ("runner", "task"):
        if hasattr(GLOBAL_RUN_CONTEXT, name):
            delattr(GLOBAL_RUN_CONTEXT, name)


def take_off_run() -> dict[str, Any]:
    """Make Trio forget for now that a run is going on in this thread; return what it knew of it."""
    try:
        from trio._core._run import GLOBAL_RUN_CONTEXT

        here: dict[str, Any] = vars(GLOBAL_RUN_CONTEXT)
    except (ImportError, TypeError) as exc:
        raise RuntimeError(
            f"creche does not know where Trio {trio.__version__} records that it is running, so "
            f"it cannot run it in turns: use an older Trio, or a newer creche"
        ) from exc
    known = dict(here)
    here.clear()
    return known


def put_on_run(known: dict[str, Any]) -> None:
    """Give Trio back what `take_off_run` has returned."""
    from trio._core._run import GLOBAL_RUN_CONTEXT

    vars(GLOBAL_RUN_CONTEXT).update(known)


def order_of(task: Any) -> int:
    """Return a number that grows from one new task to the next."""
    order: int = task._counter
    return order


_checked = False


def check_run_queue(order_of_steps: Callable[[], list[int]]) -> None:
    """Once in the life of the process, see whether Trio steps its tasks as the queue says, and gives
    calls to threads where we look.
    """
    global _checked  # noqa: PLW0603  # once for the process
    if not _checked:
        module, path = THREADS
        try:
            fits = order_of_steps() == [2, 2, 1, 1, 0, 0]
            fits = fits and callable(attrgetter(path)(sys.modules[module]))
        except Exception as exc:
            raise _unsimulated() from exc
        if not fits:
            raise _unsimulated()
        _checked = True


def _unsimulated() -> RuntimeError:
    return RuntimeError(
        f"creche does not know how Trio {trio.__version__} stores its queue of ready tasks, so it "
        f"cannot simulate a run on it: use an older Trio, or a newer creche"
    )


def _unsupported() -> RuntimeError:
    return RuntimeError(
        f"creche does not know how Trio {trio.__version__} stores its cancel scopes, so it cannot "
        f"look into them or cancel one task of a group: use an older Trio, or a newer creche"
    )

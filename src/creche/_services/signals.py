"""`stop_on_signals`: the first signal stops a task group, the second cancels it, the third is final.

Owns what each signal does. The handlers of Python and their order are `_signals.py`'s.

    listening --1st--> stopping --2nd--> cancelled --3rd--> default action: the process ends
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from math import inf
from signal import Signals
from types import FrameType
from typing import TYPE_CHECKING, Any

from .._exceptions import RunFinishedError
from .._kernel import current_task
from .._kernel.scope import around
from .._misuse import check_seconds
from .._registry import LIBRARIES, variants
from .._signals import SignalReceiver, checked
from .._tasks.checkpoint import checkpoint
from .._tasks.scope import CancelScope
from .._tasks.start import TASK_STATUS_IGNORED, TaskStatus
from .._tasks.stop import innermost, state_of

if TYPE_CHECKING:
    from .._kernel.contract import Task


_LOOPS = ("creche._cli", "creche._kernel", "signal", "_signal")
"""Where the handlers are defined that turn Ctrl-C into an interruption of the whole program."""


class SignalStopper(SignalReceiver):
    """Listens for signals until the group is left."""

    __slots__ = ("_count", "_grace", "scope")

    def __init__(self, signals: list[Signals], grace: float) -> None:
        super().__init__(signals)
        self._count = 0
        self._grace = grace
        self.scope: CancelScope | None = None

    def _arrive(self, signum: int, frame: FrameType | None) -> None:
        """Count a signal. Python calls it in the main thread, between any two steps of anything."""
        self._count += 1
        kernel = self._kernel
        if self._count > 2 or kernel is None:
            # Also where the loop is stuck: nothing of it is needed.
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
            return
        try:
            kernel.call_soon_threadsafe(self._act, signum, self._count)
        except RunFinishedError:
            pass  # left open by a loop that is gone
        before = self._before.get(self._named(signum))
        if callable(before) and _is_servers(before):
            before(signum, frame)

    def _act(self, signum: int, count: int) -> None:
        scope = self.scope
        if scope is None or self._kernel is None:
            return
        name = getattr(signal.Signals(signum), "name", str(signum))
        if count == 1:
            scope.stop(f"signal {name}", grace=self._grace)
        else:
            scope.cancel(f"second signal, {name}")

    def close(self) -> None:
        if self._kernel is not None:
            self._close()


async def stop_on_signals(
    *signals: Signals, grace: float = inf, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
) -> None:
    """Stop a task group when the process gets a signal: `await tg.start(stop_on_signals, SIGTERM)`.

    The first signal stops the group, the second cancels it, and the third has its default action, which
    ends the process. A handler that was there before, such as that of a web server, hears of each signal
    too. The handlers are those of before once the group is left; the group does not wait for this. Only in
    the main thread. A checkpoint.

    ```python
    from functools import partial
    from signal import SIGINT, SIGTERM, raise_signal

    import creche
    from creche.services import stop_on_signals, wait_for_stop


    async def main() -> None:
        async with creche.create_task_group() as tg:
            await tg.start(partial(stop_on_signals, SIGTERM, SIGINT, grace=30))
            tg.start_soon(wait_for_stop)
            raise_signal(SIGTERM)
        print("stopped")


    creche.run(main)
    ```

    :param signals: which signals, `SIGTERM` and `SIGINT` if none are given
    :param grace: seconds after the first signal until the group is cancelled
    :raises RuntimeError: this is not the main thread, or no task of a task group
    :raises ValueError: `grace` is negative or NaN, or there is no such signal
    """
    check_seconds("stop_on_signals", "grace", grace)
    if not grace >= 0:
        raise ValueError(f"grace must be a number of seconds, 0 or more, not {grace!r}")
    chosen = [checked(signum) for signum in dict.fromkeys(signals)]
    stopper = SignalStopper(chosen or [Signals.SIGTERM, Signals.SIGINT], grace)
    await checkpoint()
    stopper.__enter__()
    try:
        task_status.started()
        group = _group_scope(current_task())
        if not getattr(task_status, "_started", True):
            stopper.close()  # the caller of start() was cancelled first
            return
        stopper.scope = group
        state_of(group).on_left.append(stopper.close)
    except BaseException:
        stopper.close()
        raise


def _is_servers(handler: Callable[..., Any]) -> bool:
    """Tell whether a handler is a server's own, which hears of the signal too, and no loop's or Python's."""
    func = getattr(handler, "func", handler)  # of a partial
    module: str = getattr(func, "__module__", None) or ""
    loops = {name for loop in variants() for name in loop.packages} | LIBRARIES
    return not module.startswith(_LOOPS) and module.partition(".")[0] not in loops


def _group_scope(task: Task) -> CancelScope:
    """Return the scope of the group that the task is a child of."""
    scope: Any = innermost(task)
    while scope is not None and scope._host is task:
        scope = around(scope)
    if not isinstance(scope, CancelScope):
        raise RuntimeError(
            "stop_on_signals() stops the task group that it is started in: "
            "await tg.start(stop_on_signals, SIGTERM)"
        )
    return scope

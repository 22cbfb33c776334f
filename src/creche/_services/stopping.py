"""Being stopped gracefully: how a task asks, and how it waits.

Knows no loop. The state of a stop is `_tasks/stop.py`'s.
"""

from __future__ import annotations

from .._kernel import current_task
from .._loop.time import sleep_forever
from .._tasks import stop as _stop
from .._tasks.until_stop import until_stop
from .._threads.calls import here


def stop_requested() -> bool:
    """Tell whether a stop was asked of this task: of a scope or group around it, shields considered.

    In a worker thread, whether it was asked of the task that waits for the worker.

    :raises NoEventLoopError: no event loop runs in this thread, and it is no worker thread
    """
    call = here.call
    task = current_task() if call is None else call.task
    return _stop.asked(_stop.innermost(task)) is not None


async def wait_for_stop() -> None:
    """Wait until a stop is asked of this task. A checkpoint."""
    with until_stop():
        await sleep_forever()

"""How a task group is left in the wrong task, or at the wrong moment: its tasks end all the same."""

# A group and this file are one thing.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING

from .._kernel.scope import misplaced, place
from . import stop as _stop
from .errors import MESSAGE

if TYPE_CHECKING:
    from .._kernel.contract import Task
    from .group import TaskGroup


async def leave_misplaced(group: TaskGroup, task: Task) -> bool:
    """Leave the group in a task, or at a moment, that is not the one for it.

    The children end, and then the error is raised. Its own task, if it comes here afterwards, finds
    the group closed, and goes on.
    """
    nursery, scope = group._nursery, group.cancel_scope
    assert nursery is not None, "entered before it is left"
    if not group._open:
        return False
    home = scope._host.kernel if scope._host is not None else task.kernel
    if home is not task.kernel:
        raise RuntimeError(
            f"this task group was entered in another event loop ({home.token!r}) than the one that tries to "
            f"leave it ({task.kernel.token!r}), entered at {place(scope)}: leave it in the task that "
            f"entered it. Nothing has changed"
        )
    error: BaseException = misplaced(scope, task)
    group._open = False
    try:
        stopped = await nursery.abandon(task)
        if stopped is not None:
            raise stopped from error
        if group._errors:
            error = BaseExceptionGroup(MESSAGE, [error, *group._errors])
        raise error
    finally:
        group._errors = []
        if scope._stopping is not None:
            _stop.leave(scope, task, None)
        del error

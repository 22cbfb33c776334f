"""How a task group is left in the wrong task, or at the wrong moment: its tasks end all the same."""

# The rest of the groups' room.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING

from .._kernel.scope import misplaced
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

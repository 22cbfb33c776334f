"""All that `creche.flow` uses of the packages below: public names, the running task, how it waits.

Owns nothing. Everything else in this package imports from here, so a change of the kernel contract
or of the wait queue is a change of this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._exceptions import ClosedResourceError as ClosedResourceError
from .._exceptions import EndOfStream as EndOfStream
from .._exceptions import TaskCancelled as TaskCancelled
from .._exceptions import WouldBlock as WouldBlock
from .._kernel import current_task as current_task
from .._kernel.wait_queue import WaitQueue as WaitQueue
from .._labels import MadeAt as MadeAt
from .._labels import label as label
from .._labels import noting as noting
from .._labels import shown as shown
from .._loop.time import current_effective_deadline as current_effective_deadline
from .._loop.time import current_time as current_time
from .._loop.time import get_cancelled_exc_class as get_cancelled_exc_class
from .._loop.time import sleep_until as sleep_until
from .._sync import Event as Event
from .._sync import Lock as Lock
from .._sync.operation import NOT_READY as NOT_READY
from .._sync.operation import Operation as Operation
from .._sync.operation import Waiter as Waiter
from .._tasks.group import TaskGroup as TaskGroup
from .._tasks.group import create_task_group as create_task_group
from .._tasks.info import TaskInfo as TaskInfo
from .._tasks.scope import CancelScope as CancelScope
from .._wait_description import WaitDescription as WaitDescription
from ..streams._ends import CLOSED as CLOSED
from ..streams._ends import StreamEnd as StreamEnd
from ..streams._ends import warn_unclosed as warn_unclosed
from ..streams._operations import Sending as Sending
from ..streams._operations import StreamOperation as StreamOperation

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .._kernel.contract import Task as Task


def turn(task: Task, among: int) -> int:
    """Return whose turn it is, of so many: evenly dealt, in whatever rhythm tasks ask.

    The fractions of the multiples of the golden ratio, of a count that each loop keeps for itself:
    every second, every third of them is as even as all are, and a run that is replayed is the same.
    """
    kept = task.kernel.run_vars
    state: int = (kept.get(TURNS, 0) + GOLDEN) & 0xFFFFF
    kept[TURNS] = state
    return state * among >> 20  # Small numbers: those above 2**30 are slower in CPython.


TURNS = "creche.flow: the turns of select"
GOLDEN = 648_055  # the golden ratio's fraction, of 2**20


def spawn_detached(coro: Coroutine[Any, Any, None], name: str) -> None:
    """Run `coro`, which never raises, as a task outside all scopes and groups."""
    current_task().kernel.spawn_detached(coro, name)

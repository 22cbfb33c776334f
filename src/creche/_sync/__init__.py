"""The synchronisation primitives: one file each, over one queue (`_kernel/wait_queue.py`).

This docstring states the rules that they share.

The rules
---------
* A primitive binds to no loop until a task waits: it can be made at module level, outside any loop.
* Every wait is a `WaitQueue.wait`, and no primitive waits in any other way.
* A release grants: it picks the first live waiter, makes it the owner, and only then wakes it. So while anybody waits nothing is free, nobody can step in front of the queue, and a
  cancel that comes after the grant changes nothing (the task is cancelled at its next
  checkpoint, as an owner that has to release).
* A release skips a waiter that was cancelled, so no wake-up is lost and the order stays FIFO.
* An operation that need not wait is a ready checkpoint (see `_kernel/contract.py`).
"""

from .condition import Condition as Condition
from .condition import ConditionStatistics as ConditionStatistics
from .event import Event as Event
from .event import EventStatistics as EventStatistics
from .guard import ResourceGuard as ResourceGuard
from .limiter import CapacityLimiter as CapacityLimiter
from .limiter import CapacityLimiterStatistics as CapacityLimiterStatistics
from .lock import Lock as Lock
from .lock import LockStatistics as LockStatistics
from .semaphore import Semaphore as Semaphore
from .semaphore import SemaphoreStatistics as SemaphoreStatistics

"""The synchronisation primitives: one file each, over one queue (`_kernel/wait_queue.py`).

What they have in common is told here once.

The rules
---------
* A primitive knows no loop until somebody waits: make it at module level, or outside any loop.
* Every wait is a `WaitQueue.wait`, and no primitive waits in any other way.
* A release hands over: it picks the first live waiter, makes it the owner, and only then wakes it. So while anybody waits nothing is free, nobody can step in front of the queue, and a
  cancel that comes after the hand-over changes nothing (the task is cancelled at its next
  checkpoint, as an owner that has to release).
* A waiter that was cancelled is passed over, so no wake-up is lost, and FIFO order stays.
* What did not have to wait comes to a ready checkpoint (see `_kernel/contract.py`).
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

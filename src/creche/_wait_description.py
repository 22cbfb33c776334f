"""`WaitDescription`: how a primitive describes a task that waits in it.

Owns the data that primitives give to reports. Knows neither: a primitive fills one in when it is
asked, and reports on tasks (deadlocks, traces) turn it into text. Nothing is recorded while tasks
wait, so a wait costs nothing until a report asks.

A report finds the primitive as `self` in the frames of the waiting task, and asks it:

    def _describe_wait(self, task: TaskInfo, inner: WaitDescription | None) -> WaitDescription | None

`task` is the one that waits. `inner` describes the wait one frame further in, where this primitive
waits with the help of another: a future waits in an event. A primitive that only waits by itself
returns `inner or WaitDescription(...)`, so that a subclass of it may wait for something else on its way.

The rules
---------
* It must not wait, take a lock or change anything, and should not search: it is asked once for each
  task that waits, maybe in another thread than the loop's.
* None means that it has nothing to add to `inner`.
* What it raises is caught, and shown in the report.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class WaitDescription(NamedTuple):
    """What a task waits for, as the primitive that it waits in says it.

    A class with methods in which tasks wait takes part in every report of waiting tasks by having a method
    `_describe_wait(self, task, inner)` that returns one of these, or None to leave it to `inner`, the
    description of the wait further in. Tasks are given as `TaskHandle` or `TaskInfo`, or as the event
    loop's own object.
    """

    what: object
    """What is waited for: a text, an object, or a tuple of both. Reports name the objects as the
    program does: `("room in ", self)` is shown as `room in Pool 'pool'`."""
    takes: str = ""
    """What would end the wait: `"release()"`."""
    holders: Collection[object] = ()
    """The tasks that hold what is waited for, and end the wait by giving it back."""
    tasks: Collection[object] | None = None
    """The tasks that are waited for themselves, which reports name after `what`. None: no tasks."""
    needs_all: bool = False
    """Whether all of these tasks have to act, rather than one of them."""
    complete: bool = True
    """Whether nobody but these tasks could end the wait. If not, no deadlock is concluded from it."""

"""The points of the library at which the steps and events of tasks are seen: pieces of code, by what they mean.

Owns the list. A point is a function of Creche's own; `sys.monitoring` tells when it begins, suspends or
returns (`steps.py`). Nothing is changed in the function, so one that nobody watches costs nothing.
"""

# The points are what is inside.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import CO_COROUTINE
from types import CodeType
from typing import TYPE_CHECKING, Any

from .._kernel.inspection import note_loop
from .._kernel.main import start
from .._kernel.wait_queue import WaitQueue
from .._loop import time as times
from .._tasks.group import TaskGroup
from .._tasks.handle import TaskHandle
from .._tasks.scope import CancelScope
from .._threads import calls

if TYPE_CHECKING:
    from .._kernel.contract import Kernel

RUN = TaskGroup._run.__code__
"""What each child of a group runs: its begin, its steps, its end."""
START = start.__code__
"""What the main task runs on most loops."""
ENDED_BADLY = TaskGroup._ended_badly.__code__
CANCEL = CancelScope.cancel.__code__
CANCEL_TASK = TaskHandle[Any].cancel.__code__
POP = WaitQueue[Any].pop.__code__
EACH = WaitQueue[Any].__iter__.__code__
QUEUE_WAIT = WaitQueue[Any].wait.__code__
NEW_LOOP = note_loop.__code__
CALL = calls.Call.run.__code__

_FUNCTIONS = {
    times.sleep.__code__: "sleep()",
    times.sleep_until.__code__: "sleep_until()",
    times.sleep_forever.__code__: "sleep_forever()",
    calls.run_sync.__code__: "a call in a worker thread",
}


def code_of(function: Any) -> CodeType:
    """Return the code of a function or a bound method."""
    code: CodeType = function.__code__
    return code


def waits() -> dict[CodeType, str]:
    """Return the functions in which tasks wait, each with what is waited for; empty where `self` is that."""
    found = dict(_FUNCTIONS)
    for kind in _primitives():
        for value in vars(kind).values():
            code = getattr(value, "__code__", None)
            if code is not None and code.co_flags & CO_COROUTINE and code is not RUN:
                found[code] = ""
    return found


def _primitives() -> Iterator[type]:
    """Return the classes that describe waits, of the modules that are loaded."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == __name__.partition(".")[0]:
            for value in list(vars(module).values()):
                if isinstance(value, type) and value.__module__ == name and any(
                    "_describe_wait" in vars(base) for base in value.__mro__
                ):  # fmt: skip
                    yield value


class Verbs:
    """The verbs of one kernel that are points."""

    def __init__(self, kernel: Kernel) -> None:
        self.enter = code_of(kernel.enter_scope)
        self.leave = code_of(kernel.leave_scope)
        self.open_nursery = code_of(kernel.open_nursery)

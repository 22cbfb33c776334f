"""What both kinds of remote workers share on this side: reading answers, finding the program.

Knows the form of an answer (`worker_main.py`) and nothing of how it came.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from .._tasks.handle import name_of
from .worker_main import RESULT

if TYPE_CHECKING:
    from .._kernel.contract import Task


class RunningCall(NamedTuple):
    """A call that a worker makes now, for those who look."""

    worker: str
    func: str
    since: float
    """When it was handed over, by the monotonic clock."""
    task: Task


def running_call(worker: str, func: Callable[..., Any], task: Task) -> RunningCall:
    """Describe a call that begins."""
    name = getattr(func, "__qualname__", None) or type(func).__qualname__
    return RunningCall(worker, name, monotonic(), task)


def open_answer(answer: bytes, func: Callable[..., Any], place: str) -> Any:
    """Return or raise what is in an answer; an error carries its remote traceback as a note."""
    value = pickle.loads(memoryview(answer)[1:])
    if answer[:1] == RESULT:
        return value
    error, text = value
    error.add_note(f"Raised in {place} by {name_of(func)}():\n\n{text}")
    try:
        raise error
    finally:
        del error, value


def main_of_program() -> tuple[str | None, str | None]:
    """Return the name of the program's main module, and its file; what there is of them."""
    main = sys.modules.get("__main__")
    if main is not None:
        sys.modules.setdefault("__mp_main__", main)  # As the workers call it, in their results.
    spec = getattr(main, "__spec__", None)
    file: str | None = getattr(main, "__file__", None)
    return None if spec is None else spec.name, file and os.path.abspath(file)


def processors() -> int:
    """Return how many processors this process may use, as far as Python can tell."""
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 2

"""Keeps the garbage collector from running while a snapshot is made in a thread of its own.

Owns one count. A snapshot of thousands of tasks makes as many objects, none of which is garbage; a full
collection on their account would stop the loop for longer than the snapshot does.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

_lock = threading.Lock()
_blocks = 0
_was_on = False


@contextmanager
def no_collection() -> Generator[None]:
    """Have no collection run in a block. The last of several such blocks turns them on again."""
    global _blocks, _was_on  # noqa: PLW0603  # one collector for the process
    with _lock:
        if _blocks == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0 and _was_on:
                gc.enable()

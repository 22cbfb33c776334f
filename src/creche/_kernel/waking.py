"""The error of a wake-up from the wrong thread, on every kernel that notices one."""

from __future__ import annotations


def from_another_thread() -> RuntimeError:
    """Return what a waker is told that runs in another thread than the loop of the waiting task."""
    return RuntimeError(
        "this wakes a task of an event loop in another thread, and only that loop's own thread may: "
        "call it with from_thread.run_sync(), or through a BlockingPortal"
    )


class OtherLoop(Exception):
    """Another loop than the nursery's runs in this thread, or none."""

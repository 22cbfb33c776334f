"""The exceptions that Creche raises on its own account. Each says what happened and what to do."""

from __future__ import annotations

from typing import Any


class BrokenResourceError(Exception):
    """The other side of a stream is gone or failed: nothing more can go through.

    Where the operating system said why, that error is the `__cause__`.
    """


class BrokenWorkerProcess(Exception):
    """A worker process died, or answered what it must not."""


class BrokenWorkerInterpreter(Exception):
    """Code in a subinterpreter raised; the message carries its remote traceback."""

    def __init__(self, excinfo: Any) -> None:
        said = getattr(excinfo, "formatted", None) or str(excinfo)
        remote = getattr(excinfo, "errdisplay", None)
        super().__init__(
            f"{said}\n\nTraceback in the subinterpreter:\n\n{remote}" if remote else said
        )
        self.excinfo = excinfo


class BusyResourceError(Exception):
    """Two tasks tried to use a resource that serves one at a time."""

    def __init__(self, action: str) -> None:
        super().__init__(f"Another task is already {action} this resource")


class ClosedResourceError(Exception):
    """The resource was closed on this side, before or while it was used."""


class ConnectionFailed(OSError):
    """A connectable could not connect; the system's error is the `__cause__`."""


class DelimiterNotFound(Exception):
    """`receive_until` read `max_bytes` bytes without meeting the delimiter."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The delimiter was not found among the first {max_bytes} bytes")


class EndOfStream(Exception):
    """The other side will send no more."""


class FutureFailed(Exception):
    """Awaited a future that finished with an exception, which is the `__cause__`."""


class FutureCancelled(FutureFailed):
    """Awaited a future that was cancelled."""


class FutureAlreadyFinished(Exception):
    """Tried to finish a future a second time."""


class FutureNotFinished(Exception):
    """Asked a future for its outcome before it had one."""


class IncompleteRead(Exception):
    """The stream ended before the bytes that were asked for had arrived."""

    def __init__(self) -> None:
        super().__init__("The stream was closed before the read operation could be completed")


class NoEventLoopError(RuntimeError):
    """The call needs a running event loop, and this thread has none."""


class RunFinishedError(RuntimeError):
    """The event loop that the call was meant for has finished."""

    def __init__(self) -> None:
        super().__init__("The event loop associated with this token has already finished")


class TaskFailed(Exception):
    """Awaited the handle of a task that raised; what it raised is the `__cause__`."""


class TaskCancelled(TaskFailed):
    """Awaited the handle of a task that was cancelled."""


class TaskNotFinished(Exception):
    """Asked a task's handle for its outcome before the task had ended."""


class TypedAttributeLookupError(LookupError):
    """The object, and what it wraps, has no such typed attribute."""


class WouldBlock(Exception):
    """A `*_nowait` call could not finish at once."""

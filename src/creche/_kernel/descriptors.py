"""Readiness of sockets and descriptors: what the kernel contract says of them.

`Watch` is for a descriptor that Creche owns, the three calls of `Descriptors` for one of the user's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._exceptions import ClosedResourceError

if TYPE_CHECKING:
    from .contract import Kernel, Task

T = TypeVar("T")


class Watch(Protocol):
    """One descriptor that Creche owns, watched for readiness. `close` it before the descriptor.

    `attempt` is a function that never blocks and raises BlockingIOError when it would have to.
    It runs when the descriptor is ready, perhaps outside the waiting task, until it returns or
    raises something else; that is then the outcome of the call. At most one reader and one writer
    at a time: the caller guards that. `task` is the running one, from callers that have it at hand.
    A wait in another loop than the one that made the watch raises `of_another_loop`.
    """

    def when_readable(
        self, attempt: Callable[[], T], task: Task | None = None, /
    ) -> Awaitable[T]: ...

    def when_writable(
        self, attempt: Callable[[], T], task: Task | None = None, /
    ) -> Awaitable[T]: ...

    def close(self) -> None:
        """Stop watching. A waiting task gets `ClosedResourceError`."""
        ...


def of_another_loop(kernel: Kernel) -> Exception:
    """Return the error of a wait in one loop for what is watched by another one's kernel."""
    if kernel.ended():
        return ClosedResourceError(
            "this belongs to an event loop that has ended: open a new one in the running loop"
        )
    return RuntimeError(
        "this belongs to another event loop, which is still running: use it there, or open a new "
        "one in this loop"
    )


class Descriptors(Protocol):
    """The part of a kernel that waits for descriptors."""

    def watch(self, sock: Any) -> Watch:
        """Watch a socket or descriptor that Creche owns."""
        ...

    async def wait_readable(self, obj: Any) -> None:
        """Wait for a socket or descriptor of the user's; leaves no registration behind."""
        ...

    async def wait_writable(self, obj: Any) -> None: ...

    def notify_closing(self, obj: Any) -> None:
        """Wake the tasks that wait on `obj` in the two calls above, with `ClosedResourceError`."""
        ...

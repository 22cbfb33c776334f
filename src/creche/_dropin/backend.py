"""What stands behind AnyIO's private names: its thread locals and its backend class, as far as they
can be told from Creche's public functions.

Owns no state. Imported when one of those names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import _registry
from .._exceptions import NoEventLoopError
from .._kernel import current_kernel
from .._tasks.group import TaskGroup as _TaskGroup
from .._threads.calls import here
from .modules import PACKAGE

if TYPE_CHECKING:
    from .._loop.token import EventLoopToken


class TaskGroup(_TaskGroup):
    """A task group of a backend: a class below `abc.TaskGroup`, for asyncer derives from both."""

    __slots__ = ()


class ThreadLocals:
    """Tells a worker thread from others, as AnyIO's own thread locals did: by what is missing."""

    @property
    def current_token(self) -> EventLoopToken:
        """The token of the loop that this worker thread works for.

        :raises AttributeError: this is no worker thread
        """
        from .._loop.token import token_of

        call = here.call
        if call is None:
            raise AttributeError("current_token: this is not a worker thread")
        return token_of(call.task.kernel)

    @property
    def current_async_backend(self) -> Backend:
        """What `get_async_backend` returns, for the loop that this worker thread works for.

        :raises AttributeError: this is no worker thread
        """
        return Backend(self.current_token.backend_name)


threadlocals = ThreadLocals()


def current_async_library() -> str | None:
    """Return the name of the backend that runs here, None outside of all loops."""
    try:
        return current_kernel().name
    except NoEventLoopError:
        return None


def get_async_backend(asynclib_name: str | None = None) -> Backend:
    """Return the backend of that name, by default the one that runs here.

    :raises NoEventLoopError: there is no name, and no event loop runs in this thread
    :raises LookupError: there is no such backend
    """
    name = current_kernel().name if asynclib_name is None else asynclib_name
    return Backend(_registry.find(name).name)


# Each is called as the method of the backend class is called. The others take what only AnyIO has.
METHODS = {
    "cancel_shielded_checkpoint": "lowlevel",
    "check_cancelled": "from_thread",
    "checkpoint": "lowlevel",
    "checkpoint_if_cancelled": "lowlevel",
    "create_task_group": "",
    "current_default_thread_limiter": "to_thread",
    "current_effective_deadline": "",
    "current_time": "",
    "get_current_task": "",
    "get_running_tasks": "",
    "notify_closing": "",
    "sleep": "",
    "wait_all_tasks_blocked": "",
    "wait_readable": "",
    "wait_writable": "",
}
RENAMED = {
    "cancelled_exception_class": "get_cancelled_exc_class",
    "create_cancel_scope": "CancelScope",
    "create_capacity_limiter": "CapacityLimiter",
    "create_event": "Event",
    "create_lock": "Lock",
    "create_semaphore": "Semaphore",
}


class Backend:
    """One backend, with those methods of AnyIO's backend class that are public functions.

    :ivar name: `"asyncio"` or `"trio"`
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, method: str) -> Any:
        if method in METHODS:
            module = METHODS[method]
            return getattr(import_module(f"{PACKAGE}.{module}" if module else PACKAGE), method)
        if method in RENAMED:
            return getattr(import_module(PACKAGE), RENAMED[method])
        raise AttributeError(
            f"{method!r}: Creche, which stands in for AnyIO here, has no such backend method. Use "
            "the public function that does this"
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *METHODS, *RENAMED})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backend) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

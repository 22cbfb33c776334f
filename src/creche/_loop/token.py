"""`EventLoopToken`: names one event loop, also from other threads. Knows it by its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from .._kernel import current_kernel

if TYPE_CHECKING:
    from .._kernel.contract import Kernel


def current_token() -> EventLoopToken:
    """Return what stands for the running event loop, to name it from another thread.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return EventLoopToken(current_kernel())


@final
class EventLoopToken:
    """Stands for one event loop, for as long as that lives. Tokens of the same loop are equal."""

    __slots__ = ("__weakref__", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    @property
    def backend_name(self) -> str:
        """The name of the loop's backend: `"asyncio"` or `"trio"`."""
        return self.kernel.name

    @property
    def native_token(self) -> object:
        """The loop's own object for itself: the asyncio loop, or the Trio token."""
        return self.kernel.token

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EventLoopToken):
            return bool(self.kernel.token == other.kernel.token)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.kernel.token)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.backend_name}: {self.native_token!r}>"

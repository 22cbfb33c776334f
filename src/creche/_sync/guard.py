"""`ResourceGuard`: tells two tasks apart that use at once what serves one at a time.

Owns a flag. Never waits, and knows no loop.

    free --enter--> guarded --exit--> free        entering what is guarded is an error
"""

from __future__ import annotations

from types import TracebackType

from .._exceptions import BusyResourceError


class ResourceGuard:
    """A context manager that only one task can be inside of.

    :param action: what the task does with the resource, for the error: "reading from"
    """

    __slots__ = ("__weakref__", "_guarded", "action")

    def __init__(self, action: str = "using") -> None:
        self.action = action
        self._guarded = False

    def __enter__(self) -> None:
        if self._guarded:
            raise BusyResourceError(self.action)
        self._guarded = True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._guarded = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.action!r} {'busy' if self._guarded else 'free'}>"

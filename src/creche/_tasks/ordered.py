"""`OrderedTaskGroup`: a task group that stops its body first, then its services, the last one first.

Owns the order of a stop. A service is what `start()` has started; it has a scope of its own, which keeps a
stop out until it is its turn. All else is `TaskGroup`'s.

    running --stop--> the body ends --> the last service ends --> ... --> the first service ends

The grace is the group's: each service has what is left of it.
"""

# The data of scopes is this package's own.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType, TracebackType
from typing import Any, Self

from .._kernel import current_kernel
from . import stop as _stop
from .beginnings import checked_coroutine
from .group import TaskGroup
from .handle import origin_of
from .scope import CancelScope
from .start import TaskStatus


class OrderedTaskGroup(TaskGroup):
    """A task group with `stop_order="reverse"`."""

    __slots__ = ("_body_left", "_order", "_reason", "_told_to_stop")

    def __init__(self, collapse: bool = False) -> None:
        super().__init__(collapse)
        self._order: dict[CancelScope, None] = {}
        """The scopes of the services that run, in the order in which they were started."""
        self._body_left = self._told_to_stop = False
        self._reason: str | None = None

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        _stop.listen(current_kernel(), self, self.cancel_scope, self._told)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        self._body_left = True
        self._stop_next()
        try:
            return await super().__aexit__(exc_type, exc_val, exc_tb)
        finally:
            _stop.ignore(current_kernel(), self)

    async def start(self, func: Any, *args: object, name: object = None, **options: Any) -> Any:
        scope = CancelScope()
        scope._stopping = _stop.BARRIER
        self._order[scope] = None
        self._stop_next()  # It may be the turn of this one already.
        if name is None:
            name = origin_of(func, func, None)
            name = getattr(name, "__qualname__", name)
        return await super().start(self._serve, scope, func, args, name=name, **options)

    async def _serve(
        self,
        scope: CancelScope,
        func: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[object, ...],
        *,
        task_status: TaskStatus[Any],
    ) -> Any:
        try:
            with scope:
                coro: Any = func(*args, task_status=task_status)
                if CoroutineType is not type(coro):
                    coro = checked_coroutine(func, coro)
                return await coro
        finally:
            self._order.pop(scope, None)
            self._stop_next()

    def _told(self, state: _stop.Stop) -> None:
        self._told_to_stop = True
        self._reason = state.reason
        self._stop_next()

    def _stop_next(self) -> None:
        if self._told_to_stop and self._body_left:
            last = next(reversed(self._order), None)
            if last is not None and last._stopping is _stop.BARRIER:
                last.stop(self._reason)

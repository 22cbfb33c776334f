"""`AsyncResource`: whatever has to be closed with an await.

Knows nothing of what is being closed. Its one rule: leaving the with-block closes, always.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from types import TracebackType
from typing import Self

from .._tasks.scope import CancelScope


class AsyncResource(metaclass=ABCMeta):
    """Base class for resources that are closed with `await resource.aclose()`.

    As an async context manager it returns itself, and closes itself at the end of the block.
    """

    __slots__ = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    @abstractmethod
    async def aclose(self) -> None:
        """Close the resource. If it is cancelled, it closes all the same before it raises."""


async def aclose_forcefully(resource: AsyncResource) -> None:
    """Close a resource in a cancelled scope, so that whatever it would wait for is left out.

    Not a checkpoint of its own; the resource is closed when this returns.
    """
    with CancelScope(cleanup=0) as scope:
        scope.cancel()
        await resource.aclose()

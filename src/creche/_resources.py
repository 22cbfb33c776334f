"""`aclose_forcefully`: close a resource without waiting for anything. Knows only `AsyncResource`."""

from __future__ import annotations

from ._abc.resources import AsyncResource
from ._scopes import CancelScope


async def aclose_forcefully(resource: AsyncResource) -> None:
    """Close a resource in a cancelled scope, so that whatever it would wait for is left out.

    Not a checkpoint of its own; the resource is closed when this returns.
    """
    with CancelScope() as scope:
        scope.cancel()
        await resource.aclose()

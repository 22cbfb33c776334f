"""Run an async function in a child, in a Creche run of its own. The one file that needs Creche there.

Owns the scope around the function: a cancel from the caller and the caller's deadline cancel it.
"""

from __future__ import annotations

import importlib
import socket

from .perform import CallCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def runner(
    sock: socket.socket, remaining: float, backend: str
) -> Callable[[Any, tuple[Any, ...]], Any]:
    """Return what runs `func(*args)`. `sock` becomes readable when the caller is cancelled."""

    def run(func: Any, args: tuple[Any, ...]) -> Any:
        try:
            creche = importlib.import_module("creche")
        except ImportError as exc:
            raise RuntimeError(
                "Cluster.run() needs Creche on the worker as well, and it is not installed there: "
                "install it, or call a plain function with Cluster.run_sync()"
            ) from exc
        return creche.run(_main, creche, sock, remaining, func, args, backend=backend)

    return run


async def _main(
    creche: Any, sock: socket.socket, remaining: float, func: Any, args: tuple[Any, ...]
) -> Any:
    result = None
    with creche.CancelScope(deadline=creche.current_time() + remaining) as scope:
        async with creche.create_task_group() as group:
            group.start_soon(_heed, creche, sock, scope)
            result = await func(*args)
            group.cancel_scope.cancel("the function has returned")
        return result
    raise CallCancelled("the caller is cancelled")


async def _heed(creche: Any, sock: socket.socket, scope: Any) -> None:
    await creche.wait_readable(sock)
    scope.cancel("the caller is cancelled")

"""The boundary of a simulated run: the doors of the standard library that lead out of it.

Owns a table of functions, which are replaced while simulated runs are going on. Knows no loop; the
doors that loops have are shut by the kernels. A call from a thread that runs no simulation goes
through, as if nothing were there.

    open --enter()--> shut for this thread --leave()--> open
"""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from .._kernel.simulation import escaped

_DOORS: tuple[tuple[Any, str, str], ...] = (
    (socket.socket, "__init__", "socket.socket()"),
    (socket, "socketpair", "socket.socketpair()"),
    (socket, "getaddrinfo", "socket.getaddrinfo()"),
    (socket, "getnameinfo", "socket.getnameinfo()"),
    (subprocess.Popen, "__init__", "subprocess.Popen()"),
    (threading.Thread, "start", "threading.Thread.start()"),
    (signal, "signal", "signal.signal()"),
)
_inside: set[int] = set()
"""The threads that are in a simulated run."""
_originals: list[Any] = []


def enter() -> None:
    """Shut the doors for this thread."""
    if not _inside:
        for owner, name, what in _DOORS:
            original = getattr(owner, name)
            _originals.append(original)
            setattr(owner, name, _guarded(original, what))
    _inside.add(threading.get_ident())


def leave() -> None:
    """Open them again, if they are shut for this thread."""
    thread = threading.get_ident()
    if thread not in _inside:
        return
    _inside.discard(thread)
    if not _inside:
        for (owner, name, _), original in zip(_DOORS, _originals, strict=True):
            setattr(owner, name, original)
        _originals.clear()


def _guarded(original: Callable[..., Any], call: str) -> Callable[..., Any]:
    @wraps(original)
    def guard(*args: Any, **options: Any) -> Any:
        if threading.get_ident() in _inside:
            raise escaped(call)
        return original(*args, **options)

    return guard

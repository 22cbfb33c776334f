"""What becomes of our threads when the interpreter ends.

Owns the one callback at that end, and the order in which it does its work. Knows portals and pools as
what registers here.

    the main thread ends
      --> the interpreter waits for the program's own threads that are no daemons
      --> it calls what the program has registered with `atexit`, the newest first
      --> it calls `_end`, which was registered when Creche was imported:
            portals that are still open   their tasks are cancelled, and their threads joined
            workers with a call           waited for, unless the call was abandoned
            workers without               joined
            abandoned calls               left where they are

Rules
-----
* Every thread here is a daemon, so that the interpreter does not wait for it before `atexit`: a program
  that closes its portal there could not end. In its place `_end` waits, at the last moment.
* So no call is cut off that somebody may count on. An abandoned one is: that is what was asked for. It
  may block for ever, in `input()`, say.
* A thread that is left in a read of standard input holds that file's lock, and the interpreter would die
  of a fatal error as it closes the file. So the thread is given a reference to the standard streams; its
  frames are never taken apart.
* A subinterpreter may forbid daemons. There the threads are none, and `_end` comes before the interpreter
  waits for them.
* In the child of a fork none of these threads exist, so there is nothing to wait for.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakSet

DAEMON: bool = getattr(threading, "_daemon_threads_allowed", lambda: True)()
"""Whether our threads are daemons: not where a subinterpreter forbids it."""


class Threads(Protocol):
    """What has threads that the end of the interpreter concerns."""

    def end(self) -> None:
        """End the threads, and wait for those that have to finish something."""
        ...


_lock = threading.Lock()
_portals: WeakSet[Threads] = WeakSet()
_pools: WeakSet[Threads] = WeakSet()


def register_portal(threads: Threads) -> None:
    """Have the end of the interpreter end a portal. Held weakly."""
    with _lock:
        _portals.add(threads)


def register_pool(threads: Threads) -> None:
    """Have the end of the interpreter end a pool of workers. Held weakly."""
    with _lock:
        _pools.add(threads)


def pools() -> list[Threads]:
    """Return the pools that there are. From any thread; takes no lock, for a signal handler may ask."""
    while True:
        try:
            return list(_pools)
        except RuntimeError:  # It changed meanwhile.
            continue


def standard_streams() -> tuple[Any, ...]:
    """Return what a thread is given that may be left in the middle of a read."""
    return sys.stdin, sys.__stdin__, sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__


def _end() -> None:
    for registered in (_portals, _pools):  # Portals first: as they end, they use their workers.
        with _lock:
            left = list(registered)
        for each in left:
            each.end()


def _forget() -> None:
    global _lock  # noqa: PLW0603  # in the child of a fork, where nobody would release it
    _lock = threading.Lock()
    _portals.clear()
    _pools.clear()


# Private to Python, and there since 3.9; concurrent.futures goes by it.
_before_threads: Callable[[Callable[[], object]], object] | None = getattr(
    threading, "_register_atexit", None
)
if DAEMON or _before_threads is None:
    atexit.register(_end)
else:
    _before_threads(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

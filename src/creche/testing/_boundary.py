"""The boundary of a simulated run: the doors of the standard library that lead out of it.

Owns a table of functions, which are replaced while simulated runs are going on. Knows no loop: what
loops have of their own is shut by the kernels, or told by them as further doors. A call from a
thread that runs no simulation goes through, as if nothing were there.

    open --enter()--> shut for this thread --leave()--> open

A door in a module that nobody has imported is not looked for: what is behind it goes through others.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

from .._kernel.simulation import escaped

_DOORS = (
    ("socket", "socket.__init__"),
    ("socket", "socketpair"),
    ("socket", "getaddrinfo"),
    ("socket", "getnameinfo"),
    ("socket", "gethostbyname"),
    ("socket", "gethostbyname_ex"),
    ("socket", "gethostbyaddr"),
    ("subprocess", "Popen.__init__"),
    ("multiprocessing.process", "BaseProcess.start"),
    ("os", "fork"),
    ("os", "forkpty"),
    ("os", "posix_spawn"),
    ("os", "posix_spawnp"),
    ("os", "system"),
    ("threading", "Thread.start"),
    ("_thread", "start_new_thread"),
    ("concurrent.futures.thread", "ThreadPoolExecutor.submit"),  # an idle thread is not started
    ("concurrent.futures.process", "ProcessPoolExecutor.submit"),
    ("signal", "signal"),
    ("signal", "setitimer"),
    ("signal", "alarm"),
    ("signal", "set_wakeup_fd"),
    ("signal", "pause"),
    ("signal", "sigwait"),
    ("signal", "sigwaitinfo"),
    ("signal", "sigtimedwait"),
)
_CALLS = {
    "BaseProcess.start": "multiprocessing.Process.start()",
    "ThreadPoolExecutor.submit": "concurrent.futures.ThreadPoolExecutor.submit()",
    "ProcessPoolExecutor.submit": "concurrent.futures.ProcessPoolExecutor.submit()",
}
"""What the documentation calls some of them."""


class _Door(NamedTuple):
    owner: Any
    name: str
    original: Any
    guard: Any


_inside: set[int] = set()
"""The threads that are in a simulated run."""
_shut: list[_Door] = []
_found: dict[tuple[str, str], _Door] = {}
"""Doors that were shut before: making a guard takes longer than putting it in place."""
_lock = threading.Lock()


def enter(others: Sequence[tuple[str, str]] = ()) -> None:
    """Shut the doors for this thread.

    :param others: doors that the event loop adds, as names of modules and of functions in them
    """
    with _lock:
        _inside.add(threading.get_ident())
        for place in others if _shut else (*_DOORS, *others):
            door = _found.get(place)
            if door is None or getattr(door.owner, door.name) is not door.original:
                door = _find(*place)
                if door is None:
                    continue
                _found[place] = door
            setattr(door.owner, door.name, door.guard)
            _shut.append(door)


def leave() -> None:
    """Open them again, if they are shut for this thread."""
    thread = threading.get_ident()
    if thread not in _inside:
        return
    with _lock:
        _inside.discard(thread)
        while _shut and not _inside:
            door = _shut.pop()
            setattr(door.owner, door.name, door.original)


def _find(module: str, path: str) -> _Door | None:
    """Find a door as it is now: somebody may have replaced the function since the last run."""
    owner: Any = sys.modules.get(module)
    *classes, name = path.split(".")
    for outer in classes:
        owner = getattr(owner, outer, None)
    original = getattr(owner, name, None)
    if original is None or hasattr(original, "creche_guard"):
        return None
    call = _CALLS.get(path, f"{module}.{path.removesuffix('.__init__')}()")
    return _Door(owner, name, original, _guarded(original, call))


def _guarded(original: Callable[..., Any], call: str) -> Callable[..., Any]:
    @wraps(original)
    def guard(*args: Any, **options: Any) -> Any:
        if threading.get_ident() in _inside:
            raise escaped(call)
        return original(*args, **options)

    vars(guard)["creche_guard"] = True
    return guard

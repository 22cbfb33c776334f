"""Wakes another process out of its wait for events, so that it runs the Python that was sent to it.

Owns one interruption: the process is attached to as a debugger would, stopped in its system call, and let go at
once. Its wait then fails with `EINTR`, and CPython looks for what was sent to it before it waits again. No signal
is sent to the process, and its parent hears of nothing. Linux only; libuv, which uvloop is made of, waits again
without any Python.

Rules
-----
* The process is let go, whatever happens. Linux lets one go only while it stands still, or when the *thread* that
  has attached to it ends: so a thread is started for each.
* A signal that comes to the process meanwhile is handed on to it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

_SEIZE, _INTERRUPT, _DETACH, _EVENT_STOP = 0x4206, 0x4207, 17, 128
PATIENCE = 1.0
"""Seconds that the process has to stop: it may be where nothing can stop it."""


def wake(pid: int) -> bool:
    """Interrupt what the main thread of a process waits for; tell whether that could be done.

    :param pid: the process, which the caller may debug
    """
    if sys.platform != "linux":
        return False
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(_interrupt(pid)), name="creche wakes")
    thread.start()
    thread.join()
    return done == [True]


def _interrupt(pid: int) -> bool:
    if not (_ptrace(_SEIZE, pid) and _ptrace(_INTERRUPT, pid)):
        return False
    signal = _stopped_by(pid)
    return signal is not None and _ptrace(_DETACH, pid, signal)


def _ptrace(request: int, pid: int, data: int = 0) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    words = ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(0), ctypes.c_void_p(data)
    done: int = libc.ptrace(*words)
    return done == 0


def _stopped_by(pid: int) -> int | None:
    """Wait until the process stands still. Return the signal that it is to get, 0 for none; None if it goes on."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)
        except ChildProcessError:  # it has ended
            return None
        if found is not None:
            return 0 if found.si_status >> 8 == _EVENT_STOP else found.si_status & 0xFF
        time.sleep(0.001)
    return None

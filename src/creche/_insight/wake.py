"""Wakes another process out of its wait for events, so that it runs the Python that was sent to it.

Owns one interruption: the process is attached to as a debugger would, stopped in its system call, and let go at
once. Its wait then fails with `EINTR`, and CPython looks for what was sent to it before it waits again. No signal
reaches the process, and its parent hears of nothing. Linux only; libuv, which uvloop is made of, waits again
without any Python.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
PATIENCE = 1.0
"""Seconds that the process has to stop: it may be where nothing can stop it."""


def wake(pid: int) -> bool:
    """Interrupt what the main thread of a process waits for; tell whether that could be done.

    :param pid: the process, which the caller may debug
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(request: int) -> bool:
        done: int = libc.ptrace(
            ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(0), ctypes.c_void_p(0)
        )
        return done == 0

    if not ptrace(_SEIZE):
        return False
    return ptrace(_INTERRUPT) and _stops(pid) and ptrace(_DETACH)


def _stops(pid: int) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)
        except ChildProcessError:  # it has ended
            return False
        if found is not None:
            return True
        time.sleep(0.001)
    return False

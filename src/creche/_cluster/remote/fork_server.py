"""The fork server: one small process beside each worker that forks children, ends them and reaps them.

Owns the processes. Has one thread and one loop, and never runs what a caller has sent, so it can
always act. It knows a child as a number that the worker chose.

Records, both ways, of a fixed size: a letter, a number, a value.

    to the fork server   S  start a child on the descriptors that come along: its socket, its lifeline to
                       the worker, and its output if the value is 1
                    T  SIGTERM to the child's process group
                    K  SIGKILL to it
                    A  the worker is alive; the value is how many milliseconds that is good for
    from it         P  the child's process id
                    G  the child has ended and its process group is reaped; its wait status

A child:

    started --it ends, or K--> ended --its group is killed and reaped--> gone

Rules
-----
* When the leader of a group has ended the others get SIGKILL, before the leader is reaped: until then
  nobody else can have the group's number.
* Orphans of dead children come here (`PR_SET_CHILD_SUBREAPER`), so a group can be reaped whole.
* If the worker says nothing for as long as it promised to, it is stopped or hangs, and all children
  are killed. If the worker ends, the same, and the fork server ends.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
from functools import lru_cache

from .child import live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD = struct.Struct("!cxxxIq")
DESCRIPTORS = 64
PATIENCE = 0.001
"""Seconds between looks at a group that is dying."""


class _Child:
    """One child, as its parent sees it."""

    __slots__ = ("lifeline", "number", "pid", "status")

    def __init__(self, number: int, pid: int, lifeline: socket.socket) -> None:
        self.number = number
        self.pid = pid
        self.lifeline = lifeline
        self.status: int | None = None  # set once it has ended and its group was killed


class ForkServer:
    """The loop of the process."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self._descriptors: list[int] = []
        self._children: dict[int, _Child] = {}
        self._expires = float("inf")

    def run(self) -> None:
        """Serve until the worker has gone, and leave no child."""
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        # Ctrl-C in a terminal is for the caller, who then cancels.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        adopt_orphans()
        sock = self._sock.fileno()
        while True:
            ready = select.select([sock, woken], [], [], self._pause())[0]
            if woken in ready:
                os.read(woken, 4096)
            if sock in ready and not self._read():
                break
            if time.monotonic() > self._expires:
                self._expires = float("inf")
                self._kill_all()
            self._reap()
        self._kill_all()
        while self._children:
            self._reap()
            time.sleep(PATIENCE)

    def _pause(self) -> float | None:
        if any(child.status is not None for child in self._children.values()):
            return PATIENCE
        if self._expires == float("inf"):
            return None
        return max(0.0, self._expires - time.monotonic()) + 0.001

    # What the worker says

    def _read(self) -> bool:
        try:
            data, found, _, _ = socket.recv_fds(self._sock, 4096, DESCRIPTORS)
        except ConnectionError:
            return False
        if not data:
            return False
        self._descriptors += found
        data = self._buffer + data
        while len(data) >= RECORD.size:
            self._obey(*RECORD.unpack_from(data))
            data = data[RECORD.size :]
        self._buffer = data
        return True

    def _obey(self, order: bytes, number: int, value: int) -> None:
        if order == b"S":
            count = 3 if value else 2
            taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
            self._start(number, taken)
        elif order == b"A":
            self._expires = time.monotonic() + value / 1000 if value else float("inf")
        elif (child := self._children.get(number)) and child.status is None:
            _signal(child.pid, signal.SIGKILL if order == b"K" else signal.SIGTERM)

    def _say(self, letter: bytes, number: int, value: int) -> None:
        try:
            self._sock.sendall(RECORD.pack(letter, number, value))
        except OSError:
            pass  # The worker has gone; the next read says so.

    # Children

    def _start(self, number: int, descriptors: list[int]) -> None:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            self._say(b"G", number, -1)
        else:
            if pid == 0:
                self._become_child(descriptors, theirs)
            self._children[number] = _Child(number, pid, ours)
            self._say(b"P", number, pid)
        theirs.close()
        for descriptor in descriptors:
            os.close(descriptor)

    def _become_child(self, descriptors: list[int], lifeline: socket.socket) -> None:
        """Never returns."""
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            adopt_orphans()
            nowhere = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nowhere, 0)
            if len(descriptors) > 2:
                os.dup2(descriptors[2], 1)
                os.dup2(descriptors[2], 2)
                _by_line()
            # Other children's lifelines are among those that the fork server holds.
            _close_all_but({0, 1, 2, *descriptors[:2], lifeline.fileno()})
            for descriptor in descriptors[:2]:
                os.set_inheritable(descriptor, False)
            lifelines = [socket.socket(fileno=descriptors[1]), lifeline]
            live(socket.socket(fileno=descriptors[0]), lifelines)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _kill_all(self) -> None:
        for child in self._children.values():
            if child.status is None:
                _signal(child.pid, signal.SIGKILL)

    def _reap(self) -> None:
        for child in list(self._children.values()):
            if child.status is None:
                if not _ended(child.pid):
                    continue
                _signal(child.pid, signal.SIGKILL)  # who is left in its group
                child.status = os.waitpid(child.pid, 0)[1]
            if _reaped(child.pid):
                del self._children[child.number]
                child.lifeline.close()
                self._say(b"G", child.number, child.status)
        self._reap_strangers()

    def _reap_strangers(self) -> None:
        """Wait for orphans that have left their group; a child's own end is seen in `_reap`."""
        ours = {child.pid for child in self._children.values() if child.status is None}
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except (ChildProcessError, AttributeError):
                return
            if found is None or found.si_pid in ours:
                return
            os.waitpid(found.si_pid, 0)


def _nothing(_signal: int, _frame: Any) -> None:
    """Be the handler of a signal that is only to wake up the loop."""


def _signal(group: int, number: int) -> None:
    """Send a signal to a group; its leader may not have made it one yet."""
    for send in (os.killpg, os.kill):
        try:
            send(group, number)
            return
        except (ProcessLookupError, PermissionError):
            continue


def _ended(pid: int) -> bool:
    """Tell whether a child has ended, and leave it unreaped."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _reaped(group: int) -> bool:
    """Wait for what is dead in a group, and tell whether nothing is left of it."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # macOS says so of a group of zombies.
    return False


def _close_all_but(kept: set[int]) -> None:
    low = 0
    for descriptor in sorted(kept):
        if low < descriptor:  # Some versions of Python take an empty range for all there is.
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 4096 + low)


def _by_line() -> None:
    """Make output leave as it is written, since a pipe would have it kept back."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)


_PR_SET_CHILD_SUBREAPER = 36


@lru_cache
def _prctl() -> Any:
    """Return the system call, None where it is not Linux; found once, so that forks have it."""
    try:
        import ctypes

        return ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None
    except (ImportError, OSError, AttributeError):
        return None


def adopt_orphans() -> None:
    """Have orphans among this process's descendants become its children, where Linux is."""
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_record(number: int, descriptors: list[int], *, output: bool) -> tuple[bytes, Any]:
    """Return the record that starts a child, and the ancillary data that goes with it."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    return RECORD.pack(b"S", number, output), ancillary

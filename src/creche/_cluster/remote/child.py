"""A child: the process that makes calls for a worker, one at a time, until the worker lets it go.

Owns the main thread of the process, its end of the socket to the worker, and the lifelines. The
fork server forks it and knows its state; `children` is the other end.

Frames, both ways: a kind of one byte, a length of 8 bytes (big-endian), and as many bytes:

    to the child    J  a call: a flag (S or A), seconds that are left (a double), backend, payload
                    C  the caller is cancelled
    from it         L  a log record, pickled
                    R E U O X   the answer, after a byte that says whether descendants are left

A child:

    idle --J--> running --answered--> idle
      `--end of the socket, a lifeline breaks, a signal--> gone

Rules
-----
* The function runs in the main thread. Nothing else runs: `check_cancelled` looks at the socket.
* A lifeline is a socket on which nothing is ever sent. When its other end closes, the kernel sends
  SIGKILL (`O_ASYNC` with `F_SETSIG`), whatever Python does meanwhile. Elsewhere than on Linux a
  thread watches it.
* The child adopts orphans of its own (`PR_SET_CHILD_SUBREAPER`), so that it can tell whether a call
  has left processes behind; the worker then ends the whole group.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback

from .perform import CallCancelled, call, call_module, perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADER = struct.Struct("!cQ")
JOB = struct.Struct("!cd16s?")
"""Whether the function is async, seconds left, name of the backend, whether logging is asked for."""

SYNC, ASYNC = b"S", b"A"


def arm(lifeline: socket.socket) -> None:
    """Have this process die with whoever holds the other end of `lifeline`."""
    try:
        import fcntl

        set_signal, set_owner = fcntl.F_SETSIG, fcntl.F_SETOWN
    except (ImportError, AttributeError):
        threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
        return
    descriptor = lifeline.fileno()
    fcntl.fcntl(descriptor, set_owner, os.getpid())
    fcntl.fcntl(descriptor, set_signal, signal.SIGKILL)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    if select.select([lifeline], [], [], 0)[0]:  # It broke before it was armed.
        os._exit(1)


def _watch(lifeline: socket.socket) -> None:
    lifeline.setblocking(True)
    lifeline.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


class Child:
    """The main thread of a child."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._cancelled = False

    def run(self) -> None:
        """Serve until the worker closes the socket."""
        call_module().check = self.check
        while (header := self._read(HEADER.size)) is not None:
            kind, length = HEADER.unpack(header)
            body = self._read(length)
            if body is None:
                return
            if kind == b"J":
                self._cancelled = False
                answer = self._answer(body)
                del body  # Nothing of a call stays while the child is idle.
                self._send(*answer)
                del answer

    def check(self) -> None:
        """Raise if the caller is cancelled. From any thread of this process."""
        if not self._cancelled:
            try:
                # During a call nothing but a cancel comes, so a byte is enough.
                self._cancelled = bool(self._sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK))
            except BlockingIOError:
                return
        if self._cancelled:
            raise CallCancelled("the caller is cancelled")

    def _answer(self, body: bytearray) -> tuple[bytes, bytes]:
        view = memoryview(body)
        flag, remaining, backend, logs = JOB.unpack(view[: JOB.size])
        payload = view[JOB.size :]
        handler = None
        if logs:
            from .child_logs import forward

            handler = forward(self._send_raw)
        try:
            if flag == ASYNC:
                from .child_async import runner

                run = runner(self._sock, remaining, backend.rstrip(b"\0").decode())
                kind, data = perform(payload, run)
            else:
                kind, data = perform(payload, call)
        finally:
            if handler is not None:
                handler.end()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass
        return kind, data

    def _send(self, kind: bytes, data: bytes) -> None:
        left = b"\1" if has_descendants() else b"\0"
        self._send_raw(kind, left, data)

    def _send_raw(self, kind: bytes, *parts: bytes) -> None:
        header = HEADER.pack(kind, sum(map(len, parts)))
        if sum(map(len, parts)) < 65536:
            self._sock.sendall(b"".join((header, *parts)))
            return
        for part in (header, *parts):
            self._sock.sendall(part)

    def _read(self, size: int) -> bytearray | None:
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            more = self._sock.recv_into(view[got:])
            if not more:
                return None
            got += more
        return data


def has_descendants() -> bool:
    """Tell whether this process has children, dead ones that nobody has waited for included."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except (AttributeError, OSError):
        return True  # It cannot be told, so the group is ended to be sure.
    return True


def live(sock: socket.socket, lifelines: list[Any]) -> None:
    """Be a child. Called right after the fork, in a session of its own; never returns."""
    code = 1
    try:
        for lifeline in lifelines:
            arm(lifeline)
        Child(sock).run()
        code = 0
    except (ConnectionError, KeyboardInterrupt):
        pass  # The worker is gone, and so is the need for this child.
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)

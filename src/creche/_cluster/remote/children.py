"""The worker's end of its children: start them, keep idle ones warm, and know when they are gone.

Owns the fork server and the list of idle children. Knows nothing of leases or callers.

A child, here:

    new --take--> taken --give_back--> idle --take--> taken
                    `--retire--> killed --the fork server says so--> gone

Rules
-----
* A child is `gone` when the fork server says that its process group is reaped, or when the fork server itself
  is gone: then the lifelines have killed it.
* The fork server is started with the worker, for it takes as long as Python does.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque

from .child import HEADER
from .fork_server import RECORD, start_record

SUPPORTED = hasattr(os, "fork") and hasattr(socket, "send_fds")
IDLE_LIMIT = 60.0
"""Seconds that a child stays idle."""

FORK_SERVER_PATIENCE = 3.0
"""Seconds after which a fork server that has not ended a child is taken for one that stands still."""

START = """
import socket, sys
sock = socket.socket(fileno=int(sys.argv[1]))
def read(size):  # Not a byte more: descriptors come with what follows.
    data = b''
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            sys.exit()
        data += more
    return data
import marshal
name, path, loading, sources = marshal.loads(read(int.from_bytes(read(8), 'big')))
sys.path[:] = path
ns = {'__name__': name + '.loading'}
exec(compile(loading, '<creche loading>', 'exec'), ns)
package = ns['load'](name, sources)
package.fork_server.ForkServer(sock).run()
"""


class Child:
    """One child, as the worker sees it. Its socket does not block."""

    def __init__(self, number: int, sock: socket.socket, lifeline: socket.socket,
                 output: int | None) -> None:  # fmt: skip
        self.number = number
        self.sock = sock
        self.lifeline = lifeline
        self.output = output
        self.pid: int | None = None
        self.gone = threading.Event()
        self.status: int | None = None
        self.idle_since = 0.0
        self.received = bytearray()
        self.woken, self.waking = socket.socketpair()
        for each in (sock, self.woken, self.waking):
            each.setblocking(False)

    def wake(self) -> None:
        """Have whoever serves this child look at what has come for it. From any thread."""
        try:
            self.waking.send(b"w")
        except OSError:
            pass  # It is full, or closed: either way nobody sleeps on it.

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal; None if it is not known."""
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)

    def close(self) -> None:
        """Close all that the worker has of the child."""
        for each in (self.sock, self.lifeline, self.woken, self.waking):
            each.close()
        if self.output is not None:
            os.close(self.output)
            self.output = None

    def frames(self) -> list[tuple[bytes, memoryview]]:
        """Take the whole frames out of what was received."""
        found: list[tuple[bytes, memoryview]] = []
        data = self.received
        start = 0
        while len(data) - start >= HEADER.size:
            kind, length = HEADER.unpack_from(data, start)
            end = start + HEADER.size + length
            if len(data) < end:
                break
            found.append((kind, memoryview(bytes(memoryview(data)[start + HEADER.size : end]))))
            start = end
        if start:
            self.received = data[start:]
        return found


class Children:
    """All children of one worker, through its fork server."""

    def __init__(self, package: str, loading: str, sources: dict[str, str]) -> None:
        self._package = package
        self._loading = loading
        self._sources = sources
        self._lock = threading.Lock()
        self._idle: deque[Child] = deque()
        self._known: dict[int, Child] = {}
        self._count = 0
        self._promise = 0
        """Milliseconds that the worker may be silent, 0 if it has not said."""
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._reader: threading.Thread | None = None

    # The fork server

    def start(self) -> None:
        """Start the fork server, unless one is there. Does not wait for it."""
        if SUPPORTED:
            with self._lock:
                self._fork_server()

    def _fork_server(self) -> socket.socket:
        """Return the socket to the fork server, a new one if the old one died. With the lock held."""
        if self._sock is not None:
            return self._sock
        if self._closed:
            raise RuntimeError("the worker is closing")
        import marshal

        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        data = marshal.dumps((self._package, sys.path, self._loading, self._sources))
        ours.sendall(len(data).to_bytes(8, "big") + data + RECORD.pack(b"A", 0, self._promise))
        self._sock = ours
        self._reader = threading.Thread(
            target=self._read, args=(ours, self._process), name="creche fork server", daemon=True
        )
        self._reader.start()
        return ours

    def _read(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """Hear from one fork server until it ends. In a thread of its own."""
        data = b""
        while True:
            try:
                more = sock.recv(4096)
            except OSError:
                more = b""
            if not more:
                break
            data += more
            while len(data) >= RECORD.size:
                letter, number, value = RECORD.unpack_from(data)
                data = data[RECORD.size :]
                self._hear(letter, number, value)
        with self._lock:
            if self._sock is sock:
                self._sock = None
            sock.close()
            orphans, self._known = list(self._known.values()), {}
            self._idle.clear()
        process.wait()
        for child in orphans:  # The lifelines have killed them.
            child.gone.set()
            child.wake()

    def _hear(self, letter: bytes, number: int, value: int) -> None:
        child = self._known.get(number)
        if child is None:
            return
        if letter == b"P":
            child.pid = value
        elif letter == b"G":
            with self._lock:
                self._known.pop(number, None)
                if child in self._idle:
                    self._idle.remove(child)
                    child.close()
            child.status = value if value >= 0 else None
            child.gone.set()
            child.wake()

    def _order(self, letter: bytes, number: int, value: int = 0) -> None:
        with self._lock:
            if self._sock is not None:
                try:
                    self._sock.sendall(RECORD.pack(letter, number, value))
                except OSError:
                    pass  # The reader sees that it is gone.

    def renew(self, seconds: float) -> None:
        """Tell the fork server that the worker is alive; 0 if no promise is needed any more."""
        self._promise = int(seconds * 1000)
        self._order(b"A", 0, self._promise)

    # Children

    def take(self, *, fresh: bool, output: bool) -> Child:
        """Return a child that is idle, or a new one. `output`: what it prints is to be read."""
        if not SUPPORTED:
            raise RuntimeError(
                "the worker's system has no fork(), so it has no children: call the function with "
                "Placement(threads=True)"
            )
        with self._lock:
            if not fresh:
                for child in reversed(self._idle):
                    if (child.output is not None) == output and not child.gone.is_set():
                        self._idle.remove(child)
                        return child
            return self._start_child(output)

    def _start_child(self, output: bool) -> Child:
        server = self._fork_server()
        self._count += 1
        ours, theirs = socket.socketpair()
        near, far = socket.socketpair()
        descriptors = [theirs.fileno(), far.fileno()]
        read_end = write_end = None
        if output:
            read_end, write_end = os.pipe()
            os.set_blocking(read_end, False)
            descriptors.append(write_end)
        child = Child(self._count, ours, near, read_end)
        self._known[child.number] = child
        record, ancillary = start_record(child.number, descriptors, output=output)
        try:
            server.sendmsg([record], ancillary)
        except BaseException:
            del self._known[child.number]
            child.close()
            raise
        finally:
            theirs.close()
            far.close()
            if write_end is not None:
                os.close(write_end)
        return child

    def give_back(self, child: Child) -> None:
        """Keep a child that is idle for the next call."""
        child.idle_since = time.monotonic()
        with self._lock:
            if not self._closed and child.number in self._known:
                self._idle.append(child)
                return
        self.kill(child)
        child.close()

    def terminate(self, child: Child) -> None:
        """Send SIGTERM to the child's group."""
        self._order(b"T", child.number)

    def kill(self, child: Child) -> None:
        """Send SIGKILL to the child's group."""
        self._order(b"K", child.number)

    def wait_until_gone(self, child: Child) -> None:
        """Kill a child, and return when it is gone, whatever the fork server is doing."""
        if not child.gone.is_set():
            self.kill(child)
            if not child.gone.wait(FORK_SERVER_PATIENCE):
                self.replace_fork_server()
                child.gone.wait()

    def replace_fork_server(self) -> None:
        """Kill a fork server that does not answer, and all its children with it."""
        with self._lock:
            process = self._process
            pids = [child.pid for child in self._known.values()]
        for pid in pids:
            try:
                if (
                    pid is not None
                ):  # Not reaped while its parent stands still: the number is its own.
                    os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if process is not None:
            process.kill()  # The reader sees it, and the lifelines.

    def end_idle(self, seconds: float = IDLE_LIMIT) -> None:
        """End the children that were idle for so long."""
        limit = time.monotonic() - seconds
        with self._lock:
            old = [child for child in self._idle if child.idle_since <= limit]
            for child in old:
                self._idle.remove(child)
        for child in old:
            child.close()  # The end of its socket ends it.

    def close(self) -> None:
        """End the fork server and with it every child, and wait for that."""
        with self._lock:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
            sock, reader, process = self._sock, self._reader, self._process
        for child in idle:
            child.close()
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if reader is not None and reader is not threading.current_thread():
            reader.join(FORK_SERVER_PATIENCE)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

"""The thread in the target that answers viewers: it works when every loop is blocked.

Owns the socket, its file, the connections and the thread. Calls into no loop, unless `control` was
allowed and a viewer asks for it.

    closed --serve()--> open --close(), or the end of the process--> closed
                          `--fork, in the child--> closed: it is asked for anew there, or not at all

Rules
-----
* The folder is the user's alone (mode 0700), the socket too (0600), and on Linux the kernel is asked for
  the peer's user: only the same user, or root, is answered.
* Nothing that a viewer does reaches the loops: a viewer that is slow, dies or talks nonsense costs this
  thread a little, and is dropped. An answer that a viewer does not take holds back the next one for it.
* Viewers that ask within `FRESH` seconds get the same snapshot.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from . import control
from .collect import snapshot
from .figures import figures
from .garbage import no_collection
from .lints import log_lints
from .protocol import GarbledError, Request, error, pack_answer, take_request

FRESH = 0.2
"""Seconds for which a snapshot is good enough for another viewer."""
MOST_VIEWERS = 200


def folder() -> Path:
    """Return where the sockets of this user's programs are."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
        return Path(runtime) / "creche"
    return Path("/tmp") / f"creche-{os.getuid()}"  # checked below: it is ours, and closed


def _private_folder() -> Path:
    """Make the folder, or see that nobody else has.

    :raises PermissionError: it is somebody else's, or others may look into it
    """
    path = folder()
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    state = path.lstat()
    if (
        not stat.S_ISDIR(state.st_mode)
        or state.st_uid != os.getuid()
        or stat.S_IMODE(state.st_mode) & 0o077
    ):
        raise PermissionError(
            f"{str(path)!r} is not a folder of yours with mode 0700: remove it, or set "
            f"XDG_RUNTIME_DIR to a folder of your own"
        )
    return path


class _Viewer:
    """One connection."""

    __slots__ = ("buffer", "out", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.out = bytearray()


class Server:
    """The thread and its socket."""

    def __init__(self, path: Path, *, control: bool) -> None:
        self.path = path
        self.control = control
        self._cached: tuple[float, bool, bytes] = (0.0, False, b"")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            before = os.umask(0o177)
            try:
                self._listener.bind(str(path))
            finally:
                os.umask(before)
            self._listener.listen(64)
        except BaseException:
            self._listener.close()
            raise
        self._listener.setblocking(False)
        self._wake, self._awake = socket.socketpair()
        self._pid = os.getpid()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._awake, selectors.EVENT_READ)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="creche insight", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and remove the socket."""
        if self._pid != os.getpid():
            return
        self._closing = True
        with contextlib.suppress(
            OSError
        ):  # It has seen that, and ended, as it attended to a viewer.
            self._wake.send(b"x")
        self._thread.join()
        self._wake.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def forget(self) -> None:
        """Close what a child has of its parent's socket: the file stays the parent's."""
        for key in list(self._selector.get_map().values()):
            fileobj: Any = key.fileobj
            fileobj.close()
        self._selector.close()
        self._wake.close()

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, events in self._selector.select():
                    self._attend(key, events)
        finally:
            for key in list(self._selector.get_map().values()):
                fileobj: Any = key.fileobj
                fileobj.close()
            self._selector.close()

    def _attend(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj is not self._awake:
            viewer: _Viewer = key.data
            try:
                if events & selectors.EVENT_WRITE:
                    self._send(viewer)
                elif not self._receive(viewer):
                    self._drop(viewer)
            except OSError:
                self._drop(viewer)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        # One each for the listener and the wake-up.
        if not _is_ours(sock) or len(self._selector.get_map()) >= MOST_VIEWERS + 2:
            sock.close()
            return
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, _Viewer(sock))

    def _drop(self, viewer: _Viewer) -> None:
        self._selector.unregister(viewer.sock)
        viewer.sock.close()

    def _receive(self, viewer: _Viewer) -> bool:
        data = viewer.sock.recv(65536)
        if not data:
            return False
        viewer.buffer += data
        self._answer_next(viewer)
        return True

    def _answer_next(self, viewer: _Viewer) -> None:
        try:
            request = take_request(viewer.buffer)
        except GarbledError as exc:
            viewer.out += pack_answer(error(str(exc)))
            with contextlib.suppress(OSError):
                viewer.sock.send(viewer.out)
            raise ConnectionAbortedError from None
        if request is not None:
            viewer.out += pack_answer(self._do(request))
            self._send(viewer)

    def _send(self, viewer: _Viewer) -> None:
        with contextlib.suppress(BlockingIOError):
            del viewer.out[: viewer.sock.send(viewer.out)]
        events = selectors.EVENT_WRITE if viewer.out else selectors.EVENT_READ
        self._selector.modify(viewer.sock, events, viewer)
        if not viewer.out and viewer.buffer:
            self._answer_next(viewer)

    # What can be asked for

    def _do(self, request: Request) -> bytes:
        verbs: dict[str, Callable[[dict[str, Any]], bytes]] = {
            "snapshot": self._snapshot,
            "cancel": self._cancel,
            "stop": self._stop,
        }
        verb = verbs.get(request.do)
        if verb is None:
            return error(f"there is no request {request.do!r}; there are {', '.join(verbs)}")
        try:
            return verb(request.options)
        except Exception as exc:
            return error(f"the target could not answer: {exc!r}")

    def _snapshot(self, options: dict[str, Any]) -> bytes:
        stacks = options.get("stacks") is True
        made, had_stacks, body = self._cached
        if monotonic() - made > FRESH or had_stacks != stacks:
            figures.look()
            with no_collection():
                taken = snapshot(stacks=stacks)
                log_lints(taken)
                body = taken.to_json().encode()
                del taken
            self._cached = monotonic(), stacks, body
        return body

    def _cancel(self, options: dict[str, Any]) -> bytes:
        return self._controlled(lambda: control.cancel(options.get("task"), _reason(options)))

    def _stop(self, options: dict[str, Any]) -> bytes:
        return self._controlled(lambda: control.stop(_reason(options), options.get("grace")))

    def _controlled(self, act: Callable[[], dict[str, Any]]) -> bytes:
        if not self.control:
            return error(
                "this program can be looked at, not controlled: it did not call "
                "insight.serve(control=True)"
            )
        try:
            return json.dumps(act()).encode()
        except control.RefusedError as exc:
            return error(str(exc))


def _reason(options: dict[str, Any]) -> str:
    return str(options.get("reason") or "by a viewer")


def _is_ours(sock: socket.socket) -> bool:
    """Tell whether the peer is of this user, or root, as far as the system says."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack("3i", credentials)
    return user in (os.getuid(), 0)


_server: Server | None = None
_lock = threading.Lock()


def serve(*, control: bool = False) -> None:
    """Let viewers of this user ask this process what its tasks do: `creche tree` and the like.

    Opens a UNIX socket in a folder that only this user can enter, and starts a thread that answers. They
    are gone when the process ends. A second call does nothing but change `control`.

    :param control: whether viewers may also cancel tasks and ask the program to stop (`creche cancel`,
        `creche stop`); the reason that they give is logged to `creche.insight`
    :raises NotImplementedError: there are no UNIX sockets here, as on Windows
    :raises PermissionError: the folder for the sockets is somebody else's
    """
    global _server  # noqa: PLW0603  # one for the process
    if not hasattr(socket, "AF_UNIX") or sys.platform == "win32":
        raise NotImplementedError(
            "viewers reach a program by a UNIX socket, which Python does not have on Windows: use "
            "insight.dump_on_signal() and Ctrl-Break, or insight.print_tasks()"
        )
    with _lock:
        if _server is not None:
            _server.control = control
            return
        path = _private_folder() / f"{os.getpid()}.sock"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of a process that had this number and was killed
        _server = Server(path, control=control)


def stop_serving() -> None:
    """Undo `serve()`: end the thread and remove the socket. Does nothing if there is none."""
    global _server
    with _lock:
        server, _server = _server, None
        if server is not None:
            server.close()


def _after_fork() -> None:
    global _server, _lock  # noqa: PLW0603
    server, _server = _server, None
    _lock = threading.Lock()
    if server is not None:
        server.forget()


atexit.register(stop_serving)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def serve_as_environment_says() -> None:
    """Do what `CRECHE_INSIGHT=1` asks for; tell on standard error if that cannot be."""
    try:
        serve()
    except (NotImplementedError, OSError) as exc:
        sys.stderr.write(f"creche: CRECHE_INSIGHT=1 has no effect: {exc}\n")

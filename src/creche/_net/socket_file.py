"""`SocketFile`: the file by which a UNIX socket is found, from its binding to its removal.

Owns the rules for paths of UNIX sockets. Knows no stream and no event loop: the few system calls here
are quick, and wait for nobody.

    bind_to_path --> there --remove--> gone

Rules
-----
* A file that is no socket is never touched. A socket file is replaced only if no socket answers
  there any more: one that does is in use (EADDRINUSE), like a port.
* Only the file that was made here is removed. If another has taken its place, that one stays.
* An abstract address (it begins with a null) has no file, nor has an empty one.
* A socket has its permissions from the first moment, not from a moment later.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from typing import Any, TypeAlias

from .._exceptions import ConnectionFailed
from .._platform import check_there

PathLike: TypeAlias = str | bytes | os.PathLike[Any]


class SocketFile:
    """A socket file made here. Remove it before the socket is closed: until then it is unique."""

    __slots__ = ("identity", "path")

    def __init__(self, path: str | bytes) -> None:
        # The working directory may change. (Only a relative path needs a look at it.)
        self.path = path if os.path.isabs(path) else os.path.abspath(path)
        self.identity = _identity(os.lstat(path))

    def remove(self) -> None:
        """Remove the file, if it is still this one. Never fails: a file left behind does no harm."""
        try:
            if _identity(os.lstat(self.path)) == self.identity:
                os.unlink(self.path)
        except OSError:
            pass


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def unix_address(path: PathLike) -> str | bytes:
    """Return a path as sockets take it.

    :raises TypeError: it is no path
    :raises NotImplementedError: there are no UNIX sockets here
    """
    check_there("sockets")
    if not hasattr(socket, "AF_UNIX"):
        raise NotImplementedError(f"UNIX sockets are not available on {sys.platform}: use TCP")
    address: str | bytes = os.fspath(path)
    return address


def has_file(address: str | bytes) -> bool:
    """Tell whether an address is the path of a file."""
    return os.fsencode(address)[:1] not in (b"", b"\0")


def about(exc: OSError, what: str, address: str | bytes) -> OSError:
    """Return the same error, with what was being done and where."""
    if exc.errno is None:  # Python itself finds that it does not fit into the system's structure
        length = len(os.fsencode(address))
        return OSError(
            errno.ENAMETOOLONG,
            f"{exc}: it has {length} bytes, and systems take about 100; use a shorter one, perhaps "
            f"by changing the working directory, {what} {address!r}",
        )
    return OSError(exc.errno, f"{exc.strerror}, {what} {address!r}")


class SocketNotFound(ConnectionFailed, FileNotFoundError):
    """There is no socket at the path."""


class SocketRefused(ConnectionFailed, ConnectionRefusedError):
    """Nobody listens at the path."""


class SocketDenied(ConnectionFailed, PermissionError):
    """This process may not use the path."""


_FAILURES = {
    errno.ENOENT: SocketNotFound,
    errno.ECONNREFUSED: SocketRefused,
    errno.EACCES: SocketDenied,
}


def connection_failed(exc: OSError, address: str | bytes) -> ConnectionFailed:
    """Return the error of a failed attempt to connect, which keeps the type of the system's."""
    error = about(exc, "connecting to", address)
    return _FAILURES.get(error.errno or 0, ConnectionFailed)(error.errno, error.strerror)


def bind_to_path(sock: socket.socket, address: str | bytes, mode: int | None) -> SocketFile | None:
    """Bind a socket, and return its file, None if its address has none.

    :param mode: the permissions of the file; what the umask leaves if None
    :raises ValueError: there is a mode, and the address has no file
    :raises OSError: the socket cannot be bound there
    """
    if not has_file(address):
        if mode is not None:
            raise ValueError(
                f"mode needs a file, and {address!r} is an abstract address, which has none: leave the "
                "mode out, or give a path"
            )
        _bind(sock, address)
        return None
    _make_room(address, sock.type)
    if mode is not None:
        _narrow(sock, mode)
    _bind(sock, address)
    file = SocketFile(address)
    if mode is not None:
        try:
            os.chmod(address, mode)
        except BaseException:
            file.remove()
            raise
    return file


def _bind(sock: socket.socket, address: str | bytes) -> None:
    try:
        sock.bind(address)
    except OSError as exc:
        raise about(exc, "binding to", address) from exc


def _narrow(sock: socket.socket, mode: int) -> None:
    """Let the file be made with no more permissions than `mode`, where the system can do that."""
    try:
        os.fchmod(sock.fileno(), mode)
    except OSError:
        pass  # the file has those of the umask until it is changed


def _make_room(address: str | bytes, kind: socket.SocketKind) -> None:
    """Remove a socket file that nobody answers at."""
    try:
        status = os.stat(address)
    except (OSError, ValueError):
        return  # nothing is there, or the binding will say what is wrong
    if stat.S_ISSOCK(status.st_mode) and _is_deserted(address, kind):
        os.unlink(address)


def _is_deserted(address: str | bytes, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address)
        except OSError as exc:
            # Any other error means that somebody is there: of another type, too busy, or hidden.
            return exc.errno == errno.ECONNREFUSED
    return False

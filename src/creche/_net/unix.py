"""`connect_unix` and `create_unix_listener`: connections within one machine, by path.

Owns how UNIX stream sockets are made. `unix_stream.py` and `listener.py` have what they do then,
`socket_file.py` the files of sockets.

Rule: a file that was made here goes with its socket, and no other file does.
"""

from __future__ import annotations

import socket
from socket import SocketKind
from typing import Literal, TypeAlias

from .._kernel import current_task
from .._kernel.contract import Kernel
from .listener import DirectSeqpacketListener, DirectUNIXListener, SocketListener
from .socket_file import PathLike, SocketFile, bind_to_path, connection_failed, unix_address
from .unix_stream import DirectSeqpacketStream, DirectUNIXStream, UNIXSocketStream

StreamKind: TypeAlias = Literal[SocketKind.SOCK_STREAM, SocketKind.SOCK_SEQPACKET]

MAX_BACKLOG = 65536
SHORTEST_DELAY, LONGEST_DELAY = 0.001, 0.05
"""Seconds between attempts to connect to a listener whose queue is full: it doubles in between."""


async def connect_unix(
    path: PathLike, kind: StreamKind = SocketKind.SOCK_STREAM
) -> UNIXSocketStream:
    """Connect to a UNIX socket. A checkpoint. Not on Windows.

    If the queue of the listener is full, this waits until there is room.

    :param path: the path of the socket; an abstract address of Linux begins with a null
    :param kind: SOCK_STREAM, or SOCK_SEQPACKET for packets that stay whole
    :raises ConnectionFailed: the connection could not be made, for example because nobody listens
        there. An OSError, also of the type of the system's error, which is its cause.
    :raises ValueError: `kind` is another one
    """
    address = unix_address(path)
    _check_kind(kind)
    task = current_task()
    await task.ready_checkpoint()
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.setblocking(False)
        await _connect(sock, address, task.kernel)
        make = DirectUNIXStream if kind == socket.SOCK_STREAM else DirectSeqpacketStream
        return make(sock, sock.getpeername(), task.kernel)
    except OSError as exc:
        sock.close()
        raise connection_failed(exc, address) from exc
    except BaseException:
        sock.close()
        raise


async def create_unix_listener(
    path: PathLike,
    *,
    mode: int | None = None,
    backlog: int = MAX_BACKLOG,
    kind: StreamKind = SocketKind.SOCK_STREAM,
) -> SocketListener:
    """Listen for connections on a UNIX socket. A checkpoint. Not on Windows.

    The file of the socket is removed when the listener is closed. A socket file that an earlier
    process left behind is replaced; one that somebody listens on is in use.

    :param path: the path of the socket; an abstract address of Linux begins with a null
    :param mode: the permissions of the file, such as 0o600; what the umask leaves if omitted
    :param backlog: how many connections may wait to be accepted, at most 65536; the system may have
        a lower limit
    :param kind: SOCK_STREAM, or SOCK_SEQPACKET for packets that stay whole
    :raises OSError: the path cannot be listened on, for example EADDRINUSE: somebody does already, or
        the file there is no socket
    :raises ValueError: `kind` is another one, or there is a mode for an abstract address
    """
    address = unix_address(path)
    _check_kind(kind)
    task = current_task()
    await task.ready_checkpoint()
    sock = socket.socket(socket.AF_UNIX, kind)
    file: SocketFile | None = None
    try:
        sock.setblocking(False)
        file = bind_to_path(sock, address, mode)
        sock.listen(min(backlog, MAX_BACKLOG))
        make = DirectUNIXListener if kind == socket.SOCK_STREAM else DirectSeqpacketListener
        return make(sock, task.kernel, file)
    except BaseException:
        if file is not None:
            file.remove()
        sock.close()
        raise


def _check_kind(kind: SocketKind) -> None:
    if kind not in (SocketKind.SOCK_STREAM, SocketKind.SOCK_SEQPACKET):
        raise ValueError(f"kind must be SOCK_STREAM or SOCK_SEQPACKET, not {kind!r}")


async def _connect(sock: socket.socket, address: str | bytes, kernel: Kernel) -> None:
    """Connect a non-blocking socket.

    Unlike with TCP this succeeds at once or fails, and the system does not tell when a full queue has
    room: so this tries again later, and then later still.
    """
    delay = SHORTEST_DELAY
    while True:
        try:
            sock.connect(address)
            return
        except BlockingIOError:
            pass
        await kernel.sleep_until(kernel.now() + delay)
        delay = min(delay * 2, LONGEST_DELAY)

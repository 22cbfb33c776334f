"""Connectables: descriptions of how to open a stream, to be opened later.

Owns `TCPConnectable`, `UNIXConnectable` and the reading of what users give in their place
(`as_connectable`). Opens nothing itself: `tcp.py` and `unix.py` do.

Its one rule: an attempt that fails raises ConnectionFailed, whatever the system's error was; that is
the cause.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeGuard, cast

from .._abc.streams import ByteStreamConnectable
from .._exceptions import ConnectionFailed
from .socket_file import PathLike
from .stream import SocketStream
from .unix_stream import UNIXSocketStream


@dataclass
class TCPConnectable(ByteStreamConnectable):
    """Connects to a host and port over TCP.

    :param host: a host name or an IP address
    :param port: the port there
    :raises ValueError: the port is not in 1-65535
    """

    host: str | IPv4Address | IPv6Address
    port: int

    def __post_init__(self) -> None:
        port: Any = self.port
        if not isinstance(port, int):
            raise TypeError(f"port must be a number in 1-65535, not {port!r}")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"TCP port number out of range: must be 1-65535, not {self.port}")

    async def connect(self) -> SocketStream:
        """Connect as `connect_tcp` does. A checkpoint.

        :raises ConnectionFailed: the connection could not be made, or there is no such host
        """
        from .tcp import connect_tcp

        try:
            return await connect_tcp(self.host, self.port)
        except ConnectionFailed:
            raise
        except OSError as exc:
            raise ConnectionFailed(f"error connecting to {self.host}:{self.port}: {exc}") from exc


@dataclass
class UNIXConnectable(ByteStreamConnectable):
    """Connects to a UNIX socket.

    :param path: the path of the socket
    """

    path: PathLike

    async def connect(self) -> UNIXSocketStream:
        """Connect as `connect_unix` does. A checkpoint.

        :raises ConnectionFailed: the connection could not be made
        """
        from .unix import connect_unix

        return await connect_unix(self.path)


def as_connectable(
    remote: ByteStreamConnectable
    | tuple[str | IPv4Address | IPv6Address, int]
    | str
    | bytes
    | os.PathLike[str],
    /,
    *,
    tls: bool = False,
    ssl_context: ssl.SSLContext | None = None,
    tls_hostname: str | None = None,
    tls_standard_compatible: bool = True,
) -> ByteStreamConnectable:
    """Return a connectable for what a program accepts as "where to connect to". Does not wait.

    :param remote: a connectable, which is returned as it is; a host and port, for TCP; or the path
        of a UNIX socket
    :param tls: speak TLS with the host and port, or over the UNIX socket
    :param ssl_context: how to speak TLS; certificates are checked if this is omitted
    :param tls_hostname: the name that the server's certificate must be for; the host's if omitted
    :param tls_standard_compatible: False to close without TLS's closing handshake, as many programs do
    :raises TypeError: `remote` is none of these
    :raises ValueError: the port is not in 1-65535
    """
    if isinstance(remote, ByteStreamConnectable):
        return remote
    connectable: TCPConnectable | UNIXConnectable
    if isinstance(remote, str | bytes | os.PathLike):
        connectable = UNIXConnectable(remote)
    elif _is_host_and_port(remote):
        connectable = TCPConnectable(*remote)
        tls_hostname = tls_hostname or str(remote[0])
    else:
        raise TypeError(
            f"cannot convert {remote!r} to a connectable: give a connectable, a tuple of host and "
            "port, or the path of a UNIX socket"
        )
    if not tls:
        return connectable
    from ..streams.tls import TLSConnectable  # heavy, and seldom needed

    return TLSConnectable(
        connectable,
        hostname=tls_hostname,
        ssl_context=ssl_context,
        standard_compatible=tls_standard_compatible,
    )


def _is_host_and_port(value: Any) -> TypeGuard[tuple[str | IPv4Address | IPv6Address, int]]:
    parts = cast("tuple[Any, ...]", value)
    return isinstance(value, tuple) and len(parts) == 2 and isinstance(parts[1], int)

"""`connect_tcp` and `create_tcp_listener`: from host and port to streams and listeners.

Owns how TCP sockets are made: their options, the local ends, one port for several families.
`eyeballs.py` has the order of addresses, `stream.py` the bytes.

Rules
-----
* A socket that does not become part of the result is closed before the call returns or raises.
* An error says which address it is about, and keeps its number and type.
* On a host without IPv6 that is no error, if IPv4 works.
* TLS is loaded when it is first asked for.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from functools import partial
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from .._abc.resources import aclose_forcefully
from .._hints import Later
from .._kernel import current_kernel, current_task
from .._misuse import check_seconds
from ..streams.stapled import MultiListener
from .addresses import AnyIPAddressFamily, IPAddressType, describe, resolve, say_what
from .arguments import checked_host, checked_port
from .eyeballs import interleave, race
from .listener import DirectSocketListener
from .options import set_where_there
from .stream import DirectSocketStream, SocketStream

if TYPE_CHECKING:
    from ..streams import tls as tls_streams
else:
    tls_streams = Later("creche.streams.tls")  # heavy, and many programs need none

Address: TypeAlias = tuple[socket.AddressFamily, Any]
"""A family and an address in the form that its sockets take."""

WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
MAX_BACKLOG = 65536
PORT_ATTEMPTS = 20
"""How many times to look for a port that is free in every family."""

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


@overload
async def connect_tcp(
    remote_host: IPAddressType,
    remote_port: int,
    *,
    local_host: IPAddressType | None = ...,
    local_port: int | None = ...,
    ssl_context: SSLContext,
    tls: bool = ...,
    tls_standard_compatible: bool = ...,
    tls_hostname: str | None = ...,
    happy_eyeballs_delay: float = ...,
) -> tls_streams.TLSStream: ...


@overload
async def connect_tcp(
    remote_host: IPAddressType,
    remote_port: int,
    *,
    local_host: IPAddressType | None = ...,
    local_port: int | None = ...,
    tls_hostname: str,
    tls: bool = ...,
    ssl_context: SSLContext | None = ...,
    tls_standard_compatible: bool = ...,
    happy_eyeballs_delay: float = ...,
) -> tls_streams.TLSStream: ...


@overload
async def connect_tcp(
    remote_host: IPAddressType,
    remote_port: int,
    *,
    local_host: IPAddressType | None = ...,
    local_port: int | None = ...,
    tls: Literal[True],
    ssl_context: SSLContext | None = ...,
    tls_standard_compatible: bool = ...,
    tls_hostname: str | None = ...,
    happy_eyeballs_delay: float = ...,
) -> tls_streams.TLSStream: ...


@overload
async def connect_tcp(
    remote_host: IPAddressType,
    remote_port: int,
    *,
    local_host: IPAddressType | None = ...,
    local_port: int | None = ...,
    tls: Literal[False] = ...,
    ssl_context: None = ...,
    tls_standard_compatible: bool = ...,
    tls_hostname: None = ...,
    happy_eyeballs_delay: float = ...,
) -> SocketStream: ...


async def connect_tcp(
    remote_host: IPAddressType,
    remote_port: int,
    *,
    local_host: IPAddressType | None = None,
    local_port: int | None = None,
    tls: bool = False,
    ssl_context: SSLContext | None = None,
    tls_standard_compatible: bool = True,
    tls_hostname: str | None = None,
    happy_eyeballs_delay: float = 0.25,
) -> SocketStream | tls_streams.TLSStream:
    """Connect to a host and port over TCP, with TLS if that is asked for. A checkpoint.

    The addresses of a name are tried as RFC 8305 says: in the system's order of preference, IPv6 and
    IPv4 in turn, and the next one as well if the last is slow.
    TCP_NODELAY is set. If it raises, nothing stays open.

    :param remote_host: a host name or an IP address
    :param remote_port: the port there
    :param local_host: the name or address to connect from; any if omitted
    :param local_port: the port to connect from; any free one if omitted
    :param tls: True to do a TLS handshake, and return a `TLSStream`. So does any of the next two
    :param ssl_context: certificates and settings; if omitted, Python's secure defaults
    :param tls_standard_compatible: whether each side must do the closing handshake; False for HTTP and
        similar protocols. See `TLSStream.wrap`
    :param tls_hostname: the name or address that the server's certificate has to be for; if
        omitted, `remote_host`
    :param happy_eyeballs_delay: seconds until the next address is tried as well
    :raises ConnectionFailed: no address could be connected to. An OSError; its cause is the system's
        error for the only address, or a group with an error for each.
    :raises socket.gaierror: there is no such host. An OSError.
    :raises OverflowError: a port is not in 0-65535
    :raises TypeError: an argument is none of what is said here; there is no connection then
    :raises ssl.SSLError: the TLS handshake failed; `ssl.SSLCertVerificationError` if the server's
        certificate is not trusted, or for another host
    :raises BrokenResourceError: the connection was lost during the TLS handshake
    """
    host = checked_host(remote_host, "remote_host")
    port = checked_port(remote_port, "remote_port", needed=True)
    here = checked_host(local_host, "local_host") if local_host is not None else None
    port_here = checked_port(local_port or 0, "local_port")
    check_seconds("connect_tcp", "happy_eyeballs_delay", happy_eyeballs_delay)
    _check_tls(ssl_context, tls_hostname)
    found = await resolve(host, port, type=socket.SOCK_STREAM)
    remotes = interleave(((family, address) for family, _, _, _, address in found), _family)
    locals_ = await _local_ends(here, port_here)
    attempt = partial(_connect, locals_)
    target = f"{host} port {remote_port}"
    sock = await race(remotes, attempt, happy_eyeballs_delay, target)
    try:
        stream = DirectSocketStream(sock, sock.getpeername(), current_kernel())
    except OSError as exc:  # connected, and reset already
        sock.close()
        say_what(exc, f", connecting to {target}")
        raise
    if not (tls or ssl_context or tls_hostname):
        return stream
    return await _secure(stream, tls_hostname or host, ssl_context, tls_standard_compatible)


async def create_tcp_listener(
    *,
    local_host: IPAddressType | None = None,
    local_port: int = 0,
    family: AnyIPAddressFamily = socket.AddressFamily.AF_UNSPEC,
    backlog: int = MAX_BACKLOG,
    reuse_port: bool = False,
) -> MultiListener[SocketStream]:
    """Listen for TCP connections, on every address of a host, with one port for all. A checkpoint.

    :param local_host: the name or address to listen on; every interface if omitted, `0.0.0.0` for
        those of IPv4, `::` for those of IPv6
    :param local_port: the port; if 0 the system chooses one that is free in every family used
    :param family: only addresses of this family
    :param backlog: how many connections may wait to be accepted, at most 65536; the system may have
        a lower limit
    :param reuse_port: let several sockets listen on the same port, which then share the
        connections; not on Windows
    :raises OSError: an address cannot be listened on, for example EADDRINUSE: the port is taken
    :raises socket.gaierror: there is no such host. An OSError.
    :raises ValueError: `reuse_port` where the system does not have it
    :raises OverflowError: the port is not in 0-65535
    """
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError(f"reuse_port is not supported on {sys.platform}: leave it False")
    found = await resolve(
        checked_host(local_host, "local_host") if local_host is not None else None,
        checked_port(local_port, "local_port"),
        family=family,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )
    addresses = list(dict.fromkeys((each[0], each[4]) for each in found))
    sockets = _listen_on_all(addresses, min(backlog, MAX_BACKLOG), reuse_port)
    kernel = current_kernel()
    return MultiListener([DirectSocketListener(sock, kernel) for sock in sockets])


# Connecting


def _family(address: Address) -> socket.AddressFamily:
    return address[0]


def _check_tls(context: Any, hostname: Any) -> None:
    """Raise TypeError for what no handshake could be done with, before there is a connection."""
    if context is not None and not hasattr(context, "wrap_bio"):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {context!r}")
    if hostname is not None and not isinstance(hostname, str):
        raise TypeError(f"tls_hostname must be a str, not {hostname!r}")


async def _local_ends(host: str | None, port: Any) -> dict[socket.AddressFamily, Any] | None:
    """Return the address to bind to for each family, None if any will do."""
    if host is None:
        return {family: (text, port) for family, text in WILDCARDS.items()} if port else None
    found = await resolve(host, port, type=socket.SOCK_STREAM)
    return {family: address for family, _, _, _, address in reversed(found)}


async def _connect(
    locals_: dict[socket.AddressFamily, Any] | None, remote: Address
) -> socket.socket:
    """Connect a new socket to one address. An attempt of the race."""
    family, address = remote
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if locals_ is not None:
                _bind_local_end(sock, locals_)
            await _finish(sock, address)
        except BaseException:
            sock.close()
            raise
    except OSError as exc:
        say_what(exc, f", connecting to {describe(address)}")
        raise
    return sock


def _bind_local_end(sock: socket.socket, locals_: dict[socket.AddressFamily, Any]) -> None:
    try:
        address = locals_[sock.family]
    except KeyError:
        raise OSError(
            errno.EADDRNOTAVAIL, f"the local host has no address of family {sock.family.name}"
        ) from None
    if address[1] and os.name == "posix":
        # Attempts of one race bind to the same port.
        set_where_there(sock, "SOL_SOCKET", "SO_REUSEADDR")
    try:
        sock.bind(address)
    except OSError as exc:
        say_what(exc, f", binding to {describe(address)}")
        raise


async def _finish(sock: socket.socket, address: Any) -> None:
    """Connect a non-blocking socket, and wait for the outcome."""
    try:
        sock.connect(address)
        return
    except BlockingIOError:
        pass
    watch = current_task().kernel.watch(sock)
    try:
        await watch.when_writable(partial(_outcome, sock))
    finally:
        watch.close()


def _outcome(sock: socket.socket) -> None:
    """Return if the socket is connected; raise BlockingIOError while it is not known."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
    try:
        sock.getpeername()
    except OSError as exc:
        if exc.errno == errno.ENOTCONN:
            raise BlockingIOError from None
        raise


async def _secure(
    stream: DirectSocketStream, hostname: str, context: SSLContext | None, compatible: bool
) -> tls_streams.TLSStream:
    """Do the client's TLS handshake; close the stream if it fails."""
    from ..streams.tls import TLSStream  # heavy, and many programs need none

    try:
        return await TLSStream.wrap(
            stream,
            server_side=False,
            hostname=hostname,
            ssl_context=context,
            standard_compatible=compatible,
        )
    except BaseException:
        await aclose_forcefully(stream)
        raise


# Listening


def _listen_on_all(addresses: list[Address], backlog: int, reuse_port: bool) -> list[socket.socket]:
    """Return a listening socket for each address, all on one port."""
    for _ in range(PORT_ATTEMPTS):
        sockets: list[socket.socket] = []
        try:
            _listen_in_turn(sockets, addresses, backlog, reuse_port)
        except BaseException as exc:
            chance = sockets and not addresses[0][1][1]  # a port that we did not have to take
            for sock in sockets:
                sock.close()
            if not (chance and isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE):
                raise
        else:
            return sockets
    raise OSError(
        errno.EADDRINUSE,
        f"Could not create {len(addresses)} listeners with a consistent port: each of "
        f"{PORT_ATTEMPTS} ports that were free in one family was taken in another; "
        "choose a port, or a family",
    )


def _listen_in_turn(
    sockets: list[socket.socket], addresses: list[Address], backlog: int, reuse_port: bool
) -> None:
    """Add a listening socket for each address to `sockets`; the first that needs one finds a port.

    An address whose family the machine does not have is passed over if another one works.
    """
    missing: OSError | None = None
    for family, wanted in addresses:
        address = wanted
        if sockets:
            address = (wanted[0], sockets[0].getsockname()[1], *wanted[2:])
        try:
            sockets.append(_listen(family, address, backlog, reuse_port))
        except OSError as exc:
            if family != socket.AF_INET6 or exc.errno not in _NO_IPV6:
                raise
            missing = exc
    if missing is not None and not sockets:
        raise missing


def _listen(
    family: socket.AddressFamily, address: Any, backlog: int, reuse_port: bool
) -> socket.socket:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            exclusive = sys.platform == "win32"  # where SO_REUSEADDR lets anybody in
            set_where_there(
                sock, "SOL_SOCKET", "SO_EXCLUSIVEADDRUSE" if exclusive else "SO_REUSEADDR"
            )
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                set_where_there(sock, "IPPROTO_IPV6", "IPV6_V6ONLY")
            sock.bind(address)
            sock.listen(backlog)
        except BaseException:
            sock.close()
            raise
    except OSError as exc:
        say_what(exc, f", listening on {describe(address)}")
        raise
    return sock

"""Names to addresses and back, and the forms in which addresses are written.

Owns `getaddrinfo` and `getnameinfo`, the encoding of host names, and the types and texts of
addresses. Knows no stream and opens no socket.

Rules
-----
* A numeric host with a numeric port is resolved at once. For anything else the system's resolver is
  asked, in a thread, because it blocks.
* Inside Creche an address is the tuple that `socket` made, scope id and all (`resolve`). Users get
  `(host, port)`, the scope id as a suffix of the host (`public_address`).
* ASCII names go to the resolver as they are. Others are encoded by IDNA 2008 (`_idna.py`), not
  by IDNA 2003, which is what Python itself knows.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from socket import AddressFamily, SocketKind
from typing import Any, Literal, TypeAlias, TypeVar, cast

from .._idna import ascii_name
from .._kernel import current_task
from .._threads.calls import run_sync
from .arguments import checked_port

T = TypeVar("T")

IPAddressType: TypeAlias = str | IPv4Address | IPv6Address
"""A host name, or an address as text or as an object of the `ipaddress` module."""
IPSockAddrType: TypeAlias = tuple[str, int]
"""An address and a port."""
SockAddrType: TypeAlias = IPSockAddrType | str
"""An address and a port, or the path of a UNIX socket."""
AnyIPAddressFamily: TypeAlias = Literal[
    AddressFamily.AF_UNSPEC, AddressFamily.AF_INET, AddressFamily.AF_INET6
]
"""IPv4, IPv6, or either of them."""

INTERNET = frozenset((AddressFamily.AF_INET, AddressFamily.AF_INET6))

Resolved: TypeAlias = tuple[AddressFamily, SocketKind, int, str, Any]
"""One answer of the resolver: family, type, protocol, canonical name, address."""


def public_address(address: Any) -> Any:
    """Return an address of the socket module as users see it: IPv6 as `(host, port)` too.

    The path of a UNIX socket is a str, also that of an abstract one, which begins with a null.
    """
    if not isinstance(address, tuple):
        return os.fsdecode(address) if isinstance(address, bytes) else address
    host, port, *rest = cast("Any", address)
    if len(rest) == 2 and rest[1] and "%" not in host:
        host = f"{host}%{rest[1]}"
    return host, port


def describe(address: Any) -> str:
    """Return an address as messages show it: `127.0.0.1 port 80`."""
    shown = public_address(address)
    return f"{shown[0]} port {shown[1]}" if isinstance(shown, tuple) else repr(shown)


def say_what(exc: OSError, what: str) -> None:
    """Add to the system's error what was being done; the caller raises it again.

    A new error would have the old one as its context, and the traceback would show everything twice.
    """
    exc.strerror = f"{exc.strerror or exc}{what}"
    if exc.errno is not None:
        exc.args = (exc.errno, exc.strerror)
    else:
        exc.args = (exc.strerror,)


def encode_host(host: str) -> bytes:
    """Return a host name as the resolver wants it.

    :raises socket.gaierror: there is no such international host name
    """
    try:
        return ascii_name(host).encode()
    except ValueError as exc:
        raise socket.gaierror(socket.EAI_NONAME, str(exc)) from exc


async def resolve(
    host: bytes | str | None,
    port: str | int | None,
    *,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[Resolved]:
    """Look up the addresses of a host, in the form that sockets take. A checkpoint."""
    if isinstance(host, str):
        host = encode_host(host)
    port = checked_port(port)
    if not isinstance(port, str):
        try:
            found: list[Any] = socket.getaddrinfo(
                host, port, family, type, proto, flags | socket.AI_NUMERICHOST
            )
        except socket.gaierror:
            pass  # not an address, then a name
        else:
            await current_task().ready_checkpoint()
            return found
    look_up: Callable[[], list[Any]] = partial(
        socket.getaddrinfo, host, port, family, type, proto, flags
    )
    return await _ask_resolver(look_up, f"host {_text(host)!r}, port {port!r}")


async def getaddrinfo(
    host: bytes | str | None,
    port: str | int | None,
    *,
    family: int | AddressFamily = 0,
    type: int | SocketKind = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[AddressFamily, SocketKind, int, str, tuple[str, int]]]:
    """Look up the addresses of a host. A checkpoint; names are resolved in a thread.

    International names are encoded by IDNA 2008 (RFC 5891).

    :param host: a name, an address as text, or None for the wildcard or loopback addresses
    :param port: a number or the name of a service
    :param family: only addresses of this family (`AF_INET`, `AF_INET6`)
    :param type: only addresses for this type of socket (`SOCK_STREAM`, `SOCK_DGRAM`)
    :param proto: only addresses for this protocol
    :param flags: `AI_*` flags of `socket.getaddrinfo`
    :return: tuples of family, type, protocol, canonical name and `(host, port)`, for IPv6 as well,
        in the order of preference of the system (RFC 6724)
    :raises socket.gaierror: there is no such name or service. An OSError.
    :raises OverflowError: the port is not in 0-65535
    """
    found = await resolve(host, port, family=family, type=type, proto=proto, flags=flags)
    return [(*each[:4], public_address(each[4])) for each in found]


async def getnameinfo(sockaddr: IPSockAddrType, flags: int = 0) -> tuple[str, str]:
    """Look up the host name and service of an address. A checkpoint.

    :param sockaddr: an address, as text, and a port
    :param flags: `NI_*` flags of `socket.getnameinfo`. With both NI_NUMERICHOST and NI_NUMERICSERV
        there is nothing to look up, and no thread is used.
    :return: the name of the host and the name of the service; the numbers, as text, where they have
        no name
    :raises socket.gaierror: the address is not valid, or it has no name and NI_NAMEREQD was given
    """
    look_up = partial(socket.getnameinfo, sockaddr, flags)
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    if flags & numeric == numeric:
        await current_task().ready_checkpoint()
        return look_up()
    return await _ask_resolver(look_up, f"address {sockaddr!r}")


async def _ask_resolver(look_up: Callable[[], T], what: str) -> T:
    try:
        return await run_sync(look_up, abandon_on_cancel=True)
    except socket.gaierror as exc:
        hint = "; give the port as a number" if exc.errno == socket.EAI_SERVICE else ""
        say_what(exc, f" ({what}){hint}")
        raise


def _text(host: bytes | None) -> str | None:
    return host.decode(errors="backslashreplace") if host is not None else None

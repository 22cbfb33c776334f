"""What is given as a host, a port or a datagram: taken as it is meant, or refused by its name.

Knows no socket. What opens or sends something asks here before it does the first part of it; what costs on
the way of every datagram is looked at only when the system has refused it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from operator import index
from typing import Any

from .._misuse import check_bytes
from .._platform import check_there

_NO_HOSTS = (bytes, bytearray, memoryview, int, float, tuple, list, type(None))
"""What would become the name of a host that does not exist, or another one, as text."""


def checked_host(host: Any, name: str) -> str:
    """Return a host as text.

    :param name: what the argument is called
    :raises TypeError: it is no host
    """
    if not isinstance(host, str | IPv4Address | IPv6Address) and isinstance(host, _NO_HOSTS):
        raise TypeError(
            f"{name} must be the name of a host or an IP address, such as 'localhost', not {_said(host)}"
        )
    return str(host)


def checked_port(port: Any, name: str = "port", *, needed: bool = False) -> Any:
    """Return a port: a number, or the name of a service. A number given as text becomes an int.

    The resolver would take a number that is too large modulo 65536.

    :param name: what the argument is called
    :param needed: whether None is no port
    :raises TypeError: it is neither
    :raises OverflowError: it is not in 0-65535
    :raises NotImplementedError: there are no sockets here
    """
    check_there("sockets")
    if isinstance(port, str) and port.isdecimal():
        port = int(port)
    elif not isinstance(port, str | bytes) and (needed or port is not None):
        try:
            port = index(port)
        except TypeError:
            raise TypeError(f"{name} must be a number in 0-65535, not {_said(port)}") from None
    if isinstance(port, int) and not 0 <= port <= 65535:
        raise OverflowError(f"{name} must be 0-65535, not {port}")
    return port


def explain_packet(data: Any, port: Any) -> None:
    """Raise TypeError that names what is wrong with a datagram that the system has refused."""
    check_bytes("send", data, "")
    if not isinstance(port, int):
        raise TypeError(f"the port that a datagram goes to must be a number, not {_said(port)}")


def no_packet(item: Any, shape: str) -> TypeError:
    """Return the error for an item that is no pair of bytes and an address."""
    hint = ": for bytes to one peer create a connected socket" if _is_text(item) else ""
    return TypeError(f"expected an item {shape}, not {_said(item)}{hint}")


def _is_text(item: Any) -> bool:
    return isinstance(item, str | bytes | bytearray | memoryview)


def _said(value: Any) -> str:
    return f"{type(value).__name__} {repr(value)[:60]}" if value is not None else "None"

"""Free ports: `FreePortFactory`, and the fixtures around it, which all plugins share."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest


class FreePortFactory:
    """Finds free ports on the local host, never the same one twice.

    Another process can take a port before the test does.

    :param kind: `SOCK_STREAM` for TCP, `SOCK_DGRAM` for UDP
    """

    def __init__(self, kind: socket.SocketKind) -> None:
        self._kind = kind
        self._given = set[int]()

    @property
    def kind(self) -> socket.SocketKind:
        """`SOCK_STREAM` for TCP, `SOCK_DGRAM` for UDP."""
        return self._kind

    def __call__(self, family: socket.AddressFamily | None = None) -> int:
        """Return a port that is free.

        :param family: for this family of addresses, `AF_INET` or `AF_INET6`; None for both, on systems
            that have both
        """
        families = [family] if family is not None else [socket.AF_INET, *_with_ipv6()]
        while True:
            port = self._find(families)
            if port is not None and port not in self._given:
                self._given.add(port)
                return port

    def _find(self, families: list[socket.AddressFamily]) -> int | None:
        """Return a port that is free in all the families; None if the first family's was not."""
        port = 0
        with ExitStack() as stack:
            for number, family in enumerate(families):
                sock = stack.enter_context(socket.socket(family, self._kind))
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
                try:
                    sock.bind((host, port))
                except OSError:
                    if not number:
                        raise
                    return None
                port = sock.getsockname()[1]
        return port


def _with_ipv6() -> list[socket.AddressFamily]:
    if not socket.has_ipv6:
        return []
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return []
    return [socket.AF_INET6]


@pytest.fixture(scope="session")
def free_tcp_port_factory() -> FreePortFactory:
    """A function that returns a free TCP port, another one each time."""
    return FreePortFactory(socket.SOCK_STREAM)


@pytest.fixture(scope="session")
def free_udp_port_factory() -> FreePortFactory:
    """A function that returns a free UDP port, another one each time."""
    return FreePortFactory(socket.SOCK_DGRAM)


@pytest.fixture
def free_tcp_port(free_tcp_port_factory: Callable[[], int]) -> int:
    """A free TCP port."""
    return free_tcp_port_factory()


@pytest.fixture
def free_udp_port(free_udp_port_factory: Callable[[], int]) -> int:
    """A free UDP port."""
    return free_udp_port_factory()

"""`from_socket` of datagram sockets and UNIX streams: what they take, and whose it is then.

`test_adopted_sockets.py` says the same of TCP.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from _ends import LOOPBACK, raw
from _paths import folder, path

from creche import NoEventLoopError, connect_unix
from creche.abc import (
    ConnectedUDPSocket,
    ConnectedUNIXDatagramSocket,
    SocketAttribute,
    SocketListener,
    UDPSocket,
    UNIXDatagramSocket,
    UNIXSocketStream,
)

__all__ = ["folder", "path"]

STREAM, DATAGRAM, UNIX = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.AF_UNIX
CLASSES: list[Any] = [
    UDPSocket,
    ConnectedUDPSocket,
    UNIXSocketStream,
    UNIXDatagramSocket,
    ConnectedUNIXDatagramSocket,
]
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


class Sockets(ExitStack):
    """Makes sockets that are closed at the end of the block, unless they were handed on."""

    def plain(self, family: int, kind: int, bound: Any = None) -> socket.socket:
        sock = self.enter_context(socket.socket(family, kind))
        if bound is not None:
            sock.bind(bound)
        return sock

    def pair(self, kind: int) -> socket.socket:
        """One of two connected UNIX sockets."""
        left, right = socket.socketpair(UNIX, kind)
        self.enter_context(right)
        return self.enter_context(left)


async def refused(cls: Any, sock: Any, error: type[Exception], words: str) -> None:
    """The socket, and its descriptor, are refused and left as they were."""
    for given in (sock, sock.fileno()) if isinstance(sock, socket.socket) else (sock,):
        with pytest.raises(error, match=re.escape(words)):
            await cls.from_socket(given)
    if isinstance(sock, socket.socket):
        assert sock.getblocking()
        os.fstat(sock.fileno())  # raises if it was closed


@each_class
async def test_only_sockets_and_descriptors_are_taken(cls: Any) -> None:
    await refused(cls, "text", TypeError, "expected an int or socket, got str instead")
    reading, writing = os.pipe()
    try:
        words = "the file descriptor does not refer to a socket"
        await refused(cls, reading, ValueError, words)
        os.fstat(reading)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("cls", [ConnectedUDPSocket, UNIXSocketStream, ConnectedUNIXDatagramSocket])
async def test_connected_classes_take_connected_sockets_only(cls: Any) -> None:
    with Sockets() as sockets:
        for family, kind in ((socket.AF_INET, DATAGRAM), (UNIX, DATAGRAM), (UNIX, STREAM)):
            sock = sockets.plain(family, kind)
            await refused(cls, sock, ValueError, "the socket must be connected")


async def test_a_udp_socket_has_to_be_bound() -> None:
    words = "the socket must be bound to a local address"
    with Sockets() as sockets:
        await refused(UDPSocket, sockets.plain(socket.AF_INET, DATAGRAM), ValueError, words)


async def test_the_type_has_to_be_the_right_one() -> None:
    words = "socket type mismatch: expected SOCK_{}, got SOCK_{}"
    with Sockets() as sockets:
        tcp = sockets.plain(socket.AF_INET, STREAM, (LOOPBACK, 0))
        await refused(UDPSocket, tcp, ValueError, words.format("DGRAM", "STREAM"))
        stream, datagram = sockets.pair(STREAM), sockets.pair(DATAGRAM)
        packets = sockets.pair(socket.SOCK_SEQPACKET)
        for cls in (ConnectedUDPSocket, UNIXDatagramSocket, ConnectedUNIXDatagramSocket):
            await refused(cls, stream, ValueError, words.format("DGRAM", "STREAM"))
            await refused(cls, packets, ValueError, words.format("DGRAM", "SEQPACKET"))
        await refused(UNIXSocketStream, datagram, ValueError, words.format("STREAM", "DGRAM"))


async def test_the_family_has_to_be_the_right_one(path: Path) -> None:
    words = "address family mismatch: expected {}, got {}"
    with Sockets() as sockets:
        udp = sockets.plain(socket.AF_INET, DATAGRAM)
        udp.connect((LOOPBACK, 9))
        for cls in (UNIXSocketStream, UNIXDatagramSocket, ConnectedUNIXDatagramSocket):
            await refused(cls, udp, ValueError, words.format("AF_UNIX", "AF_INET"))
        bound = sockets.plain(UNIX, DATAGRAM, str(path))
        text = words.format("AF_INET or AF_INET6", "AF_UNIX")
        await refused(UDPSocket, bound, ValueError, text)


@pytest.mark.parametrize("as_descriptor", [False, True])
async def test_udp_sockets_are_taken_over(as_descriptor: bool) -> None:
    with Sockets() as sockets:
        server = sockets.plain(socket.AF_INET, DATAGRAM, (LOOPBACK, 0))
        client = sockets.plain(socket.AF_INET, DATAGRAM)
        client.connect(server.getsockname())
        address = client.getsockname()
        given: list[Any] = [server, client]
        if as_descriptor:
            given = [server.detach(), client.detach()]
        async with (
            await UDPSocket.from_socket(given[0]) as one,
            await ConnectedUDPSocket.from_socket(given[1]) as other,
        ):
            await other.send(b"ping")
            assert await one.receive() == (b"ping", address)
            await one.sendto(b"pong", *address)
            assert await other.receive() == b"pong"
            there = one.extra(SocketAttribute.local_address)
            assert other.extra(SocketAttribute.remote_address) == there
        assert raw(one).fileno() == raw(other).fileno() == -1


@pytest.mark.parametrize("as_descriptor", [False, True])
async def test_unix_datagram_sockets_are_taken_over_and_their_files_stay(
    folder: Path, as_descriptor: bool
) -> None:
    here, there = str(folder / "here"), str(folder / "there")
    with Sockets() as sockets:
        server = sockets.plain(UNIX, DATAGRAM, here)
        client = sockets.plain(UNIX, DATAGRAM, there)
        client.connect(here)
        given: list[Any] = [server, client]
        if as_descriptor:
            given = [server.detach(), client.detach()]
        async with (
            await UNIXDatagramSocket.from_socket(given[0]) as one,
            await ConnectedUNIXDatagramSocket.from_socket(given[1]) as other,
        ):
            await other.send(b"ping")
            assert await one.receive() == (b"ping", there)
            await one.sendto(b"pong", there)
            assert await other.receive() == b"pong"
        assert raw(one).fileno() == raw(other).fileno() == -1
    assert sorted(os.listdir(folder)) == ["here", "there"]


async def test_a_unix_datagram_socket_need_not_be_bound() -> None:
    sock = socket.socket(UNIX, DATAGRAM)
    async with await UNIXDatagramSocket.from_socket(sock) as adopted:
        assert adopted.extra(SocketAttribute.local_address) == ""


async def test_a_unix_listener_is_taken_over_and_accepts_unix_streams(path: Path) -> None:
    sock = socket.socket(UNIX, STREAM)
    sock.bind(str(path))
    sock.listen()
    async with await SocketListener.from_socket(sock) as listener:
        async with await connect_unix(path) as client, await listener.accept() as server:
            assert isinstance(server, UNIXSocketStream)
            await client.send_fds(b"x", [0])
            _, fds = await server.receive_fds(1, 1)
            os.close(fds[0])


@each_class
def test_an_event_loop_has_to_run(cls: Any) -> None:
    with Sockets() as sockets:
        sock = sockets.plain(socket.AF_INET, DATAGRAM, (LOOPBACK, 0))
        with pytest.raises(NoEventLoopError):
            cls.from_socket(sock).send(None)
        assert sock.getblocking()

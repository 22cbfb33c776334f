"""`from_socket`: what a socket has to be, and whose it is before and after."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from _ends import LOOPBACK, raw

from creche.abc import SocketAttribute, SocketListener, SocketStream


@pytest.fixture
def unix_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


async def refused(cls: Any, sock_or_fd: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        await cls.from_socket(sock_or_fd)


@pytest.mark.parametrize("cls", [SocketStream, SocketListener])
async def test_only_sockets_and_descriptors_are_taken(cls: Any) -> None:
    await refused(cls, "text", TypeError, "expected an int or socket, got str instead")


@pytest.mark.parametrize("cls", [SocketStream, SocketListener])
async def test_a_descriptor_that_is_no_socket_is_refused(cls: Any) -> None:
    reading, writing = os.pipe()
    try:
        words = "the file descriptor does not refer to a socket"
        await refused(cls, reading, ValueError, words)
        os.fstat(reading)  # raises if it was closed
    finally:
        os.close(reading)
        os.close(writing)


async def test_a_stream_s_socket_must_be_connected() -> None:
    with socket.socket() as sock:
        await refused(SocketStream, sock, ValueError, "the socket must be connected")
        await refused(SocketStream, sock.fileno(), ValueError, "the socket must be connected")
        assert sock.getblocking()
        sock.bind((LOOPBACK, 0))  # raises if it was closed


async def test_a_listener_s_socket_must_be_bound() -> None:
    with socket.socket() as sock, socket.socket(socket.AF_UNIX) as unix_sock:
        await refused(SocketListener, sock, ValueError, "the socket must be bound")
        await refused(SocketListener, unix_sock, ValueError, "the socket must be bound")


async def test_the_socket_must_be_of_the_right_type() -> None:
    words = "socket type mismatch: expected SOCK_STREAM, got SOCK_DGRAM"
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        sock.connect(sock.getsockname())
        await refused(SocketStream, sock, ValueError, words)
        await refused(SocketListener, sock, ValueError, words)


async def test_a_connected_socket_becomes_a_stream_that_owns_it(
    unix_pair: tuple[socket.socket, socket.socket],
) -> None:
    left, right = unix_pair
    async with await SocketStream.from_socket(left) as stream:
        assert raw(stream) is left
        assert stream.extra(SocketAttribute.family) is socket.AF_UNIX
        assert stream.extra(SocketAttribute.remote_address) == ""
        assert stream.extra(SocketAttribute.local_port, None) is None
        right.send(b"hello")
        assert await stream.receive() == b"hello"
    assert left.fileno() == -1


async def test_a_descriptor_becomes_a_stream_that_owns_it(
    unix_pair: tuple[socket.socket, socket.socket],
) -> None:
    left, right = unix_pair
    async with await SocketStream.from_socket(left.detach()) as stream:
        await stream.send(b"hello")
        assert right.recv(10) == b"hello"
        await stream.send_eof()
        assert right.recv(10) == b""


async def test_a_listening_socket_becomes_a_listener() -> None:
    sock = socket.create_server((LOOPBACK, 0))
    async with await SocketListener.from_socket(sock) as listener:
        with socket.create_connection(sock.getsockname()) as client:
            async with await listener.accept() as stream:
                client.send(b"hello")
                assert await stream.receive() == b"hello"
    assert sock.fileno() == -1

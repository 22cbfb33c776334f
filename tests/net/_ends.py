"""Connected streams for the tests of this folder, and the ways to be unkind to them."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from creche import EndOfStream, TypedAttributeProvider, connect_tcp, create_tcp_listener
from creche.abc import ByteReceiveStream, SocketAttribute, SocketListener, SocketStream
from creche.streams.stapled import MultiListener

LOOPBACK = "127.0.0.1"


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = _has_ipv6()
LOOPBACKS = [LOOPBACK, "::1"] if HAS_IPV6 else [LOOPBACK]
needs_ipv6 = pytest.mark.ipv6  # see conftest.py


async def accept(listener: MultiListener[SocketStream]) -> SocketStream:
    first = listener.listeners[0]
    assert isinstance(first, SocketListener)
    return await first.accept()


@asynccontextmanager
async def connected(host: str = LOOPBACK) -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    """Both ends of one TCP connection, closed at the end of the block."""
    async with await create_tcp_listener(local_host=host) as listener:
        client = await connect_tcp(host, listener.extra(SocketAttribute.local_port))
        server = await accept(listener)
    async with client, server:
        yield client, server


def raw(stream: TypedAttributeProvider) -> socket.socket:
    return stream.extra(SocketAttribute.raw_socket)


async def reset(stream: SocketStream) -> None:
    """Close so that the peer gets a reset instead of an end."""
    raw(stream).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()


def small_buffer(sender: SocketStream) -> None:
    """Keep the system from taking megabytes off a sender's hands."""
    # The receiver's stays: a window below the loopback's 64 KiB segments makes TCP crawl.
    raw(sender).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)


async def receive_all(stream: ByteReceiveStream) -> bytes:
    """Everything until the end of the stream."""
    return b"".join([chunk async for chunk in stream])


async def receive_exactly(stream: ByteReceiveStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive(size - len(data))
    return data


async def echo(stream: SocketStream) -> None:
    """Send back what comes, until the peer is done."""
    async with stream:
        try:
            while True:
                await stream.send(await stream.receive())
        except EndOfStream:
            pass


@contextmanager
def black_hole(host: str) -> Iterator[int]:
    """A port on `host` where connecting neither succeeds nor fails: its queue is full."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind((host, 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener.getsockname()[1]


def free_port(host: str = LOOPBACK) -> int:
    """A port of `host` on which nobody listens."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port

"""Sockets that outlive their event loop, as those of a pool do when a program calls `run` twice.

Whoever looks at such a socket finds it closed, and connects anew; whoever waits on it hears so at once.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _ends import LOOPBACK

from _harness import Backend
from creche import (
    ClosedResourceError,
    connect_tcp,
    connect_unix,
    create_connected_udp_socket,
    create_tcp_listener,
    create_udp_socket,
    create_unix_listener,
    fail_after,
)
from creche.abc import SocketAttribute, SocketStream


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A listening socket of the system's, of no event loop."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield listener


@pytest.fixture
def left_behind(backend: Backend, server: socket.socket) -> Iterator[SocketStream]:
    """A stream that was in use, and is idle now, as in a pool; its loop has ended."""

    async def use() -> SocketStream:
        stream = await connect_tcp(LOOPBACK, server.getsockname()[1])
        peer, _ = server.accept()
        peers.append(peer)
        await stream.send(b"question")
        peer.send(b"answer")
        assert await stream.receive() == b"answer"
        return stream

    peers: list[socket.socket] = []
    yield backend.run(use)
    peers[0].close()


def test_its_raw_socket_counts_as_closed(backend: Backend, left_behind: SocketStream) -> None:
    async def look() -> int:
        return left_behind.extra(SocketAttribute.raw_socket).fileno()

    assert backend.run(look) == -1
    backend.run(left_behind.aclose)


def test_its_raw_socket_counts_as_closed_outside_of_loops_too(
    backend: Backend, left_behind: SocketStream
) -> None:
    assert left_behind.extra(SocketAttribute.raw_socket).fileno() == -1
    assert left_behind.extra(SocketAttribute.remote_address, None) is not None
    backend.run(left_behind.aclose)


def test_it_can_be_closed(backend: Backend, left_behind: SocketStream) -> None:
    backend.run(left_behind.aclose)
    assert left_behind.extra(SocketAttribute.raw_socket).fileno() == -1


def test_who_waits_on_it_hears_that_its_loop_has_ended(
    backend: Backend, left_behind: SocketStream
) -> None:
    async def wait() -> None:
        with fail_after(5), pytest.raises(ClosedResourceError, match="loop that has ended"):
            await left_behind.receive()
        with fail_after(5), pytest.raises(ClosedResourceError, match="loop that has ended"):
            await left_behind.send(bytes(16 << 20))
        await left_behind.aclose()

    backend.run(wait)


async def test_a_socket_of_the_running_loop_is_as_open_as_ever(server: socket.socket) -> None:
    async with await connect_tcp(LOOPBACK, server.getsockname()[1]) as stream:
        assert stream.extra(SocketAttribute.raw_socket).fileno() >= 0
        assert stream.extra(SocketAttribute.local_port)


async def listen(_: Path) -> Any:
    return (await create_tcp_listener(local_host=LOOPBACK)).listeners[0]


async def listen_at_a_path(folder: Path) -> Any:
    return await create_unix_listener(folder / "socket")


async def open_udp(_: Path) -> Any:
    return await create_udp_socket(local_host=LOOPBACK)


async def connect_udp(_: Path) -> Any:
    return await create_connected_udp_socket(LOOPBACK, 9)


async def connect_to_a_path(folder: Path) -> Any:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "stream"))
        listener.listen()
        stream = await connect_unix(folder / "stream")
        kept.append(listener.accept()[0])
        return stream


kept: list[socket.socket] = []


@pytest.mark.parametrize(
    "make", [listen, listen_at_a_path, open_udp, connect_udp, connect_to_a_path]
)
def test_every_kind_of_socket_says_so(
    backend: Backend, make: Callable[[Path], Awaitable[Any]], tmp_path: Path
) -> None:
    async def use() -> None:
        wait = left.accept if hasattr(left, "accept") else left.receive
        with fail_after(5), pytest.raises(ClosedResourceError, match="loop that has ended"):
            await wait()
        assert left.extra(SocketAttribute.raw_socket).fileno() == -1
        await left.aclose()

    async def start() -> Any:
        return await make(tmp_path)

    left = backend.run(start)
    backend.run(use)
    while kept:
        kept.pop().close()


def test_one_that_is_dropped_is_no_trouble_to_the_next_loop(
    backend: Backend, server: socket.socket
) -> None:
    async def leave() -> Any:
        return await connect_tcp(LOOPBACK, server.getsockname()[1])

    async def drop() -> None:
        left.clear()
        gc.collect()

    left = [backend.run(leave)]
    with pytest.warns(ResourceWarning, match="unclosed"):
        backend.run(drop)

"""UNIX streams: bytes, packets, ways to write a path, and what goes wrong with it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from _ends import echo, receive_all, receive_exactly, small_buffer
from _paths import abstract_name, folder, path

from _harness import cancel_at_each_checkpoint
from creche import (
    BrokenResourceError,
    BusyResourceError,
    CancelScope,
    ClosedResourceError,
    ConnectionFailed,
    EndOfStream,
    aclose_forcefully,
    connect_unix,
    create_task_group,
    create_unix_listener,
    wait_all_tasks_blocked,
)
from creche.abc import SocketAttribute, SocketListener, UNIXSocketStream

__all__ = ["folder", "path"]

LARGE = bytes(range(256)) * 16384  # 4 MiB
STREAM: Any = socket.SOCK_STREAM
SEQPACKET: Any = socket.SOCK_SEQPACKET
both_kinds = pytest.mark.parametrize("kind", [STREAM, SEQPACKET], ids=["stream", "seqpacket"])


@asynccontextmanager
async def connected(
    path: Any, kind: Any = STREAM
) -> AsyncIterator[tuple[UNIXSocketStream, UNIXSocketStream]]:
    async with await create_unix_listener(path, kind=kind) as listener:
        async with await connect_unix(path, kind) as client:
            async with await listener.accept() as server:
                assert isinstance(server, UNIXSocketStream)
                yield client, server


@pytest.mark.parametrize("form", [str, bytes, Path], ids=["str", "bytes", "Path"])
async def test_a_path_can_be_text_bytes_or_a_path_object(path: Path, form: Any) -> None:
    async with connected(form(path)) as (client, server):
        await client.send(b"hello")
        assert await server.receive() == b"hello"
        assert client.extra(SocketAttribute.remote_address) == str(path)
        assert server.extra(SocketAttribute.local_address) == str(path)


@pytest.mark.parametrize("form", [str, os.fsencode], ids=["str", "bytes"])
async def test_an_abstract_name_needs_no_file(form: Callable[[str], Any]) -> None:
    name = abstract_name()
    async with connected(form(name)) as (client, server):
        await server.send(b"hello")
        assert await client.receive() == b"hello"
        assert client.extra(SocketAttribute.remote_address) == name
    async with connected(name):
        pass  # the name is free again


@both_kinds
async def test_the_attributes_of_a_stream_and_its_listener(path: Path, kind: Any) -> None:
    async with await create_unix_listener(path, kind=kind) as listener:
        assert isinstance(listener, SocketListener)
        assert listener.extra(SocketAttribute.family) is socket.AF_UNIX
        assert listener.extra(SocketAttribute.local_address) == str(path)
        assert listener.extra(SocketAttribute.raw_socket).type == kind
        for key in (SocketAttribute.local_port, SocketAttribute.remote_address):
            assert listener.extra(key, None) is None
        async with await connect_unix(path, kind) as client, await listener.accept() as server:
            assert client.extra(SocketAttribute.local_address) == ""
            assert server.extra(SocketAttribute.remote_address) == ""
            assert client.extra(SocketAttribute.remote_port, None) is None


async def test_many_clients_are_served(path: Path) -> None:
    async def talk(number: int) -> None:
        async with await connect_unix(path) as stream:
            message = b"%d" % number * 1000
            await stream.send(message)
            assert await receive_exactly(stream, len(message)) == message

    async with await create_unix_listener(path) as listener, create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with create_task_group() as clients:
            for number in range(20):
                clients.start_soon(talk, number)
        group.cancel_scope.cancel()


async def test_a_large_send_waits_for_a_slow_reader_and_arrives_whole(path: Path) -> None:
    async with connected(path) as (client, server), create_task_group() as group:
        small_buffer(client)
        group.start_soon(client.send, LARGE)
        await wait_all_tasks_blocked()
        assert await receive_exactly(server, len(LARGE)) == LARGE
        await client.send_eof()
        await server.send(b"answer")
        assert await client.receive() == b"answer"
        assert await receive_all(server) == b""


@both_kinds
async def test_a_peer_that_is_gone_ends_receiving_and_breaks_sending(path: Path, kind: Any) -> None:
    async with connected(path, kind) as (client, server):
        await server.aclose()
        with pytest.raises(EndOfStream):
            await client.receive()
        with pytest.raises(BrokenResourceError) as caught:
            await client.send(b"x")
        assert isinstance(caught.value.__cause__, BrokenPipeError)


async def test_closing_with_unread_bytes_resets_the_peer(path: Path) -> None:
    async with connected(path) as (client, server):
        await client.send(b"unread")
        await server.aclose()
        with pytest.raises(BrokenResourceError) as caught:
            await client.receive()
        assert isinstance(caught.value.__cause__, ConnectionResetError)


@both_kinds
async def test_every_call_on_a_closed_stream_is_refused_but_aclose(path: Path, kind: Any) -> None:
    async with connected(path, kind) as (client, _server):
        await client.aclose()
        await client.aclose()
        calls: list[tuple[str, Any]] = [
            ("receive", ()),
            ("send", (b"x",)),
            ("send", (b"",)),
            ("send_eof", ()),
            ("send_fds", (b"x", [0])),
            ("receive_fds", (1, 1)),
        ]
        for name, args in calls:
            with pytest.raises(ClosedResourceError):
                await getattr(client, name)(*args)


async def test_closing_wakes_tasks_that_wait_on_the_stream(path: Path) -> None:
    async def fails(call: Any, *args: Any) -> None:
        with pytest.raises(ClosedResourceError):
            await call(*args)

    async with connected(path) as (client, _server), create_task_group() as group:
        group.start_soon(fails, client.receive_fds, 1, 1)
        group.start_soon(fails, client.send, LARGE)
        await wait_all_tasks_blocked()
        readers: list[Any] = [(client.receive, ()), (client.receive_fds, (1, 1))]
        for call, args in readers:
            with pytest.raises(BusyResourceError, match="already reading from"):
                await call(*args)
        writers: list[Any] = [(client.send, (b"x",)), (client.send_fds, (b"x", [0]))]
        for call, args in writers:
            with pytest.raises(BusyResourceError, match="already writing to"):
                await call(*args)
        await aclose_forcefully(client)


# Packets


async def test_packets_keep_their_boundaries(path: Path) -> None:
    async with connected(path, SEQPACKET) as (client, server):
        for packet in (b"one", b"two", b"three"):
            await client.send(packet)
        assert [await server.receive() for _ in range(3)] == [b"one", b"two", b"three"]


async def test_the_rest_of_a_packet_that_is_read_in_part_is_lost(path: Path) -> None:
    async with connected(path, SEQPACKET) as (client, server):
        await client.send(b"three")
        await client.send(b"next")
        assert await server.receive(2) == b"th"
        assert await server.receive() == b"next"


async def test_an_empty_packet_is_not_sent_for_it_would_look_like_the_end(path: Path) -> None:
    async with connected(path, SEQPACKET) as (client, server):
        await client.send(b"")
        await client.send(b"x")
        assert await server.receive() == b"x"
        await client.send_eof()
        with pytest.raises(EndOfStream):
            await server.receive()
        with pytest.raises(ClosedResourceError):
            await client.send(b"")


async def test_a_packet_that_is_too_large_is_refused_and_the_stream_goes_on(path: Path) -> None:
    async with connected(path, SEQPACKET) as (client, server):
        with pytest.raises(BrokenResourceError, match="too large") as caught:
            await client.send(LARGE)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.EMSGSIZE
        await client.send(b"fits")
        assert await server.receive() == b"fits"


async def test_a_sender_of_packets_waits_for_a_slow_reader(path: Path) -> None:
    packets = [bytes([number]) * 1000 for number in range(250)]

    async def send(stream: UNIXSocketStream) -> None:
        for packet in packets:
            await stream.send(packet)

    async with connected(path, SEQPACKET) as (client, server), create_task_group() as group:
        sender = group.start_soon(send, client)
        await wait_all_tasks_blocked()
        assert sender.status is type(sender).Status.PENDING
        assert [await server.receive() for _ in packets] == packets


# Connecting


async def test_a_path_without_a_socket_is_an_error_of_both_types(path: Path) -> None:
    with pytest.raises(ConnectionFailed, match=str(path)) as caught:
        await connect_unix(path)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.errno == errno.ENOENT
    assert isinstance(caught.value.__cause__, FileNotFoundError)


async def test_a_path_where_nobody_listens_is_an_error_of_both_types(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        with pytest.raises(ConnectionFailed) as caught:
            await connect_unix(path)
    assert isinstance(caught.value, ConnectionRefusedError)


async def test_a_path_that_is_too_long_is_an_error_that_tells_its_length(folder: Path) -> None:
    path = folder / ("x" * 150)
    calls: list[Any] = [connect_unix, create_unix_listener]
    for call in calls:
        with pytest.raises(OSError, match=r"AF_UNIX path too long: it has \d+ bytes") as caught:
            await call(path)
        assert caught.value.errno == errno.ENAMETOOLONG


@pytest.mark.parametrize("call", [connect_unix, create_unix_listener])
async def test_what_is_no_path_or_no_kind_is_refused(call: Any, path: Path) -> None:
    with pytest.raises(TypeError, match="int"):
        await call(3)
    with pytest.raises(ValueError, match="SOCK_STREAM or SOCK_SEQPACKET"):
        await call(path, kind=socket.SOCK_DGRAM)
    assert not path.exists()


async def test_a_socket_of_another_kind_cannot_be_connected_to(path: Path) -> None:
    async with await create_unix_listener(path):
        with pytest.raises(ConnectionFailed) as caught:
            await connect_unix(path, SEQPACKET)
        assert caught.value.errno == errno.EPROTOTYPE


async def test_connecting_waits_for_room_in_the_queue_of_the_listener(path: Path) -> None:
    def count(streams: list[UNIXSocketStream]) -> int:
        return len(streams)

    clients: list[UNIXSocketStream] = []

    async def connect() -> None:
        clients.append(await connect_unix(path))

    async with await create_unix_listener(path, backlog=0) as listener:
        async with create_task_group() as group:
            group.start_soon(connect)
            await wait_all_tasks_blocked()
            assert count(clients) == 1
            late = group.start_soon(connect)
            await wait_all_tasks_blocked()
            assert late.status is type(late).Status.PENDING
            await (await listener.accept()).aclose()
        await (await listener.accept()).aclose()
    assert count(clients) == 2
    for client in clients:
        await client.aclose()


# Cancelling


@both_kinds
async def test_a_cancel_at_any_checkpoint_leaves_neither_descriptor_nor_file(
    folder: Path, path: Path, kind: Any
) -> None:
    async def talk() -> None:
        async with await create_unix_listener(path, kind=kind, mode=0o600) as listener:
            async with await connect_unix(path, kind) as client, await listener.accept() as server:
                assert isinstance(server, UNIXSocketStream)
                await client.send(b"ping")
                await server.receive()
                await server.send_fds(b"pong", [0])
                _, fds = await client.receive_fds(10, 1)
                os.close(fds[0])
                async with create_task_group() as group:
                    group.start_soon(client.send, b"later")
                    await server.receive()
                await client.send_eof()

    files = lambda: os.listdir(folder)  # noqa: E731  # short for once
    assert await cancel_at_each_checkpoint(talk, files=files) >= 10


async def test_closing_a_listener_in_a_cancelled_scope_closes_and_removes(path: Path) -> None:
    listener = await create_unix_listener(path)
    with CancelScope() as scope:
        scope.cancel()
        await listener.aclose()
    assert scope.cancelled_caught
    assert not path.exists()
    with pytest.raises(ClosedResourceError):
        await listener.accept()

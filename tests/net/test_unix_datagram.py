"""UNIX datagram sockets: datagrams and paths, a slow receiver, and the ways to fail."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from _ends import raw
from _paths import abstract_name, folder, path

from _harness import cancel_at_each_checkpoint, cpu_time, open_descriptors
from creche import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    ConnectionFailed,
    aclose_forcefully,
    create_connected_unix_datagram_socket,
    create_task_group,
    create_unix_datagram_socket,
    move_on_after,
    sleep,
    wait_all_tasks_blocked,
)
from creche.abc import (
    ConnectedUNIXDatagramSocket,
    SocketAttribute,
    UNIXDatagramSocket,
)

__all__ = ["folder", "path"]

NAMELESS: Any = None  # the path of a sender that has none


@pytest.mark.parametrize("form", [str, bytes, Path], ids=["str", "bytes", "Path"])
async def test_a_datagram_arrives_with_its_sender_s_path_and_can_be_answered(
    folder: Path, form: Any
) -> None:
    here, there = folder / "here", folder / "there"
    async with await create_unix_datagram_socket(local_path=form(here)) as server:
        async with await create_connected_unix_datagram_socket(
            form(here), local_path=form(there)
        ) as client:
            await client.send(b"ping")
            assert await server.receive() == (b"ping", str(there))
            await server.sendto(b"pong", str(there))
            assert await client.receive() == b"pong"
            await server.send((b"again", str(there)))
            assert await client.receive() == b"again"


async def test_abstract_names_work_in_both_directions() -> None:
    here, there = abstract_name(), abstract_name()
    async with (
        await create_unix_datagram_socket(local_path=here) as one,
        await create_unix_datagram_socket(local_path=there) as other,
    ):
        await one.sendto(b"ping", there)
        data, sender = await other.receive()
        assert (data, sender) == (b"ping", here)
        await other.sendto(b"pong", sender)
        assert await one.receive() == (b"pong", there)


async def test_a_sender_without_a_path_is_none(path: Path) -> None:
    async with (
        await create_unix_datagram_socket(local_path=path) as server,
        await create_unix_datagram_socket() as nameless,
        await create_connected_unix_datagram_socket(path) as client,
    ):
        await nameless.sendto(b"one", str(path))
        await client.send(b"two")
        assert await server.receive() == (b"one", NAMELESS)
        assert await server.receive() == (b"two", NAMELESS)
        assert nameless.extra(SocketAttribute.local_address) == ""


async def test_boundaries_are_kept_also_of_large_and_empty_datagrams(path: Path) -> None:
    messages = [b"", b"x", bytes(100_000), bytes(200_000)]
    async with (
        await create_unix_datagram_socket(local_path=path) as server,
        await create_connected_unix_datagram_socket(path) as client,
    ):
        for message in messages:
            async with create_task_group() as group:
                group.start_soon(client.send, message)
                assert (await server.receive())[0] == message


async def test_the_attributes_of_both_kinds(folder: Path, path: Path) -> None:
    async with await create_unix_datagram_socket(local_path=path) as server:
        assert server.extra(SocketAttribute.family) is socket.AF_UNIX
        assert server.extra(SocketAttribute.local_address) == str(path)
        for key in (SocketAttribute.local_port, SocketAttribute.remote_address):
            assert server.extra(key, None) is None
        async with await create_connected_unix_datagram_socket(path) as client:
            assert client.extra(SocketAttribute.remote_address) == str(path)
            assert client.extra(SocketAttribute.local_address) == ""
            assert client.extra(SocketAttribute.remote_port, None) is None
            assert client.extra(SocketAttribute.raw_socket) is raw(client)


async def test_senders_wait_for_a_slow_receiver_and_nothing_is_lost(path: Path) -> None:
    async def send(sock: Any, name: bytes) -> None:
        for number in range(100):
            item = name + b"%d" % number
            await (sock.sendto(item, str(path)) if name == b"u" else sock.send(item))

    async with (
        await create_unix_datagram_socket(local_path=path) as server,
        await create_unix_datagram_socket() as unconnected,
        await create_connected_unix_datagram_socket(path) as connected,
        create_task_group() as group,
    ):
        group.start_soon(send, unconnected, b"u")
        group.start_soon(send, connected, b"c")
        await wait_all_tasks_blocked()
        got = [(await server.receive())[0] for _ in range(200)]
        for name in (b"u", b"c"):
            assert [each for each in got if each[:1] == name] == [
                name + b"%d" % number for number in range(100)
            ]


async def test_a_sender_that_waits_for_a_slow_receiver_burns_no_cpu(path: Path) -> None:
    async def send(sock: UNIXDatagramSocket) -> None:
        while True:
            await sock.sendto(b"x", str(path))

    async with (
        await create_unix_datagram_socket(local_path=path),
        await create_unix_datagram_socket() as sender,
        create_task_group() as group,
    ):
        group.start_soon(send, sender)
        await wait_all_tasks_blocked()
        with cpu_time() as measured:
            await sleep(0.2)
        assert measured.cpu < 0.05
        group.cancel_scope.cancel()


async def test_a_second_sender_is_refused_and_closing_wakes_the_first(path: Path) -> None:
    async def send(sock: UNIXDatagramSocket) -> None:
        with pytest.raises(ClosedResourceError):
            while True:
                await sock.sendto(b"x", str(path))

    async with (
        await create_unix_datagram_socket(local_path=path),
        await create_unix_datagram_socket() as sender,
        create_task_group() as group,
    ):
        group.start_soon(send, sender)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already writing to"):
            await sender.sendto(b"y", str(path))
        await aclose_forcefully(sender)


async def test_a_sender_whose_receiver_goes_away_is_told(path: Path) -> None:
    async def send(sock: UNIXDatagramSocket) -> None:
        with pytest.raises(BrokenResourceError) as caught:
            while True:
                await sock.sendto(b"x", str(path))
        assert isinstance(caught.value.__cause__, OSError)

    server = await create_unix_datagram_socket(local_path=path)
    async with await create_unix_datagram_socket() as sender, create_task_group() as group:
        group.start_soon(send, sender)
        await wait_all_tasks_blocked()
        await server.aclose()


async def test_a_path_where_nobody_receives_is_an_error(path: Path) -> None:
    with pytest.raises(ConnectionFailed, match=str(path)) as caught:
        await create_connected_unix_datagram_socket(path)
    assert isinstance(caught.value, FileNotFoundError)
    async with await create_unix_datagram_socket() as sock:
        with pytest.raises(BrokenResourceError) as broken:
            await sock.sendto(b"x", str(path))
        assert isinstance(broken.value.__cause__, FileNotFoundError)
        assert str(path) in str(broken.value)


async def test_a_failed_connection_leaves_no_file(folder: Path, path: Path) -> None:
    with pytest.raises(ConnectionFailed):
        await create_connected_unix_datagram_socket(folder / "nobody", local_path=path)
    assert os.listdir(folder) == []


async def test_a_peer_that_is_gone_breaks_sending(path: Path) -> None:
    server = await create_unix_datagram_socket(local_path=path)
    async with await create_connected_unix_datagram_socket(path) as client:
        await server.aclose()
        with pytest.raises(BrokenResourceError) as caught:
            await client.send(b"x")
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_a_datagram_that_is_too_large_is_refused_and_the_socket_goes_on(path: Path) -> None:
    large = bytes(10_000_000)
    async with (
        await create_unix_datagram_socket(local_path=path) as server,
        await create_connected_unix_datagram_socket(path) as client,
    ):
        for attempt in (client.send(large), server.sendto(large, str(path))):
            with pytest.raises(BrokenResourceError, match="too large") as caught:
                await attempt
            assert isinstance(caught.value.__cause__, OSError)
            assert caught.value.__cause__.errno == errno.EMSGSIZE
        await client.send(b"fits")
        assert (await server.receive())[0] == b"fits"


async def test_paths_that_are_too_long_are_errors_that_tell_so(folder: Path) -> None:
    long = folder / ("x" * 150)
    with pytest.raises(OSError, match="AF_UNIX path too long") as caught:
        await create_unix_datagram_socket(local_path=long)
    assert caught.value.errno == errno.ENAMETOOLONG
    with pytest.raises(ConnectionFailed, match="AF_UNIX path too long"):
        await create_connected_unix_datagram_socket(long)
    async with await create_unix_datagram_socket() as sock:
        with pytest.raises(BrokenResourceError, match="AF_UNIX path too long"):
            await sock.sendto(b"x", str(long))


async def test_every_call_on_a_closed_socket_is_refused_but_aclose(path: Path) -> None:
    server = await create_unix_datagram_socket(local_path=path)
    client = await create_connected_unix_datagram_socket(path)
    sockets: list[UNIXDatagramSocket | ConnectedUNIXDatagramSocket] = [client, server]
    for sock in sockets:
        await sock.aclose()
        await sock.aclose()
        with pytest.raises(ClosedResourceError):
            await sock.receive()
    with pytest.raises(ClosedResourceError):
        await client.send(b"x")
    with pytest.raises(ClosedResourceError):
        await server.sendto(b"x", str(path))


async def test_closing_wakes_a_receiver_and_a_cancelled_one_takes_nothing(path: Path) -> None:
    async def receive(sock: UNIXDatagramSocket) -> None:
        with pytest.raises(ClosedResourceError):
            await sock.receive()

    async with await create_unix_datagram_socket(local_path=path) as server:
        with move_on_after(0):
            await server.receive()
        await server.sendto(b"to myself", str(path))
        assert await server.receive() == (b"to myself", str(path))
        async with create_task_group() as group:
            group.start_soon(receive, server)
            await wait_all_tasks_blocked()
            with pytest.raises(BusyResourceError, match="already reading from"):
                await server.receive()
            await server.aclose()


async def test_a_cancel_at_any_checkpoint_leaves_neither_descriptor_nor_file(
    folder: Path, path: Path
) -> None:
    async def talk() -> None:
        async with await create_unix_datagram_socket(local_path=path) as server:
            async with await create_connected_unix_datagram_socket(
                path, local_path=folder / "client", local_mode=0o600
            ) as client:
                await client.send(b"ping")
                _, sender = await server.receive()
                await server.sendto(b"pong", sender)
                await client.receive()
                async with create_task_group() as group:
                    for _ in range(10):
                        await client.send(b"more")
                    group.start_soon(client.send, b"waits")
                    await server.receive()

    assert await cancel_at_each_checkpoint(talk, files=lambda: os.listdir(folder)) >= 10


async def test_a_cancel_while_waiting_for_a_slow_receiver_leaves_no_descriptor(path: Path) -> None:
    async with (
        await create_unix_datagram_socket(local_path=path) as server,
        await create_unix_datagram_socket() as sender,
    ):

        async def flood() -> None:
            while True:
                await sender.sendto(b"x", str(path))

        before = open_descriptors()
        for _ in range(3):
            async with create_task_group() as group:
                group.start_soon(flood)
                await wait_all_tasks_blocked()
                assert open_descriptors() != before
                group.cancel_scope.cancel()
            assert open_descriptors() == before
        assert await server.receive() == (b"x", NAMELESS)
        await sender.sendto(b"last", str(path))

"""Checkpoints counted where bytes move: sockets, TLS, buffers, files, processes, threads and portals.

The bytes are there already, so that nothing has to wait: others get their turn all the same.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path as SyncPath
from tempfile import mkdtemp
from typing import Any

import pytest
import trustme
from _turns import LEAST, TIMES, Maker, Opened, Operation, turns_of_another

import creche
from creche import CancelScope, create_task_group
from creche.abc import SocketAttribute, SocketListener
from creche.from_thread import BlockingPortal
from creche.streams.buffered import BufferedByteStream
from creche.streams.file import FileReadStream, FileWriteStream
from creche.streams.text import TextStream
from creche.streams.tls import TLSStream

HERE = "127.0.0.1"
FEW = 20


def folder(opened: Opened) -> SyncPath:
    path = SyncPath(mkdtemp())

    def remove() -> None:
        for inner in path.iterdir():
            inner.unlink()
        path.rmdir()

    opened.callback(remove)
    return path


def both(sender: Any, receiver: Any, item: Any = b"x") -> Operation:
    async def operate() -> None:
        await sender.send(item)
        assert await receiver.receive()

    return operate


# Sockets


async def listening(opened: Opened) -> SocketListener:
    listener = await opened.enter_async_context(await creche.create_tcp_listener(local_host=HERE))
    first = listener.listeners[0]
    assert isinstance(first, SocketListener)
    return first


async def tcp(opened: Opened) -> tuple[Any, Any]:
    listener = await listening(opened)
    port = listener.extra(SocketAttribute.local_port)
    client = await opened.enter_async_context(await creche.connect_tcp(HERE, port))
    return client, await opened.enter_async_context(await listener.accept())


async def a_send_and_a_receive_over_tcp(opened: Opened) -> Operation:
    return both(*await tcp(opened))


async def receives_alone_over_tcp(opened: Opened) -> Operation:
    client, server = await tcp(opened)
    await client.send(bytes(2 * TIMES))

    async def operate() -> None:
        assert await server.receive(1)

    return operate


async def sends_that_the_peer_takes_in_one(opened: Opened) -> Operation:
    """What a send costs counts its bytes: so many are a good half of a megabyte."""
    client, server = await tcp(opened)
    data = bytes(5000)
    sock = server.extra(SocketAttribute.raw_socket)

    async def operate() -> None:
        await client.send(data)
        with suppress(BlockingIOError):
            sock.recv(1 << 20)

    return operate


async def a_connection_that_waits(opened: Opened) -> Operation:
    listener = await listening(opened)
    port = listener.extra(SocketAttribute.local_port)

    async def operate() -> None:
        with socket.create_connection((HERE, port)):
            accepted = await listener.accept()
            accepted.extra(SocketAttribute.raw_socket).close()

    return operate


async def a_second_aclose_of_a_socket(opened: Opened) -> Operation:
    client, _ = await tcp(opened)
    await client.aclose()
    closing: Operation = client.aclose
    return closing


async def datagrams_of_a_connected_socket(opened: Opened) -> Operation:
    first = await opened.enter_async_context(await creche.create_udp_socket(local_host=HERE))
    port = first.extra(SocketAttribute.local_port)
    second = await opened.enter_async_context(await creche.create_connected_udp_socket(HERE, port))
    return both(second, first)


async def datagrams(opened: Opened) -> Operation:
    first = await opened.enter_async_context(await creche.create_udp_socket(local_host=HERE))
    second = await opened.enter_async_context(await creche.create_udp_socket(local_host=HERE))
    port = first.extra(SocketAttribute.local_port)

    async def operate() -> None:
        await second.sendto(b"x", HERE, port)
        await first.receive()

    return operate


async def unix(opened: Opened) -> tuple[Any, Any]:
    path = folder(opened) / "socket"
    listener = await opened.enter_async_context(await creche.create_unix_listener(path))
    client = await opened.enter_async_context(await creche.connect_unix(path))
    first: Any = listener
    return client, await opened.enter_async_context(await first.accept())


async def a_send_and_a_receive_over_unix(opened: Opened) -> Operation:
    return both(*await unix(opened))


async def descriptors(opened: Opened) -> Operation:
    client, server = await unix(opened)
    end = os.open(os.devnull, os.O_RDONLY)
    opened.callback(os.close, end)

    async def operate() -> None:
        await client.send_fds(b"x", [end])
        _, (sent,) = await server.receive_fds(1, 1)
        os.close(sent)

    return operate


async def datagrams_over_unix(opened: Opened) -> Operation:
    path = str(folder(opened) / "socket")
    create = creche.create_unix_datagram_socket
    first = await opened.enter_async_context(await create(local_path=path))
    connect = creche.create_connected_unix_datagram_socket
    second = await opened.enter_async_context(await connect(path))
    return both(second, first)


async def a_descriptor_that_is_readable(opened: Opened) -> Operation:
    client, server = await tcp(opened)
    await client.send(b"x")
    sock = server.extra(SocketAttribute.raw_socket)
    return lambda: creche.wait_readable(sock)


async def a_descriptor_that_is_writable(opened: Opened) -> Operation:
    client, _ = await tcp(opened)
    sock = client.extra(SocketAttribute.raw_socket)
    return lambda: creche.wait_writable(sock)


async def the_address_of_a_number(opened: Opened) -> Operation:
    return lambda: creche.getaddrinfo(HERE, 80)


# Streams around others


async def tls(opened: Opened) -> tuple[TLSStream, TLSStream]:
    client, server = await tcp(opened)
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert(HERE).configure_cert(theirs)
    authority.configure_trust(ours)
    plain: dict[str, Any] = {"standard_compatible": False}
    async with create_task_group() as tg:
        wrap = TLSStream.wrap(server, server_side=True, ssl_context=theirs, **plain)
        accepted = tg.create_task(wrap)
        connected = await TLSStream.wrap(client, hostname=HERE, ssl_context=ours, **plain)
    return connected, accepted.return_value


async def a_send_and_a_receive_over_tls(opened: Opened) -> Operation:
    return both(*await tls(opened))


async def what_a_tls_stream_has_decrypted(opened: Opened) -> Operation:
    client, server = await tls(opened)
    await client.send(bytes(2 * TIMES))

    async def operate() -> None:
        assert await server.receive(1)

    return operate


async def buffered(opened: Opened) -> tuple[Any, BufferedByteStream]:
    client, server = await tcp(opened)
    return client, BufferedByteStream(server)


async def what_is_in_a_buffer(opened: Opened) -> Operation:
    _, stream = await buffered(opened)
    stream.feed_data(bytes(2 * TIMES))
    return lambda: stream.receive(1)


async def exactly_what_is_in_a_buffer(opened: Opened) -> Operation:
    _, stream = await buffered(opened)
    stream.feed_data(bytes(4 * TIMES))
    return lambda: stream.receive_exactly(2)


async def lines_in_a_buffer(opened: Opened) -> Operation:
    _, stream = await buffered(opened)
    stream.feed_data(b"x\n" * 2 * TIMES)
    return lambda: stream.receive_until(b"\n", 10)


async def text_over_tcp(opened: Opened) -> Operation:
    client, server = await tcp(opened)
    return both(TextStream(client), TextStream(server), "ü")


# Files


async def the_lines_of_a_file(opened: Opened) -> Operation:
    path = folder(opened) / "file"
    path.write_text("line\n" * 2 * TIMES)
    file = await opened.enter_async_context(await creche.open_file(path))
    return lambda: anext(file)


async def a_write_to_a_file(opened: Opened) -> Operation:
    path = folder(opened) / "file"
    file = await opened.enter_async_context(await creche.open_file(path, "w"))
    return lambda: file.write("x")


async def a_second_aclose_of_a_file(opened: Opened) -> Operation:
    path = folder(opened) / "file"
    file = await creche.open_file(path, "w")
    await file.aclose()
    return file.aclose


async def a_second_aclose_of_a_file_stream(opened: Opened) -> Operation:
    stream = await FileWriteStream.from_path(folder(opened) / "file")
    await stream.aclose()
    closing: Operation = stream.aclose
    return closing


async def the_name_of_a_number(opened: Opened) -> Operation:
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    return lambda: creche.getnameinfo((HERE, 80), flags)


async def a_temporary_file_in_memory(opened: Opened) -> Operation:
    file = creche.SpooledTemporaryFile[bytes]()
    await opened.enter_async_context(file)
    return lambda: file.write(b"x")


async def a_question_about_a_path(opened: Opened) -> Operation:
    return creche.Path(folder(opened)).exists


async def the_entries_of_a_folder(opened: Opened) -> Operation:
    path = folder(opened)
    for number in range(FEW):
        (path / str(number)).touch()

    async def operate() -> None:
        assert len([entry async for entry in creche.Path(path).iterdir()]) == FEW

    return operate


async def a_file_as_a_stream(opened: Opened) -> Operation:
    path = folder(opened) / "file"
    writing = await opened.enter_async_context(await FileWriteStream.from_path(path))
    await writing.send(bytes(2 * TIMES))
    reading = await opened.enter_async_context(await FileReadStream.from_path(path))

    async def operate() -> None:
        await writing.send(b"x")
        await reading.tell()

    return operate


# Processes and threads


async def a_process(opened: Opened, code: str) -> Any:
    return await opened.enter_async_context(
        await creche.open_process([sys.executable, "-S", "-c", code])
    )


async def the_wait_for_an_ended_process(opened: Opened) -> Operation:
    process = await a_process(opened, "")
    await process.wait()
    waiting: Operation = process.wait
    return waiting


async def what_a_process_has_written(opened: Opened) -> Operation:
    process = await a_process(opened, f"print('x' * {2 * TIMES})")
    await process.wait()
    return lambda: process.stdout.receive(1)


async def what_is_written_to_a_process(opened: Opened) -> Operation:
    process = await a_process(opened, "import sys; sys.stdin.read()")
    return lambda: process.stdin.send(b"x")


async def a_portal_that_was_stopped(opened: Opened) -> Operation:
    portal = await opened.enter_async_context(BlockingPortal())
    await portal.stop()
    return portal.sleep_until_stopped


ALWAYS = (
    a_descriptor_that_is_readable, a_descriptor_that_is_writable, the_lines_of_a_file, a_write_to_a_file,
    a_question_about_a_path, the_entries_of_a_folder, a_file_as_a_stream,
)  # fmt: skip
IN_THEIR_TURN = (
    a_send_and_a_receive_over_tcp, receives_alone_over_tcp, sends_that_the_peer_takes_in_one, a_connection_that_waits,
    a_second_aclose_of_a_socket, datagrams_of_a_connected_socket, datagrams, a_send_and_a_receive_over_unix,
    descriptors, datagrams_over_unix, the_address_of_a_number, a_send_and_a_receive_over_tls,
    what_a_tls_stream_has_decrypted, what_is_in_a_buffer, exactly_what_is_in_a_buffer, lines_in_a_buffer,
    text_over_tcp, the_name_of_a_number, a_second_aclose_of_a_file, a_second_aclose_of_a_file_stream,
    a_temporary_file_in_memory, the_wait_for_an_ended_process,
    what_a_process_has_written, what_is_written_to_a_process, a_portal_that_was_stopped,
)  # fmt: skip
# They close all the same: what is closed in a cancelled scope is closed.
CLOSING = (a_second_aclose_of_a_socket, a_second_aclose_of_a_file, a_second_aclose_of_a_file_stream)


@pytest.mark.parametrize("make", ALWAYS, ids=lambda make: make.__name__)
async def test_what_waits_for_a_thread_or_the_system_lets_others_run_each_time(make: Maker) -> None:
    async with Opened() as opened:
        assert await turns_of_another(await make(opened), FEW) >= FEW - 1


@pytest.mark.parametrize("make", IN_THEIR_TURN, ids=lambda make: make.__name__)
async def test_what_is_ready_lets_others_run_when_its_budget_is_spent(make: Maker) -> None:
    async with Opened() as opened:
        assert await turns_of_another(await make(opened)) >= LEAST


@pytest.mark.parametrize(
    "make",
    [make for make in (*ALWAYS, *IN_THEIR_TURN) if make not in CLOSING],
    ids=lambda make: make.__name__,
)
async def test_what_is_ready_is_cancelled_in_a_cancelled_scope(make: Maker) -> None:
    async with Opened() as opened:
        operation = await make(opened)
        with CancelScope() as scope:
            scope.cancel()
            await operation()
    assert scope.cancelled_caught

"""The work of UNIX streams: the talks of TCP (`work_tcp.py`) over socket files in a folder.

Small sends on uvloop have no target. Its streams keep what is written until the end of the pass, and
hand it to the system in one piece: a write says nothing of whether the system has taken it. Ours
asks the system each time, and UNIX sockets, unlike TCP, do not join what is sent to them. ``raw``
is what the calls alone take, in a loop that does nothing else; it is above uvloop's figure too, and
for sends of 64 KiB half of it, so that half as much as uvloop's streams is out of reach there.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from .model import ASYNCIO, Library, Target, TimedRow, clock
from .work_tcp import (
    CHUNK,
    LARGE,
    SMALL,
    Ends,
    Send,
    drained,
    drink,
    echo,
    ping,
    pour,
)


@asynccontextmanager
async def connected(lib: Library) -> AsyncIterator[Ends]:
    with tempfile.TemporaryDirectory(prefix="creche-") as folder:
        path = f"{folder}/socket"
        async with await lib.create_unix_listener(path) as listener:
            async with await lib.connect_unix(path) as client, await listener.accept() as server:
                yield client.send, client.receive, server.send, server.receive


@asynccontextmanager
async def connected_asyncio() -> AsyncIterator[Ends]:
    arrived: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    arrived = asyncio.get_running_loop().create_future()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result((reader, writer))

    with tempfile.TemporaryDirectory(prefix="creche-") as folder:
        path = f"{folder}/socket"
        server = await asyncio.start_unix_server(handle, path)
        reader, writer = await asyncio.open_unix_connection(path)
        peer_reader, peer_writer = await arrived
        try:
            yield drained(writer), reader.read, drained(peer_writer), peer_reader.read
        finally:
            for each in (writer, peer_writer):
                each.close()
                await each.wait_closed()
            server.close()
            await server.wait_closed()


@asynccontextmanager
async def connected_trio() -> AsyncIterator[Ends]:
    left, right = socket.socketpair()
    async with (
        trio.SocketStream(trio.socket.from_stdlib_socket(left)) as client,
        trio.SocketStream(trio.socket.from_stdlib_socket(right)) as server,
    ):
        yield client.send_all, client.receive_some, server.send_all, server.receive_some


async def ping_pong(lib: Library, n: int) -> float:
    async with connected(lib) as (send, receive, send_back, receive_there):
        async with lib.create_task_group() as group:
            group.start_soon(echo, send_back, receive_there, n)
            return await ping(send, receive, n)


async def ping_pong_asyncio(n: int) -> float:
    async with connected_asyncio() as (send, receive, send_back, receive_there):
        async with asyncio.TaskGroup() as group:
            group.create_task(echo(send_back, receive_there, n))
            return await ping(send, receive, n)


async def ping_pong_trio(n: int) -> float:
    async with connected_trio() as (send, receive, send_back, receive_there):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, send_back, receive_there, n)
            return await ping(send, receive, n)


async def one_way(data: bytes, lib: Library, n: int) -> float:
    begin = 0.0

    async def sender(send: Send) -> None:
        nonlocal begin
        begin = await pour(send, data, n)

    async with connected(lib) as (send, _, _, receive):
        async with lib.create_task_group() as group:
            group.start_soon(sender, send)
            end = await drink(receive, n * len(data))
    return end - begin


async def one_way_asyncio(data: bytes, n: int) -> float:
    async with connected_asyncio() as (send, _, _, receive):
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(pour(send, data, n))
            end = await drink(receive, n * len(data))
    return end - sender.result()


async def one_way_trio(data: bytes, n: int) -> float:
    begin = clock()
    async with connected_trio() as (send, _, _, receive):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour, send, data, n)
            end = await drink(receive, n * len(data))
    return end - begin


async def one_way_raw(data: bytes, n: int) -> float:
    left, right = socket.socketpair()
    sent, received, total = 0, 0, n * len(data)
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        begin = clock()
        while received < total:
            try:
                while sent < total:
                    sent += left.send(data)
            except BlockingIOError:
                pass
            try:
                while received < total:
                    received += len(right.recv(CHUNK))
            except BlockingIOError:
                pass
        return clock() - begin


def send_row(key: str, title: str, data: bytes, *targets: Target) -> TimedRow:
    return TimedRow(
        key=key,
        title=title,
        portable=partial(one_way, data),
        asyncio=partial(one_way_asyncio, data),
        trio=partial(one_way_trio, data),
        extras={"raw": partial(one_way_raw, data)},
        targets=targets,
    )


ROWS = (
    TimedRow(
        key="unix-ping-pong",
        title="UNIX stream ping-pong, 64 B",
        portable=ping_pong,
        asyncio=ping_pong_asyncio,
        trio=ping_pong_trio,
        targets=(Target(ASYNCIO, 0.7), Target(ASYNCIO, 1.1, ("uvloop",))),
    ),
    send_row(
        "unix-send-64k",
        "UNIX stream send, 64 KiB",
        LARGE,
        Target(ASYNCIO, 0.8),
        Target(ASYNCIO, 0.5, ("uvloop",)),
    ),
    send_row("unix-send-256", "UNIX stream send, 256 B", SMALL, Target(ASYNCIO, 1.0)),
)

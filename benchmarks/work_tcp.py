"""The work of TCP: two tasks in one process that talk over 127.0.0.1.

Connecting is set-up. Every byte that is sent is received before the clock stops. asyncio's
streams drain after every write, as a program that wants back-pressure does. ``sock_*`` is the
loop's own socket calls, for information.

asyncio's figures are of two kinds. Its transports ask for 256 KiB at each read, and glibc maps and
unmaps such a block each time, until the process has once freed one as large: then its ping-pong
takes half the time. What ran before decides, so Creche's is 0.37 or 0.75 of it. Of those 22 µs, 16
are the system's and the loop's, for callbacks that answer each other without any task, and 19 are
the least with two tasks that wait for a future and do nothing else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import trio

from .model import ASYNCIO, BACKENDS, Library, Native, Portable, Target, TimedRow, clock

HOST = "127.0.0.1"
PING = b"p" * 64
SMALL = b"s" * 256
LARGE = b"l" * 65536
CHUNK = 65536

Send: TypeAlias = Callable[[bytes], Awaitable[Any]]
Receive: TypeAlias = Callable[[int], Awaitable[bytes]]
Ends: TypeAlias = tuple[Send, Receive, Send, Receive]  # the client's, then the server's


# Four ways to be connected


@asynccontextmanager
async def connected(lib: Library) -> AsyncIterator[Ends]:
    attribute = lib.abc.SocketAttribute.local_port
    async with await lib.create_tcp_listener(local_host=HOST, local_port=0) as listener:
        accepted: list[Any] = []
        arrived, finished = lib.Event(), lib.Event()

        async def handle(stream: Any) -> None:
            accepted.append(stream)
            arrived.set()
            await finished.wait()

        async with lib.create_task_group() as group:
            group.start_soon(listener.serve, handle)
            async with await lib.connect_tcp(HOST, listener.extra(attribute)) as client:
                await arrived.wait()
                server = accepted[0]
                yield client.send, client.receive, server.send, server.receive
            finished.set()
            group.cancel_scope.cancel()


def drained(writer: asyncio.StreamWriter) -> Send:
    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return send


@asynccontextmanager
async def connected_asyncio() -> AsyncIterator[Ends]:
    arrived: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    arrived = asyncio.get_running_loop().create_future()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result((reader, writer))

    server = await asyncio.start_server(handle, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(HOST, port)
    peer_reader, peer_writer = await arrived
    try:
        yield drained(writer), reader.read, drained(peer_writer), peer_reader.read
    finally:
        for each in (writer, peer_writer):
            each.close()
            await each.wait_closed()
        server.close()
        await server.wait_closed()


def socket_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server((HOST, 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    for each in (client, server):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.setblocking(False)
    return client, server


@asynccontextmanager
async def connected_sock() -> AsyncIterator[Ends]:
    loop = asyncio.get_running_loop()
    client, server = socket_pair()
    with client, server:
        yield (
            partial(loop.sock_sendall, client),
            partial(loop.sock_recv, client),
            partial(loop.sock_sendall, server),
            partial(loop.sock_recv, server),
        )


@asynccontextmanager
async def connected_trio() -> AsyncIterator[Ends]:
    listener = (await trio.open_tcp_listeners(0, host=HOST))[0]
    async with listener:
        port = listener.socket.getsockname()[1]
        async with await trio.open_tcp_stream(HOST, port) as client:
            async with await listener.accept() as server:
                yield client.send_all, client.receive_some, server.send_all, server.receive_some


# The two kinds of talk, the same code for every library


async def echo(send: Send, receive: Receive, n: int) -> None:
    for _ in range(n):
        await send(await receive(CHUNK))


async def ping(send: Send, receive: Receive, n: int) -> float:
    begin = clock()
    for _ in range(n):
        await send(PING)
        await receive(CHUNK)
    return clock() - begin


async def drink(receive: Receive, total: int) -> float:
    while total > 0:
        total -= len(await receive(CHUNK))
    return clock()


async def pour(send: Send, data: bytes, n: int) -> float:
    begin = clock()
    for _ in range(n):
        await send(data)
    return begin


# Ping-pong: one operation is there and back


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


async def ping_pong_sock(n: int) -> float:
    async with connected_sock() as (send, receive, send_back, receive_there):
        async with asyncio.TaskGroup() as group:
            group.create_task(echo(send_back, receive_there, n))
            return await ping(send, receive, n)


async def ping_pong_trio(n: int) -> float:
    async with connected_trio() as (send, receive, send_back, receive_there):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, send_back, receive_there, n)
            return await ping(send, receive, n)


# One way: from the first send to the last byte received


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


async def one_way_sock(data: bytes, n: int) -> float:
    async with connected_sock() as (send, _, _, receive):
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(pour(send, data, n))
            end = await drink(receive, n * len(data))
    return end - sender.result()


async def one_way_trio(data: bytes, n: int) -> float:
    begin = 0.0

    async def sender(send: Send) -> None:
        nonlocal begin
        begin = await pour(send, data, n)

    async with connected_trio() as (send, _, _, receive):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender, send)
            end = await drink(receive, n * len(data))
    return end - begin


def tcp_row(
    key: str,
    title: str,
    works: tuple[Portable, Native, Native, Native],
    at_most: tuple[float, float],
) -> TimedRow:
    portable, on_asyncio, on_trio, on_sock = works
    return TimedRow(
        key=key,
        title=title,
        portable=portable,
        asyncio=on_asyncio,
        trio=on_trio,
        extras={"sock_*": on_sock},
        targets=(
            Target(ASYNCIO, at_most[0]),
            Target(ASYNCIO, at_most[1], ("uvloop",)),
        ),
        chart=BACKENDS if key == "tcp-ping-pong" else ("asyncio", "uvloop"),
    )


def send_works(data: bytes) -> tuple[Portable, Native, Native, Native]:
    return (
        partial(one_way, data),
        partial(one_way_asyncio, data),
        partial(one_way_trio, data),
        partial(one_way_sock, data),
    )


ROWS = (
    tcp_row(
        "tcp-ping-pong",
        "TCP ping-pong, 64 B",
        (ping_pong, ping_pong_asyncio, ping_pong_trio, ping_pong_sock),
        (0.7, 1.1),
    ),
    tcp_row("tcp-send-64k", "TCP send, 64 KiB", send_works(LARGE), (0.8, 0.5)),
    tcp_row("tcp-send-256", "TCP send, 256 B", send_works(SMALL), (1.0, 1.0)),
)

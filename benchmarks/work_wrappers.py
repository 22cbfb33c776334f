"""The work of the stream wrappers: TLS, and the buffered stream, over TCP on 127.0.0.1.

Connecting, and the handshake, are set-up. Every byte that is sent is received before the clock
stops. All libraries use the same two TLS contexts, with a certificate that is made for the run.

Where there is little to gain. For 64 KiB through TLS, OpenSSL takes 45 µs in memory alone, for AES
both ways, and the system 14: together 0.6 of what AnyIO takes, and 0.85 of what Creche does. AnyIO's
`receive_until`, when the buffer has the line, neither looks for a cancellation nor lets others run;
what Creche takes there, 0.5 µs, is half the price of looking and half that of an awaited call.
``anyio, checked`` looks first, and is the like of what Creche promises.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import import_module
from typing import Any, TypeAlias

import trio

from .model import ANYIO, ASYNCIO, BACKENDS, Library, Native, Portable, Target, TimedRow, clock
from .work_tcp import HOST, LARGE, Ends, drained, drink, echo, ping, pour

FRAME = b"f" * 63 + b"\n"
FRAMES_AT_ONCE = 1000
LIMIT = 4096

Read: TypeAlias = Callable[[Any], Callable[[], Awaitable[Any]]]
"""Makes, of a stream with a buffer, what reads one frame of it."""


# Frames: the peer sends a thousand at once, one operation is to receive one


def exactly(stream: Any) -> Callable[[], Awaitable[Any]]:
    return partial(stream.receive_exactly, len(FRAME))


def exactly_asyncio(reader: asyncio.StreamReader) -> Callable[[], Awaitable[Any]]:
    return partial(reader.readexactly, len(FRAME))


def until(stream: Any) -> Callable[[], Awaitable[Any]]:
    return partial(stream.receive_until, b"\n", LIMIT)


def until_asyncio(reader: asyncio.StreamReader) -> Callable[[], Awaitable[Any]]:
    return partial(reader.readuntil, b"\n")


def until_checked(stream: Any) -> Callable[[], Awaitable[Any]]:
    from anyio.lowlevel import checkpoint_if_cancelled

    async def receive() -> Any:
        await checkpoint_if_cancelled()
        return await stream.receive_until(b"\n", LIMIT)

    return receive


async def until_anyio_checked(n: int) -> float:
    return await frames(until_checked, import_module(ANYIO), n)


async def read_frames(receive: Callable[[], Awaitable[Any]], n: int) -> float:
    for _ in range(n):
        await receive()
    return clock()


async def frames(read: Read, lib: Library, n: int) -> float:
    begin = 0.0
    buffered = import_module(f"{lib.__name__}.streams.buffered")

    async def sender(stream: Any) -> None:
        nonlocal begin
        async with stream:
            begin = await pour(stream.send, FRAME * FRAMES_AT_ONCE, n // FRAMES_AT_ONCE)

    async with await lib.create_tcp_listener(local_host=HOST) as listener:
        port = listener.extra(lib.abc.SocketAttribute.local_port)
        async with lib.create_task_group() as group:
            group.start_soon(listener.serve, sender)
            async with await lib.connect_tcp(HOST, port) as stream:
                end = await read_frames(read(buffered.BufferedByteStream(stream)), n)
            group.cancel_scope.cancel()
    return end - begin


async def frames_asyncio(read: Read, n: int) -> float:
    begin = 0.0

    async def sender(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begin
        begin = await pour(drained(writer), FRAME * FRAMES_AT_ONCE, n // FRAMES_AT_ONCE)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(sender, HOST, 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        end = await read_frames(read(reader), n)
        writer.close()
        await writer.wait_closed()
    return end - begin


# TLS: the contexts, and three ways to be connected


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    import trustme

    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return server, client


@asynccontextmanager
async def tls_connected(lib: Library) -> AsyncIterator[Ends]:
    tls = import_module(f"{lib.__name__}.streams.tls")
    for_server, for_client = contexts()
    async with await lib.create_tcp_listener(local_host=HOST) as plain:
        listener = tls.TLSListener(plain, for_server, standard_compatible=False)
        port = plain.extra(lib.abc.SocketAttribute.local_port)
        accepted: list[Any] = []
        arrived, finished = lib.Event(), lib.Event()

        async def handle(stream: Any) -> None:
            accepted.append(stream)
            arrived.set()
            await finished.wait()
            await stream.aclose()

        async with lib.create_task_group() as group:
            group.start_soon(listener.serve, handle)
            async with await lib.connect_tcp(
                HOST, port, ssl_context=for_client, tls_standard_compatible=False
            ) as client:
                await arrived.wait()
                server = accepted[0]
                yield client.send, client.receive, server.send, server.receive
            finished.set()
            group.cancel_scope.cancel()


@asynccontextmanager
async def tls_connected_asyncio() -> AsyncIterator[Ends]:
    for_server, for_client = contexts()
    arrived: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    arrived = asyncio.get_running_loop().create_future()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result((reader, writer))

    server = await asyncio.start_server(handle, HOST, 0, ssl=for_server)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(HOST, port, ssl=for_client)
    peer_reader, peer_writer = await arrived
    try:
        yield drained(writer), reader.read, drained(peer_writer), peer_reader.read
    finally:
        writer.transport.abort()
        peer_writer.transport.abort()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def tls_connected_trio() -> AsyncIterator[Ends]:
    for_server, for_client = contexts()
    tcp = (await trio.open_tcp_listeners(0, host=HOST))[0]
    listener = trio.SSLListener(tcp, for_server, https_compatible=True)
    async with listener:
        client = await trio.open_ssl_over_tcp_stream(
            HOST, tcp.socket.getsockname()[1], ssl_context=for_client, https_compatible=True
        )
        server = await listener.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.do_handshake)
            await server.do_handshake()
        async with client, server:
            # Trio says bytes or bytearray of what it receives, which nobody here can tell apart.
            ends: Any = client.send_all, client.receive_some, server.send_all, server.receive_some
            yield ends


# There and back


async def ping_pong(lib: Library, n: int) -> float:
    async with tls_connected(lib) as (send, receive, send_back, receive_there):
        async with lib.create_task_group() as group:
            group.start_soon(echo, send_back, receive_there, n)
            return await ping(send, receive, n)


async def ping_pong_asyncio(n: int) -> float:
    async with tls_connected_asyncio() as (send, receive, send_back, receive_there):
        async with asyncio.TaskGroup() as group:
            group.create_task(echo(send_back, receive_there, n))
            return await ping(send, receive, n)


async def ping_pong_trio(n: int) -> float:
    async with tls_connected_trio() as (send, receive, send_back, receive_there):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, send_back, receive_there, n)
            return await ping(send, receive, n)


# One way: from the first send to the last byte received


async def one_way(lib: Library, n: int) -> float:
    begin = 0.0

    async def sender(send: Any) -> None:
        nonlocal begin
        begin = await pour(send, LARGE, n)

    async with tls_connected(lib) as (send, _, _, receive):
        async with lib.create_task_group() as group:
            group.start_soon(sender, send)
            end = await drink(receive, n * len(LARGE))
    return end - begin


async def one_way_asyncio(n: int) -> float:
    async with tls_connected_asyncio() as (send, _, _, receive):
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(pour(send, LARGE, n))
            end = await drink(receive, n * len(LARGE))
    return end - sender.result()


async def one_way_trio(n: int) -> float:
    begin = 0.0

    async def sender(send: Any) -> None:
        nonlocal begin
        begin = await pour(send, LARGE, n)

    async with tls_connected_trio() as (send, _, _, receive):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender, send)
            end = await drink(receive, n * len(LARGE))
    return end - begin


def tls_row(key: str, title: str, works: tuple[Portable, Native, Native]) -> TimedRow:
    portable, on_asyncio, on_trio = works
    return TimedRow(
        key=key,
        title=title,
        portable=portable,
        asyncio=on_asyncio,
        trio=on_trio,
        targets=(Target(ASYNCIO, 0.8), Target(ANYIO, 0.6)),
        chart=BACKENDS if key == "tls-ping-pong" else (),
    )


def frames_row(key: str, title: str, read: Read, read_asyncio: Read, **extras: Native) -> TimedRow:
    return TimedRow(
        key=key,
        title=title,
        portable=partial(frames, read),
        asyncio=partial(frames_asyncio, read_asyncio),
        targets=(Target(ASYNCIO, 0.7), Target(ANYIO, 0.35)),
        extras=extras,
        batch=FRAMES_AT_ONCE,
        chart=BACKENDS,
    )


ROWS = (
    frames_row("buffered-exactly", "receive_exactly, 64 B", exactly, exactly_asyncio),
    frames_row(
        "buffered-until",
        "receive_until, 64 B lines",
        until,
        until_asyncio,
        **{"anyio, checked": until_anyio_checked},
    ),
    tls_row("tls-ping-pong", "TLS ping-pong, 64 B", (ping_pong, ping_pong_asyncio, ping_pong_trio)),
    tls_row("tls-send-64k", "TLS send, 64 KiB", (one_way, one_way_asyncio, one_way_trio)),
)

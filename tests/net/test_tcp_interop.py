"""The other end is not Creche: asyncio's streams and Trio's speak with ours."""

from __future__ import annotations

import asyncio
from functools import partial

import trio
from _ends import LOOPBACK, echo

from _harness import on_asyncio, on_trio
from creche import connect_tcp, create_task_group, create_tcp_listener
from creche.abc import SocketAttribute

MESSAGE = bytes(range(256)) * 4000


@on_asyncio
async def test_a_server_of_asyncio_s_answers_our_client() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    async with server:
        async with await connect_tcp(*server.sockets[0].getsockname()) as stream:
            await stream.send(MESSAGE)
            await stream.send_eof()
            assert b"".join([chunk async for chunk in stream]) == MESSAGE


@on_asyncio
async def test_a_client_of_asyncio_s_is_answered_by_our_server() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        async with create_task_group() as group:
            group.start_soon(listener.serve, echo)
            port = listener.extra(SocketAttribute.local_port)
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(MESSAGE)
            writer.write_eof()
            assert await reader.read() == MESSAGE
            writer.close()
            await writer.wait_closed()
            group.cancel_scope.cancel()


@on_trio
async def test_a_server_of_trio_s_answers_our_client() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(b"".join([bytes(chunk) async for chunk in stream]))

    async with trio.open_nursery() as nursery:
        start = partial(trio.serve_tcp, answer, 0, host=LOOPBACK)
        listeners = await nursery.start(start)
        async with await connect_tcp(*listeners[0].socket.getsockname()) as stream:
            await stream.send(MESSAGE)
            await stream.send_eof()
            assert b"".join([chunk async for chunk in stream]) == MESSAGE
        nursery.cancel_scope.cancel()


@on_trio
async def test_a_client_of_trio_s_is_answered_by_our_server() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        async with create_task_group() as group:
            group.start_soon(listener.serve, echo)
            port = listener.extra(SocketAttribute.local_port)
            async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
                group.start_soon(stream.send_all, MESSAGE)
                received = b""
                while len(received) < len(MESSAGE):
                    received += await stream.receive_some()
                assert received == MESSAGE
            group.cancel_scope.cancel()

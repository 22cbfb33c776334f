"""The work of UDP: two tasks in one process that send each other datagrams over 127.0.0.1.

asyncio's side is its datagram endpoint with a protocol that hands what comes to a waiting task;
``protocols`` are two that answer each other in callbacks, without any task. They take 16 µs of
Creche's 21, which are 0.39 or 0.85 of the endpoint's, as for TCP: see `work_tcp.py`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import trio

from .model import ASYNCIO, Library, Target, TimedRow, clock

HOST = "127.0.0.1"
PING = b"p" * 64


async def ping_pong(lib: Library, n: int) -> float:
    attribute = lib.abc.SocketAttribute.local_port
    async with await lib.create_udp_socket(local_host=HOST) as server:

        async def echo() -> None:
            for _ in range(n):
                data, (host, port) = await server.receive()
                await server.sendto(data, host, port)

        async with await lib.create_connected_udp_socket(HOST, server.extra(attribute)) as client:
            async with lib.create_task_group() as group:
                group.start_soon(echo)
                begin = clock()
                for _ in range(n):
                    await client.send(PING)
                    await client.receive()
                return clock() - begin


class Mailbox(asyncio.DatagramProtocol):
    """Keeps what comes until a task asks for it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.queue.put_nowait((data, addr))


async def ping_pong_asyncio(n: int) -> float:
    loop = asyncio.get_running_loop()
    server, inbox = await loop.create_datagram_endpoint(Mailbox, local_addr=(HOST, 0))
    address = server.get_extra_info("sockname")
    client, replies = await loop.create_datagram_endpoint(Mailbox, remote_addr=address)

    async def echo() -> None:
        for _ in range(n):
            data, sender = await inbox.queue.get()
            server.sendto(data, sender)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(echo())
            begin = clock()
            for _ in range(n):
                client.sendto(PING)
                await replies.queue.get()
            return clock() - begin
    finally:
        client.close()
        server.close()
        await asyncio.sleep(0)


class Answering(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


class Pinging(asyncio.DatagramProtocol):
    """Sends the next one from the callback that brings the last one back: no tasks at all."""

    def __init__(self, n: int, done: asyncio.Future[None]) -> None:
        self.left = n
        self.done = done

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left:
            self.transport.sendto(PING)
        else:
            self.done.set_result(None)


async def ping_pong_protocols(n: int) -> float:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    server, _ = await loop.create_datagram_endpoint(Answering, local_addr=(HOST, 0))
    address = server.get_extra_info("sockname")
    client, _ = await loop.create_datagram_endpoint(lambda: Pinging(n, done), remote_addr=address)
    begin = clock()
    client.sendto(PING)
    await done
    end = clock()
    client.close()
    server.close()
    await asyncio.sleep(0)
    return end - begin


async def ping_pong_trio(n: int) -> float:
    with (
        trio.socket.socket(type=socket.SOCK_DGRAM) as server,
        trio.socket.socket(type=socket.SOCK_DGRAM) as client,
    ):
        await server.bind((HOST, 0))
        await client.connect(server.getsockname())

        async def echo() -> None:
            for _ in range(n):
                data, sender = await server.recvfrom(65536)
                await server.sendto(data, sender)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            begin = clock()
            for _ in range(n):
                await client.send(PING)
                await client.recv(65536)
            return clock() - begin


ROWS = (
    TimedRow(
        key="udp-ping-pong",
        title="UDP ping-pong, 64 B",
        portable=ping_pong,
        asyncio=ping_pong_asyncio,
        trio=ping_pong_trio,
        extras={"protocols": ping_pong_protocols},
        targets=(Target(ASYNCIO, 0.8),),
    ),
)

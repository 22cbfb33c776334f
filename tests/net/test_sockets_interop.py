"""The other end is not Creche: asyncio's and Trio's own sockets, and a plain program, speak with ours."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio
from _ends import LOOPBACK, echo, receive_all
from _paths import folder, path

from _harness import on_asyncio, on_trio
from creche import (
    connect_unix,
    create_connected_udp_socket,
    create_task_group,
    create_udp_socket,
    create_unix_listener,
)
from creche.abc import SocketAttribute, UDPSocket, UNIXSocketStream

__all__ = ["folder", "path"]

MESSAGE = bytes(range(256)) * 4000


async def answer(server: UDPSocket) -> None:
    data, address = await server.receive()
    await server.send((data.upper(), address))


class Upper(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data.upper(), addr)


@on_asyncio
async def test_an_endpoint_of_asyncio_s_answers_our_udp_socket() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Upper, local_addr=(LOOPBACK, 0))
    try:
        address = transport.get_extra_info("sockname")
        async with await create_connected_udp_socket(*address) as client:
            await client.send(b"hello")
            assert await client.receive() == b"HELLO"
    finally:
        transport.close()
        await asyncio.sleep(0)


@on_trio
async def test_a_udp_socket_of_trio_s_is_answered_by_ours() -> None:
    async with await create_udp_socket(local_host=LOOPBACK) as server, create_task_group() as group:
        group.start_soon(answer, server)
        with trio.socket.socket(type=socket.SOCK_DGRAM) as client:
            await client.connect(server.extra(SocketAttribute.local_address))
            await client.send(b"hello")
            assert await client.recv(100) == b"HELLO"


@on_asyncio
async def test_a_unix_server_of_asyncio_s_answers_our_client(path: Path) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(reply, path):
        async with await connect_unix(path) as stream:
            await stream.send(MESSAGE)
            await stream.send_eof()
            assert await receive_all(stream) == MESSAGE


@on_asyncio
async def test_a_unix_client_of_asyncio_s_is_answered_by_our_server(path: Path) -> None:
    async with await create_unix_listener(path) as listener, create_task_group() as group:
        group.start_soon(listener.serve, echo)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(MESSAGE)
        writer.write_eof()
        assert await reader.read() == MESSAGE
        writer.close()
        await writer.wait_closed()
        group.cancel_scope.cancel()


@on_trio
async def test_a_unix_client_of_trio_s_is_answered_by_our_server(path: Path) -> None:
    async with await create_unix_listener(path) as listener, create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with await trio.open_unix_socket(path) as stream:
            group.start_soon(stream.send_all, MESSAGE)
            received = b""
            while len(received) < len(MESSAGE):
                received += await stream.receive_some()
            assert received == MESSAGE
        group.cancel_scope.cancel()


PLAIN_CLIENT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    message, fds, _, _ = socket.recv_fds(sock, 100, 1)
    with open(fds[0], "w") as file:
        file.write(message.decode())
    with open(sys.argv[2], "rb") as file:
        socket.send_fds(sock, [b"yours"], [file.fileno()])
"""


async def test_descriptors_travel_to_another_program_and_back(folder: Path, path: Path) -> None:
    theirs = folder / "theirs"
    theirs.write_text("from the other program")
    ours = folder / "ours"
    async with await create_unix_listener(path) as listener:
        command = [sys.executable, "-c", PLAIN_CLIENT, str(path), str(theirs)]
        with subprocess.Popen(command) as program:
            async with await listener.accept() as stream:
                assert isinstance(stream, UNIXSocketStream)
                with ours.open("w") as file:
                    await stream.send_fds(b"written there", [file])
                message, fds = await stream.receive_fds(100, 1)
                with open(fds[0]) as file:
                    assert (message, file.read()) == (b"yours", "from the other program")
    assert program.returncode == 0
    assert ours.read_text() == "written there"

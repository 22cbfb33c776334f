"""The work of a server with short connections: accept, one byte, close.

A process of its own connects the clients, which have sent their byte before the clock starts and
wait in the queue of the listener. So what is measured is the server alone: accepting, a task for
the handler, receiving, closing.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import trio

from .model import ASYNCIO, Library, Target, TimedRow, clock

HOST = "127.0.0.1"
CONNECTIONS = 1000

CLIENTS = f"""
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
socks = [socket.create_connection(("{HOST}", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
for sock in socks:
    sock.send(b"x")
print("ready", flush=True)
for sock in socks:
    sock.recv(1)
    sock.close()
"""


@contextmanager
def clients(port: int, n: int) -> Iterator[None]:
    command = [sys.executable, "-c", CLIENTS, str(port), str(n)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the clients could not connect")
        yield


class Served:
    """Counts the connections down to the last, and notes when that is."""

    def __init__(self, n: int, finish: Callable[[], Any]) -> None:
        self.left = n
        self.finish = finish
        self.end = 0.0

    def one(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.end = clock()
            self.finish()


async def accept(lib: Library, n: int) -> float:
    done = lib.Event()
    served = Served(n, done.set)

    async def handle(stream: Any) -> None:
        async with stream:
            await stream.receive(1)
        served.one()

    async with await lib.create_tcp_listener(local_host=HOST) as listener:
        with clients(listener.extra(lib.abc.SocketAttribute.local_port), n):
            begin = clock()
            async with lib.create_task_group() as group:
                group.start_soon(listener.serve, handle)
                await done.wait()
                group.cancel_scope.cancel()
    return served.end - begin


async def accept_asyncio(n: int) -> float:
    done = asyncio.Event()
    served = Served(n, done.set)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()
        await writer.wait_closed()
        served.one()

    # With a socket that listens already, for asyncio only listens when it begins to accept.
    sock = socket.create_server((HOST, 0), backlog=n)
    with clients(sock.getsockname()[1], n):
        begin = clock()
        async with await asyncio.start_server(handle, sock=sock, backlog=n):
            await done.wait()
    return served.end - begin


async def accept_trio(n: int) -> float:
    done = trio.Event()
    served = Served(n, done.set)

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(1)
        served.one()

    listeners = await trio.open_tcp_listeners(0, host=HOST)
    with clients(listeners[0].socket.getsockname()[1], n):
        begin = clock()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.serve_listeners, handle, listeners))
            await done.wait()
            nursery.cancel_scope.cancel()
    return served.end - begin


ROWS = (
    TimedRow(
        key="accept",
        title="accept: connect, one byte, close",
        portable=accept,
        asyncio=accept_asyncio,
        trio=accept_trio,
        targets=(Target(ASYNCIO, 0.7),),
        fixed=CONNECTIONS,
        max_rounds=7,
    ),
)

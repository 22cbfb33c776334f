"""A process of its own that prints the bytes that a server keeps for one idle connection.

``python -m benchmarks.connection_probe MODULE BACKEND GAUGE CONNECTIONS``, the arguments as for
``benchmarks.memory_probe``. The stream, the task of the handler, which waits for a first byte, and
whatever the library keeps for them are counted. The clients are plain sockets, connected before:
they are not.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import trio

from .memory_probe import SETTLING_PASSES, used
from .model import Backend, Library
from .runner import load, run_asyncio, run_portable, run_trio

HOST = "127.0.0.1"


@contextmanager
def clients(address: Any, n: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(n):
            stack.enter_context(socket.create_connection(address))
        yield


async def portable(lib: Library, gauge: str, n: int) -> float:
    waiting = 0
    all_there = lib.Event()

    async def handle(stream: Any) -> None:
        nonlocal waiting
        async with stream:
            waiting += 1
            if waiting == n:
                all_there.set()
            await stream.receive()

    async with await lib.create_tcp_listener(local_host=HOST) as listener:
        with clients(listener.extra(lib.abc.SocketAttribute.local_address), n):
            before = used(gauge)
            async with lib.create_task_group() as group:
                group.start_soon(listener.serve, handle)
                await all_there.wait()
                for _ in range(SETTLING_PASSES):
                    await lib.lowlevel.checkpoint()
                grown = used(gauge) - before
                group.cancel_scope.cancel()
    return grown / n


async def on_asyncio(gauge: str, n: int) -> float:
    waiting = 0
    all_there = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == n:
            all_there.set()
        await reader.read(65536)
        writer.close()
        await writer.wait_closed()

    sock = socket.create_server((HOST, 0), backlog=n)
    with clients(sock.getsockname(), n):
        before = used(gauge)
        server = await asyncio.start_server(handle, sock=sock, backlog=n)
        await all_there.wait()
        for _ in range(SETTLING_PASSES):
            await asyncio.sleep(0)
        grown = used(gauge) - before
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others)
    return grown / n


async def on_trio(gauge: str, n: int) -> float:
    waiting = 0
    all_there = trio.Event()

    async def handle(stream: trio.SocketStream) -> None:
        nonlocal waiting
        async with stream:
            waiting += 1
            if waiting == n:
                all_there.set()
            await stream.receive_some()

    listeners = await trio.open_tcp_listeners(0, host=HOST)
    with clients(listeners[0].socket.getsockname(), n):
        before = used(gauge)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.serve_listeners, handle, listeners))
            await all_there.wait()
            for _ in range(SETTLING_PASSES):
                await trio.lowlevel.checkpoint()
            grown = used(gauge) - before
            nursery.cancel_scope.cancel()
    return grown / n


def probe(module: str, backend: Backend, gauge: str, n: int) -> Any:
    if module == "native-asyncio":
        return run_asyncio(backend, on_asyncio, gauge, n)
    if module == "native-trio":
        return run_trio(on_trio, gauge, n)
    lib = load(module)
    return run_portable(lib, backend, portable, lib, gauge, n)


def main() -> None:
    module, backend, gauge, n = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    probe(module, backend, gauge, 10)  # first-use imports and caches
    if gauge == "tracemalloc":
        tracemalloc.start()
    print(probe(module, backend, gauge, int(n)))


if __name__ == "__main__":
    main()

"""A program of 400 tasks that tests look at from outside: `python crowd.py BACKEND [blocked] [serve]`."""

from __future__ import annotations

import sys
import time
from typing import Any

import creche
from creche import insight


async def request(database: creche.Lock) -> None:
    async with database:
        await creche.sleep_forever()


async def transfer(first: creche.Lock, second: creche.Lock) -> None:
    async with first:
        await creche.sleep(0.01)
        async with second:
            pass


async def stuck_consumer(stream: Any) -> None:
    await stream.receive()
    await creche.sleep_forever()


async def producer(stream: Any) -> None:
    for number in range(10):
        await stream.send(number)


async def echo(stream: Any) -> None:
    async with stream:
        await stream.send(await stream.receive())


async def client(port: int) -> None:
    async with await creche.connect_tcp("127.0.0.1", port) as stream:
        await stream.receive()


async def blocks_a_thread() -> None:
    await creche.to_thread.run_sync(time.sleep, 20, abandon_on_cancel=True)


async def blocking() -> None:
    await creche.sleep(0.3)
    print("blocked", flush=True)
    while True:
        time.sleep(0.01)


async def main() -> None:
    database, accounts, ledger = creche.Lock(name="database"), creche.Lock(), creche.Lock()
    send, receive = creche.create_memory_object_stream[int](1)
    listener = await creche.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(creche.abc.SocketAttribute.local_port)
    async with send, receive, creche.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        for _ in range(10):
            group.start_soon(client, port)
        group.start_soon(request, database, name="holder")
        await creche.sleep(0.05)
        for _ in range(370):
            group.start_soon(request, database)
        group.start_soon(transfer, accounts, ledger, name="forth")
        group.start_soon(transfer, ledger, accounts, name="back")
        group.start_soon(stuck_consumer, receive)
        group.start_soon(producer, send)
        for _ in range(5):
            group.start_soon(blocks_a_thread)
        await creche.sleep(0.2)
        if "blocked" in sys.argv:
            group.start_soon(blocking)
        else:
            print("ready", flush=True)


if __name__ == "__main__":
    if "control" in sys.argv:
        insight.serve(control=True)
    elif "serve" in sys.argv:
        insight.serve()
    if "signal" in sys.argv:
        insight.dump_on_signal()
    name = sys.argv[1]
    options = {"use_uvloop": True} if name == "uvloop" else {}
    creche.run(main, backend="trio" if name == "trio" else "asyncio", backend_options=options)

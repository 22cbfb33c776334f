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
        while not second.locked():  # The other one has it.
            await creche.sleep(0.001)
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
    print("blocked", flush=True)
    while True:
        time.sleep(0.01)


def calls_in_workers() -> int:
    return sum(worker.call == "sleep" for worker in insight.snapshot().workers)


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
        while not database.locked():
            await creche.sleep(0.001)
        for _ in range(370):
            group.start_soon(request, database)
        group.start_soon(transfer, accounts, ledger, name="forth")
        group.start_soon(transfer, ledger, accounts, name="back")
        group.start_soon(stuck_consumer, receive)
        group.start_soon(producer, send)
        for _ in range(5):
            group.start_soon(blocks_a_thread)
        locks = (database, 370), (accounts, 1), (ledger, 1)
        while any(lock.statistics().tasks_waiting < count for lock, count in locks):
            await creche.sleep(0.001)
        while send.statistics().tasks_waiting_send < 1 or calls_in_workers() < 5:
            await creche.sleep(0.001)
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

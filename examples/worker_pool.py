"""A pool of workers that drains on SIGTERM.

The first SIGTERM stops the group: nothing new is taken in, and the workers finish what is in the queue.
What takes longer than the grace is cancelled. Here the program sends itself the signal.
"""

from functools import partial
from signal import SIGTERM, raise_signal

from creche import create_memory_object_stream, create_task_group, run, sleep
from creche.services import stop_on_signals, stop_requested, until_stop, wait_for_stop
from creche.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

WORKERS = 2
GRACE = 10  # seconds


async def take_in(jobs: MemoryObjectSendStream[int]) -> None:
    number = 0
    while not stop_requested():
        await jobs.send(number)
        number += 1
        if number == 6:
            print("SIGTERM")
            raise_signal(SIGTERM)
            await wait_for_stop()


async def work(jobs: MemoryObjectReceiveStream[int], done: list[int]) -> None:
    with until_stop():
        async for job in jobs:  # after a stop: what is buffered, then the end
            await sleep(0.01)  # the work; a stop does not interrupt it
            done.append(job)


async def main() -> None:
    done: list[int] = []
    send, receive = create_memory_object_stream[int](100)
    with send, receive:
        async with create_task_group() as tg:
            await tg.start(partial(stop_on_signals, SIGTERM, grace=GRACE))
            for _ in range(WORKERS):
                tg.start_soon(work, receive, done)
            tg.start_soon(take_in, send)
    print("done:", sorted(done))


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/worker_pool.py

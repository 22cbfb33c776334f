"""A consumer that is kept alive: restarted with a backoff, then stopped.

Its connection is lost now and then. The supervisor starts it again, after pauses that grow, and gives up
if it fails too often. A stop lets it finish the item that it has in hand.
"""

from collections.abc import Iterator

from creche import create_task_group, run, sleep
from creche.abc import TaskStatus
from creche.services import ServiceHandle, create_supervisor, exponential, stop_requested

FEED = ["a", "b", ConnectionError("reset by peer"), "c", ConnectionError("timed out"), "d"]


async def consume(items: Iterator[str | Exception], *, task_status: TaskStatus[None]) -> None:
    print("consumer: connected")
    task_status.started()
    while not stop_requested():
        item = next(items, None)
        if isinstance(item, Exception):
            raise item
        if item is not None:
            print("consumer:", item)
        await sleep(0.005)
    print("consumer: finished")


def report(service: ServiceHandle, error: BaseException) -> None:
    print(f"{service.name} failed: {error}; restart {service.restarts}")


async def main() -> None:
    async with create_supervisor(max_restarts=3, within=60, on_error=report) as sv:
        backoff = exponential(0.01, jitter=0)
        consumer = await sv.start(consume, iter(FEED), name="consumer", backoff=backoff)
        async with create_task_group() as tg:
            tg.start_soon(sleep, 0.2)  # the program's own work
        print("it is", consumer.state)
        sv.stop()
    print("it is", consumer.state)


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/supervised_consumer.py

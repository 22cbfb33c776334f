"""A program that records itself: three workers share a printer, then all is cancelled."""

from __future__ import annotations

import sys

import creche
from creche import insight


async def worker(printer: creche.Lock) -> None:
    while True:
        async with printer:
            await creche.sleep(0.1)


async def tidy() -> None:
    try:
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            await creche.sleep(1.5)


async def main() -> None:
    printer = creche.Lock(name="printer")
    with insight.record(sys.argv[1]):
        async with creche.create_task_group() as group:
            for _ in range(3):
                group.start_soon(worker, printer)
            group.start_soon(tidy)
            await creche.sleep(1.5)
            group.cancel_scope.cancel("enough")


if __name__ == "__main__":
    creche.run(main)

"""A parameter sweep on a cluster, with a deadline and a progress bar.

The cluster is this machine, unless the environment names the scheduler of another one:
`SCHEDULER=tcp://127.0.0.1:8786 python examples/parameter_sweep.py`. At the deadline what still runs is
ended, wherever it runs, and the best so far counts.
"""

import os
import sys
import time
from collections.abc import Iterator
from itertools import count

from creche import create_task_group, move_on_after, run, sleep
from creche.cluster import open_cluster
from creche.flow import Mapped

SECONDS = 20.0
ROWS = 12


def settings() -> Iterator[tuple[float, float]]:
    """Settings to try: a grid, and after that forever finer ones."""
    for fineness in count(ROWS):
        for row in range(fineness + 1):
            for column in range(fineness + 1):
                yield row / fineness, column / fineness


def loss(setting: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """Train a model with these settings; here it is a bowl, and takes a millisecond."""
    time.sleep(0.001)
    rate, decay = setting
    return (rate - 0.25) ** 2 + (decay - 0.75) ** 2, setting


async def show(results: Mapped[object]) -> None:
    """Draw a bar, until it is cancelled."""
    begin = time.monotonic()
    while sys.stderr.isatty():
        part = min(1.0, (time.monotonic() - begin) / SECONDS)
        bar = "#" * round(30 * part)
        print(
            f"\r[{bar:30}] {results.done} tried, {results.running} running", end="", file=sys.stderr
        )
        await sleep(0.1)


async def main() -> None:
    best = (float("inf"), (0.0, 0.0))
    async with open_cluster(os.environ.get("SCHEDULER")) as cluster:
        with move_on_after(SECONDS):
            async with cluster.map(loss, settings(), at_most=64) as results:
                async with create_task_group() as group:
                    group.start_soon(show, results)
                    async for found in results:
                        best = min(best, found)
                        if best[0] == 0:  # It cannot get better: the rest is not needed.
                            break
                    group.cancel_scope.cancel()
        assert not cluster.calls(), "what was running has ended"
    print("best: rate {}, decay {}".format(*best[1]))


if __name__ == "__main__":
    run(main)  # or: creche run --backend trio examples/parameter_sweep.py

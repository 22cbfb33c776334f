"""`graceful.py` on hypercorn and Trio, in a program of its own: hypercorn hears of no SIGTERM there.

It is told when to shut down by what stops the program.
"""

from __future__ import annotations

import signal
from functools import partial

from graceful import GRACE, app
from hypercorn.config import Config
from hypercorn.trio import serve

import creche
from creche.services import stop_on_signals, wait_for_stop


async def main() -> None:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = GRACE
    stopping = creche.Event()

    async def watch() -> None:
        await wait_for_stop()
        stopping.set()

    async with creche.create_task_group() as tg:
        await tg.start(partial(stop_on_signals, signal.SIGTERM, grace=GRACE))
        tg.start_soon(watch)
        await serve(app, config, shutdown_trigger=stopping.wait)  # type: ignore[arg-type]


creche.run(main, backend="trio")

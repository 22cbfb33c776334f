"""What the rows of `work_cluster.py` call on workers. Imports little, for children import it."""

from __future__ import annotations

import signal
import time


def nap() -> None:
    time.sleep(60)


def ask() -> None:
    from creche.from_thread import check_cancelled

    while True:
        check_cancelled()
        time.sleep(0.001)


def ignore() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)

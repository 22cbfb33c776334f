"""What the rows of `work_cluster.py` call on workers. Imports little, for children import it.

Each says that it runs, by a byte in a file: what it imports, and its process, are not what is measured.
"""

from __future__ import annotations

import signal
import time


def _begin(path: str) -> None:
    with open(path, "ab") as file:  # one import less
        file.write(b".")


def nap(path: str) -> None:
    _begin(path)
    time.sleep(60)


def ask(path: str) -> None:
    from creche.from_thread import check_cancelled

    _begin(path)
    while True:
        check_cancelled()
        time.sleep(0.001)


def ignore(path: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _begin(path)
    time.sleep(60)

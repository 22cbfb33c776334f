"""Places where files go wrong: a disk without room, a user without rights, a file that takes long."""

from __future__ import annotations

import io
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from creche import CapacityLimiter, to_thread

NOBODY = 65534


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """Mount a file system of 64 KiB on `directory` and give a file in it; else `/dev/full`.

    Either way, writing more than that is ENOSPC.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield Path("/dev/full")
        return
    try:
        yield directory / "file"
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@contextmanager
def without_rights() -> Iterator[None]:
    """Let the whole process be somebody who may not do everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class SlowFile(io.BytesIO):
    """A file whose `write`, `flush` and `close` take as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go = threading.Event()
        self.done: list[str] = []

    def _take(self, what: str) -> None:
        self.begun.set()
        assert self.go.wait(20)
        self.done.append(what)

    def write(self, data: Any, /) -> int:
        self._take("write")
        return super().write(data)

    def flush(self) -> None:
        self._take("flush")

    def close(self) -> None:
        if not self.closed:
            self._take("close")
        super().close()

    async def has_begun(self) -> None:
        """Wait until one of them runs."""
        await to_thread.run_sync(self.begun.wait, 20)


class CountingLimiter(CapacityLimiter):
    """A limiter that counts the calls that it let through."""

    def __init__(self, total_tokens: float = 10) -> None:
        super().__init__(total_tokens)
        self.calls = 0

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        self.calls += 1
        await super().acquire_on_behalf_of(borrower)

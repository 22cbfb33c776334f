"""Where records go: into a file, or into a ring in memory that can be written to a file later.

Owns the bytes and how many of them are kept. Knows neither loops nor what is recorded.

A ring keeps the newest blocks of records, `size` bytes of them, and of the newest snapshots as many bytes at most;
and the texts of them. Its records stay the tuples that they came as until somebody wants a file: most are never
wanted.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from . import layout

SNAPSHOTS = 8
"""Snapshots that a ring keeps."""
MOST_TEXTS = 4 * 1024 * 1024
"""Bytes of texts that a ring keeps: of more, the oldest are gone."""


TUPLE, WORD = 64, 28
"""Bytes of a tuple, its place in the list included, and of each word: half of these are integers of their own."""


class Tape(Protocol):
    """What a recorder writes to."""

    def texts(self, new: dict[int, str]) -> None: ...
    def records(self, taken: list[tuple[int, ...]]) -> None: ...
    def snapshot(self, payload: bytes) -> None: ...


def as_bytes(taken: list[tuple[int, ...]]) -> bytes:
    """Return records as they are in a file."""
    packed = array("q", chain.from_iterable(taken))
    if _BIG_ENDIAN:
        packed.byteswap()
    return packed.tobytes()


def size_of(taken: list[tuple[int, ...]]) -> int:
    """Return about how many bytes of memory records take as tuples."""
    return len(taken) * TUPLE + sum(map(len, taken)) * WORD


_BIG_ENDIAN = array("H", [1]).tobytes()[0] == 0


class FileTape:
    """A file that grows. What was written is there even if the process is killed."""

    def __init__(self, path: str | os.PathLike[str], head: dict[str, Any]) -> None:
        self._file = Path(path).open("wb")  # noqa: SIM115  # as long as the recording
        self._write(layout.MAGIC + layout.pack_json(b"H", head))

    def texts(self, new: dict[int, str]) -> None:
        self._write(layout.pack_json(b"T", new))

    def records(self, taken: list[tuple[int, ...]]) -> None:
        self._write(layout.pack(b"E", as_bytes(taken)))

    def snapshot(self, payload: bytes) -> None:
        self._write(layout.pack(b"S", payload))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    def end(self, data: dict[str, Any]) -> None:
        """Write the end, and close the file."""
        with self._file:
            self._file.write(layout.pack_json(b"F", data))

    def forget(self) -> None:
        """In the child of a fork: close the file, which is the parent's."""
        self._file.close()


class RingTape:
    """The newest records, in memory."""

    def __init__(self, size: int, head: dict[str, Any]) -> None:
        self._size = size
        self._head = head
        self._blocks: deque[list[tuple[int, ...]]] = deque()
        self._held = 0
        self._texts: dict[int, str] = {}
        self._text_bytes = 0
        self._snapshots: deque[tuple[int, bytes]] = deque(maxlen=SNAPSHOTS)
        self._count = 0
        self.lost = 0
        """Records that had no room any more."""

    def texts(self, new: dict[int, str]) -> None:
        self._texts.update(new)
        self._text_bytes += sum(map(len, new.values()))
        while self._text_bytes > MOST_TEXTS and len(self._texts) > 1:
            self._text_bytes -= len(self._texts.pop(next(iter(self._texts))))

    def records(self, taken: list[tuple[int, ...]]) -> None:
        self._blocks.append(taken)
        self._count += 1
        self._held += size_of(taken)
        while self._held > self._size and len(self._blocks) > 1:
            oldest = self._blocks.popleft()
            self._held -= size_of(oldest)
            self.lost += sum(map(len, oldest)) // layout.WORDS

    def snapshot(self, payload: bytes) -> None:
        self._snapshots.append((self._count, payload))
        while len(self._snapshots) > 1 and self._snapshot_bytes() > self._size:
            self._snapshots.popleft()

    def _snapshot_bytes(self) -> int:
        return sum(len(payload) for _, payload in self._snapshots)

    def write(self, path: str | os.PathLike[str], end: dict[str, Any]) -> None:
        """Write what the ring holds to a file, all or nothing."""
        final = Path(path)
        partial = final.with_name(f"{final.name}.{os.getpid()}.part")
        try:
            with partial.open("wb") as file:
                file.write(layout.MAGIC + layout.pack_json(b"H", self._head))
                file.write(layout.pack_json(b"T", self._texts))
                snapshots = deque(self._snapshots)
                for number, block in enumerate(self._blocks, self._count - len(self._blocks)):
                    while snapshots and snapshots[0][0] <= number:
                        file.write(layout.pack(b"S", snapshots.popleft()[1]))
                    file.write(layout.pack(b"E", as_bytes(block)))
                for _, payload in snapshots:
                    file.write(layout.pack(b"S", payload))
                file.write(layout.pack_json(b"F", {**end, "lost": self.lost}))
            partial.replace(final)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

"""`ByteBuffer`: bytes that were received and not yet taken, and how they are taken. Pure.

Owns the bytes and the search for a delimiter. Knows no stream and no event loop.

    what is unread = _data[_start:_end], then _tail

Rules
-----
* What arrives in one piece stays the `bytes` that it was, and is given out in slices of it: one copy,
  made where it must be (`buffered-exactly`, `buffered-until` in `benchmarks/`).
* What has to be put together grows in `_tail`, which extends in place. It becomes `_data` when the
  operation is through, so every byte is copied a bounded number of times, however it trickles in.
* A search goes on where it left off.
* An operation that takes what is in `_data` needs nothing but the slots of this class; all others
  begin with `_gather`.
"""

from __future__ import annotations

from collections.abc import Callable

take_all: Callable[[bytearray], bytes] = getattr(bytearray, "take_bytes", bytes)
"""Makes `bytes` of all of a bytearray that nobody needs any more: from Python 3.15 on without a copy."""


class ByteBuffer:
    """Unread bytes, in the order in which they came."""

    __slots__ = ("_data", "_end", "_start", "_tail")

    def __init__(self) -> None:
        self._data = b""
        self._start = self._end = 0
        self._tail = bytearray()

    def __len__(self) -> int:
        return self._end - self._start + len(self._tail)

    def __bytes__(self) -> bytes:
        return self._data[self._start : self._end] + self._tail

    def _feed(self, data: bytes | bytearray) -> None:
        """Put `data` behind what is there."""
        self._tail += data

    def _replace(self, data: bytes) -> None:
        """Put `data` into an empty buffer, without a copy."""
        self._data = data
        self._start = 0
        self._end = len(data)

    def _gather(self) -> bytearray:
        """Move all into the tail, where it is in one piece and can grow. Return it."""
        if self._start < self._end:
            self._tail[:0] = memoryview(self._data)[self._start : self._end]
        self._forget()
        return self._tail

    def _cut(self, size: int, skip: int = 0) -> bytes:
        """Take `size` bytes off the gathered tail and drop `skip` more; the rest can be sliced."""
        tail, self._tail = self._tail, bytearray()
        if len(tail) == size:
            return take_all(tail)
        with memoryview(tail) as view:
            self._replace(bytes(view[size + skip :]))
            return bytes(view[:size])

    def _take_some(self, max_bytes: int) -> bytes:
        """Take up to `max_bytes` of the bytes that came first; b"" if there are none."""
        if self._start == self._end:
            if not self._tail:
                return b""
            tail, self._tail = self._tail, bytearray()
            self._replace(take_all(tail))
        start = self._start
        self._start = min(start + max_bytes, self._end)
        return self._data[start : self._start]

    def _forget(self) -> None:
        self._data = b""
        self._start = self._end = 0

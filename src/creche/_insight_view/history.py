"""The messages of the last minutes, for pages that open later, reload, or read slowly.

Owns the messages as bytes, and the way from one to the next. Nobody is waited for: a page that falls behind
further than what is kept goes on with a full message.

    ... full ─ change ─ change ─ full ─ change ─ change ─ ...
         ^ what is kept begins with a full one

Every `BETWEEN_FULL` seconds a message is full, so that old ones can be let go of.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from .._sync.event import Event
from .changes import Message

KEPT = 15 * 60.0
"""Seconds of messages that are kept."""
MOST_BYTES = 64 << 20
BETWEEN_FULL = 60.0


class _Entry(NamedTuple):
    number: int
    time: float
    full: bool
    line: bytes


class History:
    """What was told, and what comes."""

    def __init__(self, kept: float = KEPT) -> None:
        self._kept = kept
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._next = 0
        self._last_full = float("-inf")
        self._grown = Event()
        self.ended = False
        """Whether no message follows."""

    def wants_full(self, now: float) -> bool:
        """Tell whether the next message has to be a full one."""
        return now - self._last_full >= BETWEEN_FULL

    def add(self, message: Message) -> None:
        """Keep a message, and wake those who wait for it."""
        if self.ended:
            return
        full = bool(message.get("full"))
        if full:
            self._last_full = message["t"]
        self.ended = "end" in message
        line = encoded(message)
        self._entries.append(_Entry(self._next, message["t"], full, line))
        self._next += 1
        self._bytes += len(line)
        self._let_go(message["t"])
        grown, self._grown = self._grown, Event()
        grown.set()

    def close(self) -> None:
        """Let no message follow: the viewer itself ends."""
        self.ended = True
        self._grown.set()

    def _let_go(self, now: float) -> None:
        """Drop the oldest messages up to the next full one, if it is old enough or they are too many."""
        while True:
            following = next((entry for entry in list(self._entries)[1:] if entry.full), None)
            if following is None:
                return
            if following.time > now - self._kept and self._bytes <= MOST_BYTES:
                return
            while self._entries[0] is not following:
                self._bytes -= len(self._entries.popleft().line)

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield all that is kept, then what comes, until the end."""
        number = 0
        while True:
            if self._entries and number < self._next:
                first = self._entries[0].number
                number = max(number, first)
                entry = self._entries[number - first]
                number += 1
                yield entry.line
            elif self.ended:
                return
            else:
                await self._grown.wait()


def encoded(message: Any) -> bytes:
    """Return a message as one line."""
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"

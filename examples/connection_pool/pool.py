"""The same pool with one line more: nobody who waits is forgotten."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connection import Connection

import creche


class Pool:
    """Opens up to `size` connections, and lends each to one client at a time."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._idle: list[Connection] = []
        self._returned = creche.Event()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self._take()
        try:
            yield connection
        finally:
            self._idle.append(connection)
            self._returned.set()

    async def _take(self) -> Connection:
        while not self._idle:
            if self._left:
                self._left -= 1
                return Connection()
            if self._returned.is_set():  # Else others wait for this very event.
                self._returned = creche.Event()
            await self._returned.wait()
        return self._idle.pop()

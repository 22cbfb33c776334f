"""What is asked of each library."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self


@dataclass(frozen=True)
class Servers:
    """Where the servers are."""

    postgres: str
    """The folder of the socket."""
    redis: str
    """The path of the socket."""
    folder: Path
    """An empty one, for files."""


class Library(Protocol):
    """One library, ready for use."""

    name: ClassVar[str]
    package: ClassVar[str]
    """What its version is asked of."""
    errors: ClassVar[frozenset[str]]
    """What a use may end with that is cut off under asyncio alone: names of exceptions."""
    logs: ClassVar[frozenset[str]]
    """What it logs and warns of when it is cut off under asyncio alone."""
    more_logs: ClassVar[frozenset[str]]
    """What it logs besides when its clean-up is cut off too."""

    @classmethod
    def opened(cls, servers: Servers) -> AbstractAsyncContextManager[Self]: ...

    async def use(self, number: int) -> None:
        """Do a small piece of work that waits for a server."""

    async def check(self) -> None:
        """See that all of it can be used, that answers are those of their questions, and nothing is half done."""


class Holding(Library, Protocol):
    """A library whose clean-up has to tell the server something."""

    keeps: ClassVar[bool]
    """Whether its pool keeps the connections of queries that are cut off under asyncio alone."""

    async def hold(self, number: int) -> None:
        """Wait for half a minute, for the server or while it holds something for us."""

    async def held(self) -> int:
        """Count the queries that run at the server, or what it holds."""

    async def lost(self) -> int:
        """Count the connections of its pool that were thrown away."""

    async def let_go(self) -> None:
        """End those that are left, so that the next test finds the server idle."""

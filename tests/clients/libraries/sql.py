"""Databases: PostgreSQL through asyncpg, psycopg and SQLAlchemy; SQLite through aiosqlite.

A use is a transaction with two rows and a query that takes a while. So a transaction that is half done
leaves one row, a connection that is out of step gives the answer to another question, and one that was
thrown away shows in the server's process numbers.
"""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, ClassVar, Self

import aiosqlite
import asyncpg
import psycopg
import psycopg_pool
from cuts import until
from databases import USER
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .kinds import Servers

SIZE = 5
SLOWLY = "select pg_sleep(0.005)"
OTHERS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
BUSY = f"select count(*) {OTHERS} and state <> 'idle'"
LONG = "select pg_sleep(30)"
LONG_QUERIES = f"from pg_stat_activity where state = 'active' and query = '{LONG}'"
HALF_DONE = (
    "select count(*) from (select number from rows group by number having count(*) <> 2) as x"
)

INTERRUPTED = frozenset({"psycopg: query cancellation interrupted (%s): closing connection"})
NOT_CLOSED = (
    "ResourceWarning: <> was deleted while still open. Please use 'with' or '.close()' to close the "
    "connection properly"
)


class Sql:
    """What the clients of PostgreSQL share."""

    errors: ClassVar[frozenset[str]] = frozenset()
    logs: ClassVar[frozenset[str]] = frozenset()
    more_logs: ClassVar[frozenset[str]] = frozenset()
    keeps: ClassVar[bool] = True

    def __init__(self, client: Any, observer: asyncpg.Connection) -> None:
        self.client = client
        self.observer = observer
        self.first: set[int] = set()
        """The processes of the server that a pool began with."""

    @classmethod
    @asynccontextmanager
    async def observing(cls, servers: Servers) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(host=servers.postgres, user=USER, database=USER)
        try:
            await connection.execute(
                "drop table if exists rows; create table rows (number integer)"
            )
            yield connection
        finally:
            await connection.close()

    async def check(self) -> None:
        await until(self.is_idle, "the backends are idle")
        assert await self.observer.fetchval(HALF_DONE) == 0

    async def is_idle(self) -> bool:
        return await self.observer.fetchval(BUSY) == 0

    async def held(self) -> int:
        running: int = await self.observer.fetchval(f"select count(*) {LONG_QUERIES}")
        return running

    async def processes(self) -> set[int]:
        return {row["pid"] for row in await self.observer.fetch(f"select pid {OTHERS}")}

    async def lost(self) -> int:
        return len(self.first - await self.processes())

    async def let_go(self) -> None:
        await self.observer.execute(f"select pg_terminate_backend(pid) {LONG_QUERIES}")


class Asyncpg(Sql):
    name = package = "asyncpg"
    more_logs = frozenset({"asyncio: Resetting connection with an active transaction <>"})

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        async with cls.observing(servers) as observer:
            async with asyncpg.create_pool(
                host=servers.postgres, user=USER, database=USER, min_size=SIZE, max_size=SIZE
            ) as pool:
                self = cls(pool, observer)
                self.first = await self.processes()
                yield self

    async def use(self, number: int) -> None:
        async with self.client.acquire() as connection, connection.transaction():
            await connection.execute("insert into rows values ($1)", number)
            await connection.execute(SLOWLY)
            assert await connection.fetchval("select $1::integer", number) == number
            await connection.execute("insert into rows values ($1)", number)

    async def hold(self, number: int) -> None:
        async with self.client.acquire() as connection:
            await connection.execute(LONG)

    async def check(self) -> None:
        connections = [await self.client.acquire() for _ in range(SIZE)]
        for number, connection in enumerate(connections):
            assert await connection.fetchval("select $1::integer", number) == number
        for connection in connections:
            await self.client.release(connection)
        assert self.client.get_idle_size() == SIZE
        await super().check()


class PsycopgPool(Sql):
    name, package = "psycopg_pool", "psycopg-pool"
    logs = frozenset({"psycopg.pool: rolling back returned connection: %s"})
    more_logs = frozenset({"psycopg.pool: discarding closed connection: %s", *INTERRUPTED})

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        about = f"host={servers.postgres} user={USER} dbname={USER}"
        async with cls.observing(servers) as observer:
            async with psycopg_pool.AsyncConnectionPool(
                about, min_size=SIZE, max_size=SIZE, open=False
            ) as pool:
                await pool.wait()
                self = cls(pool, observer)
                self.first = await self.processes()
                yield self

    async def use(self, number: int) -> None:
        async with self.client.connection() as connection:
            await use_psycopg(connection, number)

    async def hold(self, number: int) -> None:
        async with self.client.connection() as connection:
            await connection.execute(LONG)

    async def check(self) -> None:
        connections = [await self.client.getconn() for _ in range(SIZE)]
        for number, connection in enumerate(connections):
            cursor = await connection.execute("select %s::integer", (number,))
            assert await cursor.fetchone() == (number,)
        for connection in connections:
            await self.client.putconn(connection)
        await super().check()


class Psycopg(Sql):
    """A connection for each use."""

    name = package = "psycopg"
    logs = frozenset({NOT_CLOSED})
    more_logs = INTERRUPTED

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        async with cls.observing(servers) as observer:
            yield cls(f"host={servers.postgres} user={USER} dbname={USER}", observer)

    async def use(self, number: int) -> None:
        async with await psycopg.AsyncConnection.connect(self.client) as connection:
            await use_psycopg(connection, number)

    async def hold(self, number: int) -> None:
        async with await psycopg.AsyncConnection.connect(self.client) as connection:
            await connection.execute(LONG)

    async def check(self) -> None:
        await super().check()

        async def all_gone() -> bool:
            gc.collect()  # One that was cut off while it connected has no other end.
            return await self.observer.fetchval(f"select count(*) {OTHERS}") == 0

        await until(all_gone, "the connections are closed")


async def use_psycopg(connection: psycopg.AsyncConnection[Any], number: int) -> None:
    await connection.execute("insert into rows values (%s)", (number,))
    await connection.execute(SLOWLY)
    cursor = await connection.execute("select %s::integer", (number,))
    assert await cursor.fetchone() == (number,)
    await connection.execute("insert into rows values (%s)", (number,))


class SqlAlchemy(Sql):
    name = package = "sqlalchemy"
    keeps = False
    client: AsyncEngine

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        url = f"postgresql+asyncpg://{USER}@/{USER}?host={servers.postgres}"
        async with cls.observing(servers) as observer:
            engine = create_async_engine(url, pool_size=SIZE, max_overflow=0)
            try:
                self = cls(engine, observer)
                connections = [await engine.connect() for _ in range(SIZE)]
                for connection in connections:
                    await connection.close()
                self.first = await self.processes()
                yield self
            finally:
                await engine.dispose()

    async def use(self, number: int) -> None:
        async with self.client.begin() as connection:
            row = {"number": number}
            await connection.execute(text("insert into rows values (:number)"), row)
            await connection.execute(text(SLOWLY))
            same = await connection.scalar(text("select cast(:number as integer)"), row)
            assert same == number
            await connection.execute(text("insert into rows values (:number)"), row)

    async def hold(self, number: int) -> None:
        async with self.client.begin() as connection:
            await connection.execute(text(LONG))

    async def check(self) -> None:
        pool: Any = self.client.pool
        await until(lambda: pool.checkedout() == 0, "all connections are in the pool")
        connections = [await self.client.connect() for _ in range(SIZE)]
        for number, connection in enumerate(connections):
            same = await connection.scalar(text("select cast(:n as integer)"), {"n": number})
            assert same == number
            await connection.close()
        assert pool.checkedout() == 0
        await super().check()


class Aiosqlite:
    """A connection, which is a thread, and a file for each use.

    A connection that is closed while a cursor is not read to its end keeps its transaction, and the lock of
    the file, until the cursor is garbage: that is SQLite's way, and so under asyncio alone as well.
    """

    name = package = "aiosqlite"
    errors: ClassVar[frozenset[str]] = frozenset()
    logs: ClassVar[frozenset[str]] = frozenset({"ResourceWarning: unclosed database in <>"})
    more_logs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.threads = threading.active_count()

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        yield cls(servers.folder)

    async def use(self, number: int) -> None:
        async with aiosqlite.connect(self.folder / f"{number}.db") as connection:
            await connection.execute("pragma synchronous = off")
            await connection.execute("create table rows (number integer)")
            await connection.execute("insert into rows values (?)", (number,))
            async with connection.execute("select ?", (number,)) as cursor:
                assert await cursor.fetchone() == (number,)
            await connection.execute("insert into rows values (?)", (number,))
            await connection.commit()

    async def check(self) -> None:
        await until(lambda: threading.active_count() <= self.threads, "the threads end")
        gc.collect()
        files = list(self.folder.glob("*.db"))
        assert files
        for file in files:
            with closing(sqlite3.connect(file)) as connection:
                tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
                assert not tables or connection.execute(HALF_DONE).fetchone() == (0,)

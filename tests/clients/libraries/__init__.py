"""Libraries that were made for asyncio: how each is used, and how to see that it is whole.

    LIBRARIES   each by its name, a `Library`

What cuts their uses off, and what must hold then, is in `cuts.py` and `test_asyncio_libraries.py`.
"""

from __future__ import annotations

from .http import Aiohttp, Grpc, Websockets
from .kinds import Holding as Holding
from .kinds import Library as Library
from .kinds import Servers as Servers
from .sql import Aiosqlite, Asyncpg, Psycopg, PsycopgPool, SqlAlchemy
from .stores import Redis, RedisLock

LIBRARIES: dict[str, type[Library]] = {
    each.name: each
    for each in (
        Asyncpg, Psycopg, PsycopgPool, SqlAlchemy, Redis, RedisLock, Aiohttp, Grpc, Aiosqlite, Websockets,
    )
}  # fmt: skip
HOLDING: dict[str, type[Holding]] = {
    each.name: each for each in (Asyncpg, Psycopg, PsycopgPool, SqlAlchemy, RedisLock)
}

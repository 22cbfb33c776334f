"""Redis, and its lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar, Self

import redis.asyncio

from .kinds import Servers

SIZE = 5


class Redis:
    name = package = "redis"
    errors: ClassVar[frozenset[str]] = frozenset()
    logs: ClassVar[frozenset[str]] = frozenset()
    more_logs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.client = client

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            f"unix://{servers.redis}", max_connections=SIZE, timeout=30, decode_responses=True
        )
        client = redis.asyncio.Redis(connection_pool=pool)
        try:
            await client.flushall()
            yield cls(client)
        finally:
            await client.aclose()
            await pool.aclose()

    async def use(self, number: int) -> None:
        assert await self.client.echo(str(number)) == str(number)
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.incr("first").incr("second").echo(str(number))
            assert (await pipe.execute())[-1] == str(number)
        await self.client.blpop([f"nothing-{number}"], timeout=0.01)

    async def check(self) -> None:
        answers = await asyncio.gather(*(self.client.echo(str(n)) for n in range(4 * SIZE)))
        assert answers == [str(n) for n in range(4 * SIZE)]
        first, second = await self.client.mget("first", "second")
        assert first == second


class RedisLock(Redis):
    name = "redis.lock"
    keeps = True

    async def use(self, number: int) -> None:
        async with self.client.lock(f"lock-{number}", timeout=60):
            assert await self.client.echo(str(number)) == str(number)
            await asyncio.sleep(0.002)

    async def hold(self, number: int) -> None:
        async with self.client.lock(f"lock-{number}", timeout=60):
            await asyncio.sleep(30)

    async def held(self) -> int:
        return len(await self.client.keys("lock-*"))

    async def lost(self) -> int:
        return 0

    async def let_go(self) -> None:
        await self.client.flushall()

    async def check(self) -> None:
        answers = await asyncio.gather(*(self.client.echo(str(n)) for n in range(4 * SIZE)))
        assert answers == [str(n) for n in range(4 * SIZE)]

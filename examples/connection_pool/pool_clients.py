"""Three clients of one connection, for a test of either pool."""

from typing import Any

import creche


async def three_clients(pool: Any) -> None:
    """Each asks one question and gets its answer, the third when the first has just got it."""
    answers: list[str] = []

    async def client(question: str, pauses: int) -> None:
        for _ in range(pauses):
            await creche.sleep(0.005)
        async with pool.connection() as connection:
            answers.append(await connection.query(question))

    async with creche.create_task_group() as group:
        group.start_soon(client, "one", 0, name="client-1")
        group.start_soon(client, "two", 0, name="client-2")
        group.start_soon(client, "three", 2, name="client-3")
    assert sorted(answers) == ["ONE", "THREE", "TWO"]

"""The messages that are kept for pages: who comes late, reads slowly, or reads to the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

import creche
from creche._insight_view import history as module
from creche._insight_view.history import History


async def read(history: History) -> list[dict[str, Any]]:
    return [json.loads(line) async for line in history.follow()]


async def test_a_page_gets_what_was_told_and_what_comes() -> None:
    history = History()
    history.add({"t": 1, "full": True})
    seen: list[dict[str, Any]] = []

    async def follow() -> None:
        seen.extend(await read(history))

    async with creche.create_task_group() as group:
        group.start_soon(follow)
        await creche.wait_all_tasks_blocked()
        history.add({"t": 2})
        history.add({"t": 3, "end": "over"})
    assert [each["t"] for each in seen] == [1, 2, 3]
    history.add({"t": 4})
    assert [each["t"] for each in await read(history)] == [1, 2, 3]


async def test_what_is_kept_begins_with_a_full_message() -> None:
    history = History(kept=100)
    for t in range(400):
        history.add({"t": t, "full": True} if history.wants_full(t) else {"t": t})
    history.add({"t": 400, "end": "over"})
    seen = await read(history)
    assert seen[0]["full"] and 100 <= seen[-1]["t"] - seen[0]["t"] <= 100 + module.BETWEEN_FULL
    assert [each["t"] for each in seen] == list(range(seen[0]["t"], 401))


async def test_a_page_that_reads_slowly_goes_on_with_a_full_message() -> None:
    history = History(kept=100)
    history.add({"t": 0, "full": True})
    lines = history.follow()
    assert json.loads(await anext(lines))["t"] == 0
    for t in range(1, 400):
        history.add({"t": t, "full": True} if history.wants_full(t) else {"t": t})
    following = json.loads(await anext(lines))
    assert following["full"] and following["t"] > 200
    await lines.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_large_messages_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    history = History()
    for t in range(0, 6000, 60):
        history.add({"t": t, "full": True, "tasks": ["x" * 1000]})
    assert history._bytes < 12_000

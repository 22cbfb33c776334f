"""A cancelled group that another task leaves: its tasks end, and their errors are raised there."""

from __future__ import annotations

import pytest

from creche import (
    CancelScope,
    Event,
    create_task_group,
    sleep,
    sleep_forever,
)


class Broken(Exception):
    pass


async def test_its_tasks_end_and_their_errors_are_raised() -> None:
    group, entered, tried = create_task_group(), Event(), Event()
    ended: list[str] = []
    said: list[str] = []

    async def child(name: str) -> None:
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await sleep(0.01)
            ended.append(name)
            if name == "b":
                raise Broken(name)

    async def host() -> None:
        await group.__aenter__()
        for name in "ab":
            group.start_soon(child, name)
        entered.set()
        with CancelScope(shield=True):
            await tried.wait()
        await group.__aexit__(None, None, None)

    async def stranger() -> None:
        await entered.wait()
        group.cancel()
        with pytest.raises(ExceptionGroup) as caught:
            await group.__aexit__(None, None, None)
        said.extend(map(str, caught.value.exceptions))
        assert sorted(ended) == ["a", "b"]
        tried.set()

    async with create_task_group() as outer:
        outer.start_soon(host)
        outer.start_soon(stranger)
    text, broken = said
    assert "different task" in text
    assert broken == "b"

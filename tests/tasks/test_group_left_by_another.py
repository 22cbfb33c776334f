"""A cancelled group that another task leaves: its tasks end, and their errors are not lost."""

from __future__ import annotations

import pytest

from _harness._leaks import LoopReports
from creche import (
    CancelScope,
    Event,
    create_task_group,
    fail_after,
    sleep,
    sleep_forever,
)


class Broken(Exception):
    pass


async def test_its_tasks_end_and_their_errors_are_logged(loop_reports: LoopReports) -> None:
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
        try:
            await group.__aexit__(None, None, None)
        except* Broken:
            pass

    async def stranger() -> None:
        await entered.wait()
        group.cancel()
        with pytest.raises(RuntimeError) as caught:
            await group.__aexit__(None, None, None)
        said.append(str(caught.value))
        with fail_after(5):
            while not loop_reports.records:
                await sleep(0.005)
        assert sorted(ended) == ["a", "b"]
        tried.set()

    async with create_task_group() as outer:
        outer.start_soon(host)
        outer.start_soon(stranger)
    [text] = said
    assert "different task" in text
    assert "its tasks end, and a detached task waits for them" in text
    assert "Broken('b')" in "".join(loop_reports.take())


async def test_nothing_is_said_of_that_where_it_is_not_cancelled() -> None:
    group, entered, tried = create_task_group(), Event(), Event()

    async def host() -> None:
        await group.__aenter__()
        entered.set()
        await tried.wait()
        await group.__aexit__(None, None, None)

    async with create_task_group() as outer:
        outer.start_soon(host)
        await entered.wait()
        with pytest.raises(RuntimeError) as caught:
            await group.__aexit__(None, None, None)
        assert "detached" not in str(caught.value)
        tried.set()

"""watchfiles: changes of files arrive in a loop, from a thread that waits for them."""

from __future__ import annotations

from pathlib import Path

import anyio
from watchfiles import Change, awatch


async def test_changes_are_seen_and_the_watch_ends_when_told(tmp_path: Path) -> None:
    seen: set[tuple[Change, str]] = set()
    stop = anyio.Event()
    wanted = {(Change.added, str(tmp_path / "one")), (Change.added, str(tmp_path / "two"))}

    async def write() -> None:
        await anyio.Path(tmp_path / "one").write_text("1")
        await anyio.Path(tmp_path / "two").write_text("2")

    async with anyio.create_task_group() as group:
        watching = awatch(
            tmp_path, stop_event=stop, debounce=50, step=10, rust_timeout=20, yield_on_timeout=True
        )
        started = False
        async for changes in watching:
            if not started:  # a timeout: the watch is up
                started = True
                group.start_soon(write)
            seen |= changes
            if wanted <= seen:
                stop.set()
    assert wanted <= seen


async def test_a_watch_that_is_cancelled_leaves_its_thread(tmp_path: Path) -> None:
    with anyio.move_on_after(0.1) as scope:
        async for changes in awatch(tmp_path, debounce=50, step=10, rust_timeout=1000):
            raise AssertionError(changes)
    assert scope.cancelled_caught

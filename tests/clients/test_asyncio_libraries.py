"""Libraries made for asyncio, under Creche: real servers, 200 cuts each, with and without clean-up time.

PostgreSQL and Redis run for real (`databases.py`); what is cut off, and when, is in `cuts.py`. Each library
is used as its documentation shows. After the cuts all of it must be whole, and nothing may have been
logged, and no error raised, that is not so under asyncio alone, which is held to the same lists.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cuts import CUTS, Result, cut_all, cut_together, listening, nothing_is_left, run, until
from databases import Missing, postgres, redis
from libraries import HOLDING, LIBRARIES, Holding, Library, Servers

import creche

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "asyncio-libraries.md"
ORDINARY = 10
HOLDERS = 20
WAYS = {"asyncio": (None, True), "without": (None, False), "with": (5.0, False)}
"""By what a way is called: its `cleanup`, and whether it is asyncio's own."""


@pytest.fixture(scope="module")
def sockets() -> Iterator[tuple[str, str]]:
    try:
        with postgres() as first, redis() as second:
            yield first, second
    except Missing as missing:
        pytest.fail(str(missing))


@pytest.fixture
def servers(sockets: tuple[str, str], tmp_path: Path) -> Servers:
    return Servers(*sockets, tmp_path)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("library", LIBRARIES.values(), ids=lambda each: each.name)
def test_it_is_whole_after_many_cuts(
    library: type[Library],
    loop: str,
    way: str,
    servers: Servers,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cleanup, native = WAYS[way]
    result = Result()
    with listening() as result.logged:
        run(cuts_of, loop, library, servers, cleanup, native, result)
    with capsys.disabled():
        print(f"\n  {library.name:<12} {loop:<8} {way:<8} {result}", end=" ")
    assert sum(result.ended.values()) >= CUTS
    assert result.ended["cut"] > CUTS / 4
    assert set(result.ended) - {"cut", "done"} <= library.errors
    assert result.logged <= (library.logs if way != "without" else library.logs | library.more_logs)


async def cuts_of(
    library: type[Library], servers: Servers, cleanup: float | None, native: bool, result: Result
) -> None:
    before = asyncio.all_tasks()
    async with library.opened(servers) as opened:
        async with creche.create_task_group() as tg:
            for number in range(ORDINARY):
                tg.start_soon(opened.use, -2 - number)
        result.ended = await cut_all(opened.use, cleanup, native=native)
        await opened.check()
    await nothing_is_left(before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("library", HOLDING.values(), ids=lambda each: each.name)
def test_nothing_is_left_at_the_server(
    library: type[Holding],
    loop: str,
    way: str,
    servers: Servers,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cleanup, native = WAYS[way]
    with listening():  # The end of a backend whose work went on is told, too.
        left, lost = run(left_by, loop, library, servers, cleanup, native)
    with capsys.disabled():
        print(f"\n  {library.name:<12} {loop:<8} {way:<8} {left} left, {lost} lost ", end="")
    if cleanup and library.keeps:
        assert lost == 0


async def left_by(
    library: type[Holding], servers: Servers, cleanup: float | None, native: bool
) -> tuple[int, int]:
    async with library.opened(servers) as opened:

        async def none_is_held() -> bool:
            return await opened.held() == 0

        await cut_together(opened.hold, HOLDERS, cleanup, native=native)
        left = await opened.held()
        if cleanup:  # By itself it would take longer than we wait.
            await until(none_is_held, "the server was told")
        lost = await opened.lost()
        await opened.let_go()
        await opened.check()
    return left, lost


def test_the_documentation_names_the_versions_that_are_run() -> None:
    rows = re.findall(r"^\| ([A-Za-z.-]+) ([0-9.]+)[ ,]", DOCUMENTATION.read_text(), re.MULTILINE)
    assert dict(rows) == {
        library.package: importlib.metadata.version(library.package)
        for library in LIBRARIES.values()
    }

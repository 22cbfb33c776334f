"""`iterdir`, `glob`, `rglob` and `walk`: everything once, in batches, and where they are told."""

from __future__ import annotations

import gc
import os
import pathlib
import random
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from _disks import CountingLimiter

from _harness import open_descriptors
from creche import (
    BusyResourceError,
    CancelScope,
    CapacityLimiter,
    Path,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

MANY = 3000


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory with many entries."""
    directory = tmp_path_factory.mktemp("crowd")
    for number in range(MANY):
        (directory / f"{number}.txt").touch()
    return directory


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A tree of some 150 directories with files in them, the same in each run."""
    top = tmp_path_factory.mktemp("tree")
    chance = random.Random(4)
    directories = [top]
    for number in range(150):
        parent = chance.choice(directories[-20:])
        directories.append(parent / f"d{number}")
        directories[-1].mkdir()
        for name in range(chance.randrange(3)):
            (directories[-1] / f"f{name}").touch()
    return top


def listings(path: Path) -> list[AsyncIterator[Path]]:
    return [path.iterdir(), path.glob("*"), path.rglob("*.txt")]


# Everything, once, in few trips


async def test_a_crowded_directory_takes_few_trips_to_a_thread(crowd: pathlib.Path) -> None:
    expected = sorted(crowd.iterdir())
    limiter = CountingLimiter()
    path = Path(crowd, limiter=limiter)
    for number, listing in enumerate([path.iterdir(), path.glob("*")], 1):
        found = [path async for path in listing]
        assert sorted(found) == expected
        assert all(type(path) is Path for path in found)
        assert limiter.calls < number * MANY / 20


async def test_a_walk_takes_one_trip_to_a_thread_for_each_directory(tree: pathlib.Path) -> None:
    limiter = CountingLimiter()
    assert len([each async for each in Path(tree, limiter=limiter).walk()]) == 151
    assert limiter.calls <= 152


# A program that edits the tree as it goes


def plant(top: pathlib.Path) -> None:
    """Make the same tree anew: 36 directories with two files each."""
    shutil.rmtree(top, ignore_errors=True)
    for number in range(36):
        place = top / f"a{number // 6}" / f"b{number % 6}"
        place.mkdir(parents=True)
        for name in ("one.txt", "two.txt"):
            (place / name).touch()


def remove_the_other(seen: pathlib.Path, top: pathlib.Path) -> None:
    """At the first thing found, remove all that has not been looked at."""
    mine = seen.relative_to(top).parts[:1]
    if mine:
        for place in top.iterdir():
            if place.name != mine[0]:
                shutil.rmtree(place)


def remove_what_was_found(seen: pathlib.Path, top: pathlib.Path) -> None:
    if seen == top:
        return
    if seen.is_dir():
        shutil.rmtree(seen)
    elif seen.parent.exists():
        shutil.rmtree(seen.parent)


def add_below(seen: pathlib.Path, top: pathlib.Path) -> None:
    """Add a directory where others were found, to a certain depth."""
    if seen.is_dir() and len(seen.relative_to(top).parts) < 4:
        (seen / "new").mkdir(exist_ok=True)
        (seen / "new" / "new.txt").touch()


def add_elsewhere(seen: pathlib.Path, top: pathlib.Path) -> None:
    for place in top.iterdir():
        (place / "late").mkdir(exist_ok=True)
        (place / "late" / "late.txt").touch()


GOING: dict[str, Callable[[Any], Any]] = {
    "walk": lambda top: top.walk(),
    "walk upwards": lambda top: top.walk(False),
    "rglob": lambda top: top.rglob("*"),
    "rglob of files": lambda top: top.rglob("*.txt"),
    "recursive glob": lambda top: top.glob("**/*.txt"),
    "glob of parts": lambda top: top.glob("*/*/*.txt"),
    "glob": lambda top: top.glob("*"),
    "iterdir": lambda top: top.iterdir(),
}


ONLY_LATER = () if sys.version_info >= (3, 12) else ("walk", "walk upwards")
"""What pathlib does not have yet."""


@pytest.mark.parametrize(
    "edit", [remove_the_other, remove_what_was_found, add_below, add_elsewhere]
)
@pytest.mark.parametrize("way", [way for way in GOING if way not in ONLY_LATER])
async def test_a_program_that_edits_the_tree_sees_what_it_would_with_pathlib(
    way: str, edit: Callable[[pathlib.Path, pathlib.Path], None], tmp_path: pathlib.Path
) -> None:
    def shown(found: Any) -> tuple[pathlib.Path, Any]:
        if isinstance(found, tuple):
            path, *names = found
            return pathlib.Path(path), names
        return pathlib.Path(found), None

    top = tmp_path / "top"
    plant(top)
    expected: list[Any] = []
    try:
        for found in GOING[way](top):
            expected.append(shown(found))
            edit(expected[-1][0], top)
    except FileNotFoundError as exc:  # pathlib before 3.12 falls over what is gone
        expected.append(str(exc))
    plant(top)
    seen: list[Any] = []
    try:
        async for found in GOING[way](Path(top)):
            seen.append(shown(found))
            edit(seen[-1][0], top)
    except FileNotFoundError as exc:
        seen.append(str(exc))
    assert seen == expected


async def test_others_run_while_a_batch_is_handed_out(crowd: pathlib.Path) -> None:
    turns = 0
    over = False

    async def other() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await checkpoint()

    async with create_task_group() as group:
        group.start_soon(other)
        async for _ in Path(crowd).iterdir():
            pass
        over = True
    assert turns > 5


async def test_an_empty_directory_has_no_entries(tmp_path: pathlib.Path) -> None:
    for listing in listings(Path(tmp_path)):
        assert [path async for path in listing] == []
        assert await anext(listing, "over") == "over"


@pytest.mark.parametrize("count", [31, 32, 33, 1023, 1024, 1025])
async def test_a_batch_that_is_just_full_loses_nothing(tmp_path: pathlib.Path, count: int) -> None:
    for number in range(count):
        (tmp_path / str(number)).touch()
    assert len([path async for path in Path(tmp_path).iterdir()]) == count


async def test_relative_paths_stay_relative(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert [path async for path in Path().iterdir()] == [Path("a")]
    assert sorted([path async for path in Path().rglob("*")]) == [Path("a"), Path("a/b")]
    for top_down in (True, False):
        walked = [path async for path, *_ in Path().walk(top_down)]
        assert sorted(walked) == [Path(), Path("a"), Path("a/b")]


# Patterns


@pytest.mark.parametrize(
    "pattern", ["*", "**/*", "d1*", "*/f0", "**/f1", "d*/**", "nothing*", "d0"]
)
async def test_patterns_match_what_they_match_in_pathlib(tree: pathlib.Path, pattern: str) -> None:
    for kind in ("glob", "rglob"):
        theirs = sorted(getattr(tree, kind)(pattern))
        assert sorted([path async for path in getattr(Path(tree), kind)(pattern)]) == theirs


async def test_a_pattern_may_be_a_path(tree: pathlib.Path) -> None:
    found = [path async for path in Path(tree).glob(pathlib.PurePath("*", "f0"))]
    assert sorted(found) == sorted(tree.glob("*/f0"))


def test_wrong_patterns_are_refused_where_they_are_written(tmp_path: pathlib.Path) -> None:
    if sys.version_info >= (3, 13):  # before, pathlib itself looks at the first step
        with pytest.raises(ValueError, match="Unacceptable pattern"):
            Path(tmp_path).glob("")
        with pytest.raises(NotImplementedError, match="Non-relative"):
            Path(tmp_path).rglob("/x")


async def test_a_wrong_pattern_is_refused_at_the_first_step_at_the_latest(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(ValueError, match="Unacceptable pattern"):
        await anext(Path(tmp_path).glob(""))
    with pytest.raises(NotImplementedError, match="Non-relative"):
        await anext(Path(tmp_path).rglob("/x"))


async def test_options_of_patterns_work_where_pathlib_has_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "FILE").touch()
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    if sys.version_info >= (3, 12):
        found = [path.name async for path in Path(tmp_path).glob("file", case_sensitive=False)]
        assert found == ["FILE"]
    if sys.version_info >= (3, 13):
        theirs = len(list(tmp_path.rglob("FILE", recurse_symlinks=True)))
        ours = [path async for path in Path(tmp_path).rglob("FILE", recurse_symlinks=True)]
        assert len(ours) == theirs > 1


# Walks


def oracle(
    top: pathlib.Path, top_down: bool = True, prune: Callable[[list[str]], None] | None = None
) -> list[tuple[str, list[str], list[str]]]:
    seen: list[tuple[str, list[str], list[str]]] = []
    for path, names, files in os.walk(top, topdown=top_down):
        if prune is not None:
            prune(names)
        seen.append((path, list(names), files))
    return seen


@pytest.mark.parametrize("top_down", [True, False])
async def test_a_walk_goes_where_the_standard_one_goes(tree: pathlib.Path, top_down: bool) -> None:
    walk = Path(tree).walk(top_down)
    ours = [(str(path), names, files) async for path, names, files in walk]
    assert ours == oracle(tree, top_down)


def by_name(names: list[str]) -> None:
    names[:] = [name for name in names if int(name[1:]) % 5]


def by_order(names: list[str]) -> None:
    names.sort(reverse=True)


def almost_nothing(names: list[str]) -> None:
    if len(names) > 2:
        del names[1:]


def one_more(names: list[str]) -> None:
    names.append("no such directory")


@pytest.mark.parametrize("prune", [by_name, by_order, almost_nothing, one_more, list.clear])
async def test_a_walk_goes_where_it_is_told(
    tree: pathlib.Path, prune: Callable[[list[str]], None]
) -> None:
    ours: list[tuple[str, list[str], list[str]]] = []
    async for path, names, files in Path(tree).walk():
        prune(names)
        ours.append((str(path), list(names), files))
    assert ours == oracle(tree, prune=prune)


@pytest.mark.parametrize("seed", range(5))
async def test_a_walk_that_is_changed_now_and_then(tree: pathlib.Path, seed: int) -> None:
    def now_and_then(chance: random.Random) -> Callable[[list[str]], None]:
        def prune(names: list[str]) -> None:
            if names and chance.random() < 0.15:
                names.remove(chance.choice(names))

        return prune

    prune = now_and_then(random.Random(seed))
    ours: list[tuple[str, list[str], list[str]]] = []
    async for path, names, files in Path(tree).walk():
        prune(names)
        ours.append((str(path), list(names), files))
    assert ours == oracle(tree, prune=now_and_then(random.Random(seed)))


async def test_links_count_as_files_unless_they_are_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "broken").symlink_to("nothing")
    for top_down in (True, False):
        unfollowed = {
            path.name: (names, sorted(files))
            async for path, names, files in Path(tmp_path).walk(top_down)
        }
        assert unfollowed[tmp_path.name] == (["real"], ["broken", "link"])
        assert set(unfollowed) == {tmp_path.name, "real", "inner"}
        followed = {
            str(path.relative_to(tmp_path)): sorted(files)
            async for path, _, files in Path(tmp_path).walk(top_down, follow_symlinks=True)
        }
        assert followed["."] == ["broken"]
        assert set(followed) == {".", "real", "real/inner", "link", "link/inner"}


async def test_an_error_handler_that_raises_ends_the_walk(tmp_path: pathlib.Path) -> None:
    def refuse(error: OSError) -> None:
        raise error

    walk = Path(tmp_path / "gone").walk(on_error=refuse)
    with pytest.raises(FileNotFoundError):
        await anext(walk)
    assert await anext(walk, "over") == "over"


async def test_a_very_deep_tree_is_no_danger(tmp_path: pathlib.Path) -> None:
    depth = 1500
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert len([1 async for _ in Path(tmp_path).walk()]) == depth + 1
    upwards = [path async for path, *_ in Path(tmp_path).walk(top_down=False)]
    assert upwards.pop() == tmp_path
    for path in upwards:  # Python 3.11 could not remove it otherwise
        os.rmdir(path)
    assert len(upwards) == depth


# Leaving early


async def step(listing: AsyncIterator[Path]) -> Path:
    return await anext(listing)


async def test_an_iterator_that_is_dropped_leaves_nothing_open(crowd: pathlib.Path) -> None:
    before = open_descriptors()
    for listing in listings(Path(crowd)):
        async for _ in listing:
            break
    async for _ in Path(crowd).walk():
        break
    del listing
    gc.collect()
    assert open_descriptors() == before


async def test_an_iterator_can_be_closed(crowd: pathlib.Path, tree: pathlib.Path) -> None:
    iterators: list[Any] = [*listings(Path(crowd)), Path(tree).walk(), Path(tree).walk(False)]
    for iterator in iterators:
        await anext(iterator)
        await iterator.aclose()
        await iterator.aclose()
        assert await anext(iterator, "closed") == "closed"


async def test_a_cancelled_step_loses_no_entry(crowd: pathlib.Path) -> None:
    listing = Path(crowd).iterdir()
    found: list[Path] = []
    while True:
        with CancelScope() as scope:
            scope.cancel()
            await anext(listing)
        assert scope.cancelled_caught
        if (path := await anext(listing, None)) is None:
            break
        found.append(path)
    assert len(set(found)) == len(found) == MANY


async def test_a_cancel_while_a_batch_is_fetched_loses_none_of_it(crowd: pathlib.Path) -> None:
    limiter = CapacityLimiter(1)
    listing = Path(crowd, limiter=limiter).iterdir()
    limiter.acquire_on_behalf_of_nowait("somebody else")
    async with create_task_group() as group:
        group.start_soon(step, listing)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    limiter.release_on_behalf_of("somebody else")
    assert len([path async for path in listing]) == MANY


async def test_two_tasks_cannot_fetch_at_once(crowd: pathlib.Path) -> None:
    limiter = CapacityLimiter(1)
    listing = Path(crowd, limiter=limiter).iterdir()
    limiter.acquire_on_behalf_of_nowait("somebody else")
    async with create_task_group() as group:
        first = group.create_task(step(listing))
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already iterating over"):
            await anext(listing)
        limiter.release_on_behalf_of("somebody else")
    assert len([path async for path in listing]) == MANY - 1
    assert first.return_value.name.endswith(".txt")


async def test_two_tasks_share_an_iterator_item_by_item(crowd: pathlib.Path) -> None:
    listing = Path(crowd).iterdir()
    found: list[Path] = [await anext(listing)]

    async def consume() -> None:
        try:
            async for path in listing:
                found.append(path)  # noqa: PERF401  # what came before the error counts
        except BusyResourceError:
            pass  # the other is fetching, and goes on to the end

    async with create_task_group() as group:
        group.start_soon(consume)
        group.start_soon(consume)
    assert len(set(found)) == len(found) == MANY

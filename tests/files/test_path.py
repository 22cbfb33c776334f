"""`Path`: the same answers as `pathlib`, with the disk asked in threads."""

from __future__ import annotations

import copy
import inspect
import os
import pathlib
import pickle
import stat
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from _disks import CountingLimiter
from hypothesis import given
from hypothesis import strategies as st

from creche import CapacityLimiter, Path

PURE = {
    "as_posix", "as_uri", "from_uri", "full_match", "is_absolute", "is_relative_to",
    "is_reserved", "joinpath", "match", "relative_to", "with_name", "with_segments", "with_stem",
    "with_suffix",
}  # fmt: skip
ITERATORS = {"glob", "iterdir", "rglob", "walk"}
public = [name for name in dir(pathlib.Path) if not name.startswith("_")]
PLAIN = pathlib.PurePosixPath


# The same interface


@pytest.mark.parametrize("name", public)
def test_there_is_a_method_for_each_of_pathlib(name: str) -> None:
    theirs, ours = getattr(pathlib.Path, name), getattr(Path, name)
    if not callable(theirs):
        assert not callable(ours)
    elif name not in PURE | ITERATORS:
        assert inspect.iscoroutinefunction(ours)
    else:
        assert not inspect.iscoroutinefunction(ours)


@pytest.mark.parametrize("name", [name for name in public if callable(getattr(pathlib.Path, name))])
def test_its_arguments_are_those_of_pathlib(name: str) -> None:
    def arguments(function: Any) -> list[str]:
        parameters = inspect.signature(function).parameters.values()
        return [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]

    theirs, ours = arguments(getattr(pathlib.Path, name)), arguments(getattr(Path, name))
    renamed = {"pathsegments": "args", "pattern": "path_pattern", "formatstr": "pattern"}
    if name not in ("joinpath", "full_match", "match", "relative_to", "is_relative_to"):
        assert [each for each in theirs if each not in ours and each != "_deprecated"] == []
    else:
        assert len(ours) >= len([each for each in theirs if each not in ("_deprecated", *renamed)])


def test_there_is_nothing_that_this_python_does_not_have() -> None:
    more = {name for name in dir(Path) if not name.startswith("_")} - set(public)
    assert more <= {"limiter", "parser", "walk", "with_segments"}


# What only looks at the text

segments = st.text(st.sampled_from("ab./~ é-*"), max_size=8)


def same(ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    """Compare two results, or the exceptions in their place."""
    try:
        expected: Any = theirs()
    except Exception as exc:
        with pytest.raises(type(exc)):
            ours()
        return
    result = ours()
    if isinstance(expected, PLAIN):
        assert isinstance(result, Path)
    assert result == expected


@given(segments, segments)
def test_text_is_taken_apart_and_put_together_as_in_pathlib(first: str, second: str) -> None:
    ours, theirs = Path(first, second), pathlib.Path(first, second)
    assert str(ours) == str(theirs)
    assert os.fspath(ours) == os.fspath(theirs)
    assert bytes(ours) == bytes(theirs)
    assert repr(ours) == f"Path({theirs.as_posix()!r})"
    for name in ("parts", "drive", "root", "anchor", "name", "suffix", "suffixes", "stem"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.parent == theirs.parent
    assert list(ours.parents) == list(theirs.parents)
    same(lambda: ours.as_posix(), lambda: theirs.as_posix())
    same(lambda: ours.as_uri(), lambda: theirs.as_uri())
    same(lambda: ours.is_absolute(), lambda: theirs.is_absolute())
    same(lambda: ours / second, lambda: theirs / second)
    same(lambda: second / ours, lambda: second / theirs)
    same(lambda: ours.joinpath(first, second), lambda: theirs.joinpath(first, second))
    same(lambda: ours.with_name(second), lambda: theirs.with_name(second))
    same(lambda: ours.with_suffix(second), lambda: theirs.with_suffix(second))
    same(lambda: ours.match(second), lambda: theirs.match(second))
    same(lambda: ours.relative_to(first), lambda: theirs.relative_to(first))
    same(lambda: ours.relative_to(Path(first)), lambda: theirs.relative_to(first))
    same(lambda: ours.is_relative_to(Path(first)), lambda: theirs.is_relative_to(first))
    if second:
        same(lambda: ours.with_stem(second), lambda: theirs.with_stem(second))


@given(segments, segments)
def test_paths_compare_and_hash_as_pathlibs_and_with_them(first: str, second: str) -> None:
    ours, theirs = (Path(first), Path(second)), (pathlib.Path(first), pathlib.Path(second))
    assert ours[0] == theirs[0] and theirs[0] == ours[0]
    assert hash(ours[0]) == hash(theirs[0])
    assert (ours[0] == ours[1]) is (theirs[0] == theirs[1])
    assert (ours[0] < ours[1]) is (ours[0] < theirs[1]) is (theirs[0] < theirs[1])
    assert (ours[0] <= ours[1]) is (ours[0] <= theirs[1]) is (theirs[0] <= theirs[1])
    assert (ours[0] > ours[1]) is (ours[0] > theirs[1]) is (theirs[0] > theirs[1])
    assert (ours[0] >= ours[1]) is (ours[0] >= theirs[1]) is (theirs[0] >= theirs[1])
    assert Path(first) != first


def test_what_is_no_path_is_refused() -> None:
    for attempt in (
        lambda: Path(5),  # type: ignore[arg-type]
        lambda: Path(b"bytes"),  # type: ignore[arg-type]
        lambda: Path("a") / 5,  # type: ignore[operator]
        lambda: 5 / Path("a"),  # type: ignore[operator]
        lambda: Path("a") < "b",  # type: ignore[operator]
    ):
        with pytest.raises(TypeError):
            attempt()


def test_a_path_can_be_made_of_paths_and_given_where_one_is_taken(tmp_path: pathlib.Path) -> None:
    path = Path(Path(tmp_path), pathlib.Path("a"), "b")
    assert path == tmp_path / "a" / "b"
    assert tmp_path / path == path
    assert Path() == pathlib.Path()
    os.mkdir(Path(tmp_path) / "a")
    with open(path, "w") as file:
        file.write("x")
    assert isinstance(path, os.PathLike)
    assert path.parser is os.path


def test_an_empty_stem_needs_an_empty_suffix() -> None:
    with pytest.raises(ValueError, match="non-empty suffix"):
        Path("a.txt").with_stem("")
    with pytest.raises(ValueError, match="Invalid name"):
        Path("a").with_stem("")


def test_copies_and_pickles_are_equal() -> None:
    path = Path("/a/b")
    for other in (copy.copy(path), copy.deepcopy(path), pickle.loads(pickle.dumps(path))):
        assert other == path
        assert type(other) is Path


def test_newer_methods_are_there_where_pathlib_has_them() -> None:
    if sys.version_info >= (3, 13):
        assert Path("a/b/c.py").full_match("a/**/*.py")
        assert not Path("a/B").full_match("a/b", case_sensitive=True)
        limiter = CapacityLimiter(1)
        path = Path.from_uri("file:///a%20b", limiter=limiter)
        assert (path, path.limiter) == (pathlib.Path("/a b"), limiter)
    else:
        assert not hasattr(Path, "full_match")
        assert not hasattr(Path, "from_uri")
    if sys.version_info >= (3, 12):
        assert Path("a/b").relative_to("a/c", walk_up=True) == Path("../b")
        assert Path("A").match("a", case_sensitive=False)
    else:
        with pytest.raises(TypeError, match="walk_up"):
            Path("a/b").relative_to("a/c", walk_up=True)


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="pathlib has it no more")
def test_reserved_names_are_known() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert Path("CON").is_reserved() is pathlib.Path("CON").is_reserved()


class Labelled(Path):
    """A path with something more, which goes with all that comes of it."""

    __slots__ = ("label",)

    def __init__(self, *args: str | os.PathLike[str], label: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.label = label

    def with_segments(self, *pathsegments: str | os.PathLike[str]) -> Labelled:
        return type(self)(*pathsegments, label=self.label, limiter=self.limiter)


async def test_all_that_comes_of_a_path_is_made_by_with_segments(tmp_path: pathlib.Path) -> None:
    limiter = CapacityLimiter(3)
    path = Labelled(tmp_path, label="mine", limiter=limiter)
    await (path / "file").touch()
    await (path / "link").symlink_to("file")
    derived = [
        path / "x",
        path.parent,
        *path.parents,
        path.with_name("y"),
        path.relative_to(tmp_path.parent),
        await path.absolute(),
        await path.resolve(),
        await path.expanduser(),
        await (path / "link").readlink(),
        await (path / "link").rename(tmp_path / "renamed"),
        await (path / "renamed").replace(tmp_path / "again"),
        *[each async for each in path.iterdir()],
        *[each async for each in path.glob("*")],
        *[each async for each in path.rglob("*")],
        *[each async for each, *_ in path.walk()],
    ]
    for each in derived:
        assert isinstance(each, Labelled)
        assert each.label == "mine"
        assert each.limiter is limiter


async def test_every_question_goes_through_the_limiter_of_the_path(tmp_path: pathlib.Path) -> None:
    limiter = CountingLimiter()
    path = Path(tmp_path, limiter=limiter)
    await path.exists()
    await (path / "file").write_text("a")
    async with await (path / "file").open() as file:
        assert file.limiter is limiter
        await file.read()
    assert [each async for each in path.iterdir()] == [tmp_path / "file"]
    _ = [each async for each in path.walk()]
    assert limiter.calls == 7
    assert (await Path.cwd(limiter=limiter)).limiter is limiter
    assert (await Path.home(limiter=limiter)).limiter is limiter
    assert limiter.calls == 9
    assert Path(path).limiter is None


# What asks the disk


async def test_questions_get_the_answers_of_pathlib(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    (tmp_path / "broken").symlink_to("nothing")
    os.mkfifo(tmp_path / "fifo")
    names = ["file", "directory", "link", "broken", "fifo", "nothing"]
    for theirs in [*(tmp_path / name for name in names), pathlib.Path("/dev/null"), tmp_path]:
        ours = Path(theirs)
        for question in (
            "exists", "is_dir", "is_file", "is_block_device", "is_char_device", "is_fifo",
            "is_mount", "is_socket", "is_symlink",
        ):  # fmt: skip
            assert await getattr(ours, question)() is getattr(theirs, question)()
        assert await ours.absolute() == theirs.absolute()
        assert await ours.resolve() == theirs.resolve()
    directory, link = Path(tmp_path / "directory"), Path(tmp_path / "link")
    assert await link.readlink() == pathlib.Path("directory")
    assert await directory.samefile(link)
    assert await directory.samefile(str(link))
    assert not await directory.samefile(tmp_path)
    assert (await link.stat()).st_ino == (await directory.stat()).st_ino
    assert (await link.stat(follow_symlinks=False)).st_ino == (await link.lstat()).st_ino
    assert await Path("/").is_mount()
    with pytest.raises(FileNotFoundError):
        await Path(tmp_path / "nothing").resolve(strict=True)


async def test_options_that_came_later_work_where_pathlib_has_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "broken").symlink_to("nothing")
    broken = Path(tmp_path / "broken")
    if sys.version_info >= (3, 12):
        assert await broken.exists(follow_symlinks=False)
        assert not await broken.is_junction()
    else:
        with pytest.raises(TypeError, match="follow_symlinks"):
            await broken.exists(follow_symlinks=False)
    if sys.version_info >= (3, 13):
        assert not await broken.is_file(follow_symlinks=False)
        assert not await broken.is_dir(follow_symlinks=False)
        await broken.with_name("text").write_text("a\nb", newline="\r\n")
        assert await broken.with_name("text").read_text(newline="") == "a\r\nb"


async def test_owners_have_names(tmp_path: pathlib.Path) -> None:
    assert await Path(tmp_path).owner() == tmp_path.owner()
    assert await Path(tmp_path).group() == tmp_path.group()


async def test_places_are_those_of_pathlib(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await Path.cwd() == pathlib.Path.cwd()
    assert await Path.home() == pathlib.Path.home()
    assert await Path("~/x").expanduser() == pathlib.Path("~/x").expanduser()
    with pytest.raises(RuntimeError):
        await Path("~no such user/x").expanduser()


async def test_changes_are_made(tmp_path: pathlib.Path) -> None:
    path = Path(tmp_path)
    await (path / "a" / "b").mkdir(parents=True)
    await (path / "a").mkdir(exist_ok=True)
    with pytest.raises(FileExistsError):
        await (path / "a").mkdir()
    assert await (path / "a" / "file").write_text("text", encoding="utf-8") == 4
    assert await (path / "a" / "file").read_text("utf-8") == "text"
    assert await (path / "a" / "bytes").write_bytes(b"\x00\x01") == 2
    assert await (path / "a" / "bytes").read_bytes() == b"\x00\x01"
    await (path / "a" / "file").chmod(0o600)
    assert stat.S_IMODE((await (path / "a" / "file").stat()).st_mode) == 0o600
    await (path / "hard").hardlink_to(path / "a" / "file")
    await (path / "soft").symlink_to(path / "a" / "file")
    assert await (path / "hard").samefile(path / "soft")
    await (path / "touched").touch(mode=0o600)
    with pytest.raises(FileExistsError):
        await (path / "touched").touch(exist_ok=False)
    moved = await (path / "touched").rename(path / "renamed")
    assert moved == tmp_path / "renamed"
    assert await moved.replace(str(path / "hard")) == tmp_path / "hard"
    assert await (path / "hard").read_text() == ""
    for name in ("hard", "soft", "a/file", "a/bytes"):
        await (path / name).unlink()
    with pytest.raises(OSError, match="not empty"):
        await (path / "a").rmdir()
    await (path / "a" / "b").rmdir()
    await (path / "a").rmdir()
    assert list(tmp_path.iterdir()) == []


async def test_permissions_of_a_link_are_set_where_the_system_can(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    try:
        (tmp_path / "link").lchmod(0o600)
    except NotImplementedError as exc:
        with pytest.raises(type(exc)):
            await Path(tmp_path / "link").lchmod(0o600)
    else:
        await Path(tmp_path / "link").lchmod(0o644)
        assert stat.S_IMODE((tmp_path / "link").lstat().st_mode) == 0o644


async def test_opening_a_path(tmp_path: pathlib.Path) -> None:
    path = Path(tmp_path / "file")
    async with await path.open("w", encoding="utf-8", newline="\n") as file:
        await file.write("text\n")
    async with await path.open("rb") as binary:
        assert await binary.read() == b"text\n"
    async with await path.open() as text:
        assert [line async for line in text] == ["text\n"]


@pytest.mark.backends("asyncio")
async def test_the_newest_methods_copy_and_move(tmp_path: pathlib.Path) -> None:
    names = ("copy", "copy_into", "move", "move_into", "info")
    assert [hasattr(Path, name) for name in names] == [sys.version_info >= (3, 14)] * 5
    if sys.version_info >= (3, 14):
        source = Path(tmp_path / "source")
        await source.write_text("text")
        await (source.with_name("into")).mkdir()
        copied = await source.copy(Path(tmp_path / "copied"))
        assert await (await copied.copy_into(tmp_path / "into")).read_text() == "text"
        moved = await copied.move(tmp_path / "moved")
        assert await (await moved.move_into(tmp_path / "into")).exists()
        assert source.info.exists()


# Iterators are not coroutines, so that `async for` needs no await


async def test_iterators_are_made_without_waiting(tmp_path: pathlib.Path) -> None:
    path = Path(tmp_path)
    iterators: list[AsyncIterator[Any]] = [
        path.iterdir(), path.glob("*"), path.rglob("*"), path.walk(),
    ]  # fmt: skip
    for iterator in iterators:
        assert not isinstance(iterator, Awaitable)
        assert aiter(iterator) is iterator

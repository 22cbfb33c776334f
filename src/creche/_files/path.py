"""`Path`: `pathlib.Path` with async methods for what needs the disk.

Owns the methods that need the disk; each makes its call in a thread. `pure_path.py` has those that need
the text alone, `base.py` the state and the methods that depend on the version of Python.

Rules
-----
* Each method is pathlib's own, with its arguments, its result and its errors; a path in the result
  is made by `with_segments`, so it has the limiter of this one.
* Every async method is a checkpoint. One that was cancelled before its turn did nothing; one that
  runs is waited for.
* Iterators fetch the entries of one directory in batches (`listing.py`).
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from os import PathLike
from typing import Any, Self, overload

from .._hints import OpenBinaryMode, OpenTextMode, ReadableBuffer
from .._sync import CapacityLimiter
from .base import plain, said
from .file import AsyncFile, open_file
from .listing import Listing, PathWalk, Walk, bottom_up
from .pure_path import PathNames
from .thread import in_thread


class Path(PathNames):
    """A path whose methods that need the disk are async; otherwise like `pathlib.Path`.

    It is not a `pathlib.Path`, but it equals one of the same name. It is an `os.PathLike`, and works
    wherever one is accepted.

    ```python
    import creche
    from creche import Path


    async def main() -> None:
        here = Path(__file__).parent
        print(await here.is_dir(), [path.name async for path in here.glob("*.none")])
    ```

    :param args: the segments
    :param limiter: what bounds the number of calls that run at a time, for this path and all that
        derive from it; None for the event loop's own
    """

    __slots__ = ()

    def _derive(self, path: pathlib.Path) -> Self:
        cls = type(self)
        if cls is not Path:
            return self.with_segments(path)
        new = object.__new__(cls)
        new._path = path
        new._limiter = self._limiter
        return new

    # Other paths

    @classmethod
    async def cwd(cls, *, limiter: CapacityLimiter | None = None) -> Self:
        """Return the current directory, as a path with the given limiter."""
        return cls(await in_thread(pathlib.Path.cwd, limiter=limiter), limiter=limiter)

    @classmethod
    async def home(cls, *, limiter: CapacityLimiter | None = None) -> Self:
        """Return the user's home directory, as a path with the given limiter."""
        return cls(await in_thread(pathlib.Path.home, limiter=limiter), limiter=limiter)

    async def absolute(self) -> Self:
        """Return the path from the root on, with `..` and links left as they are."""
        return await self._new(self._path.absolute)

    async def expanduser(self) -> Self:
        """Replace `~` at the beginning. RuntimeError if there is no such home."""
        return await self._new(self._path.expanduser)

    async def resolve(self, strict: bool = False) -> Self:
        """Follow all links, and make the path absolute; if `strict`, all of it must exist."""
        return await self._new(self._path.resolve, strict)

    async def readlink(self) -> Self:
        """Return where a symbolic link points."""
        return await self._new(self._path.readlink)

    async def rename(self, target: str | pathlib.PurePath | Path) -> Self:
        """Give the file or directory another path, and return that."""
        return await self._new(self._path.rename, plain(target))

    async def replace(self, target: str | pathlib.PurePath | Path) -> Self:
        """Do what `rename` does, replacing a file that is there."""
        return await self._new(self._path.replace, plain(target))

    # Questions

    async def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Tell whether there is anything at the path."""
        return await self._run(self._path.exists, follow_symlinks=follow_symlinks)

    async def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Tell whether it is a directory."""
        return await self._run(self._path.is_dir, follow_symlinks=follow_symlinks)

    async def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Tell whether it is a regular file."""
        return await self._run(self._path.is_file, follow_symlinks=follow_symlinks)

    async def is_block_device(self) -> bool:
        """Tell whether it is a block device."""
        return await self._run(self._path.is_block_device)

    async def is_char_device(self) -> bool:
        """Tell whether it is a character device."""
        return await self._run(self._path.is_char_device)

    async def is_fifo(self) -> bool:
        """Tell whether it is a named pipe."""
        return await self._run(self._path.is_fifo)

    async def is_mount(self) -> bool:
        """Tell whether another file system begins at the path."""
        return await self._run(self._path.is_mount)

    async def is_socket(self) -> bool:
        """Tell whether it is a UNIX socket."""
        return await self._run(self._path.is_socket)

    async def is_symlink(self) -> bool:
        """Tell whether it is a symbolic link."""
        return await self._run(self._path.is_symlink)

    async def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return what the system knows about the file."""
        return await self._run(self._path.stat, follow_symlinks=follow_symlinks)

    async def lstat(self) -> os.stat_result:
        """Do what `stat` does, for a symbolic link itself."""
        return await self._run(self._path.lstat)

    async def owner(self, *, follow_symlinks: bool = True) -> str:
        """Return the name of the file's owner. KeyError if there is none."""
        return await self._run(self._path.owner, follow_symlinks=follow_symlinks)

    async def group(self, *, follow_symlinks: bool = True) -> str:
        """Return the name of the file's group. KeyError if there is none."""
        return await self._run(self._path.group, follow_symlinks=follow_symlinks)

    async def samefile(self, other_path: str | PathLike[str]) -> bool:
        """Tell whether both paths lead to the same file."""
        return await self._run(self._path.samefile, plain(other_path))

    # What is in a directory

    def iterdir(self) -> AsyncIterator[Self]:
        """Go over what is in the directory, in no order. The first step raises OSError if it is not one."""
        return Listing(self._path.iterdir, self._derive, self._limiter)

    def glob(
        self,
        pattern: str | PathLike[str],
        *,
        case_sensitive: bool | None = None,
        recurse_symlinks: bool = False,
    ) -> AsyncIterator[Self]:
        """Go over what matches a pattern below this directory, in no order.

        :param pattern: a relative pattern; `**` stands for any number of directories
        :param case_sensitive: None for what is usual on this system (from Python 3.12 on)
        :param recurse_symlinks: whether `**` follows symbolic links (from Python 3.13 on)
        :raises ValueError: the pattern is empty
        :raises NotImplementedError: the pattern is not relative
        """
        options = {"case_sensitive": case_sensitive, "recurse_symlinks": recurse_symlinks}
        plain_pattern = _pattern(pattern)
        found = self._path.glob(plain_pattern, **said(options))
        many = not _in_one_directory(str(plain_pattern))
        return Listing(partial(iter, found), self._derive, self._limiter, one_by_one=many)

    def rglob(
        self,
        pattern: str | PathLike[str],
        *,
        case_sensitive: bool | None = None,
        recurse_symlinks: bool = False,
    ) -> AsyncIterator[Self]:
        """Go over what matches a pattern in this directory and all below, as `glob("**/" ...)`.

        :param pattern: a relative pattern
        :param case_sensitive: None for what is usual on this system (from Python 3.12 on)
        :param recurse_symlinks: whether to follow symbolic links (from Python 3.13 on)
        :raises NotImplementedError: the pattern is not relative
        """
        options = {"case_sensitive": case_sensitive, "recurse_symlinks": recurse_symlinks}
        found = self._path.rglob(_pattern(pattern), **said(options))
        return Listing(partial(iter, found), self._derive, self._limiter, one_by_one=True)

    def walk(
        self,
        top_down: bool = True,
        on_error: Callable[[OSError], object] | None = None,
        follow_symlinks: bool = False,
    ) -> AsyncIterator[tuple[Self, list[str], list[str]]]:
        """Go over the directories of a tree: each with the names of its directories and files.

        :param top_down: whether a directory comes before those in it; then the list of directories
            may be changed, and the walk follows it
        :param on_error: a function that is called, in the event loop, with the error of a directory
            that cannot be read; that one is left out
        :param follow_symlinks: whether links to directories count as directories, not as files
        """
        top = str(self._path)
        directories: Any
        if top_down:
            directories = Walk(top, follow_symlinks, self._limiter)
        else:
            begin = partial(bottom_up, top, follow_symlinks)
            directories = Listing(begin, _itself, self._limiter, one_by_one=True)
        return PathWalk(directories, self._at, on_error)

    def _at(self, path: str) -> Self:
        return self._derive(pathlib.Path(path))

    # Changes

    async def chmod(self, mode: int, *, follow_symlinks: bool = True) -> None:
        """Set the permissions."""
        await self._run(self._path.chmod, mode, follow_symlinks=follow_symlinks)

    async def lchmod(self, mode: int) -> None:
        """Set the permissions of a symbolic link itself, where the system can."""
        await self._run(self._path.lchmod, mode)

    async def hardlink_to(self, target: str | bytes | PathLike[str] | PathLike[bytes]) -> None:
        """Make this path a hard link to `target`."""
        await self._run(self._path.hardlink_to, plain(target))

    async def symlink_to(
        self,
        target: str | bytes | PathLike[str] | PathLike[bytes],
        target_is_directory: bool = False,
    ) -> None:
        """Make this path a symbolic link to `target`. Windows needs to know whether that is a directory."""
        await self._run(self._path.symlink_to, plain(target), target_is_directory)

    async def mkdir(
        self,
        mode: int = 0o777,
        parents: bool = False,
        exist_ok: bool = False,
        *,
        parent_mode: int | None = None,
    ) -> None:
        """Make a directory, and its missing parents if asked to.

        :param parent_mode: the permissions of those parents; needs Python 3.15
        """
        await self._run(self._path.mkdir, mode, parents, exist_ok, parent_mode=parent_mode)

    async def rmdir(self) -> None:
        """Remove an empty directory."""
        await self._run(self._path.rmdir)

    async def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Make an empty file, or set the time of one that is there."""
        await self._run(self._path.touch, mode, exist_ok)

    async def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file or a symbolic link."""
        await self._run(self._path.unlink, missing_ok)

    # Contents

    @overload
    async def open(
        self,
        mode: OpenBinaryMode,
        buffering: int = ...,
        encoding: str | None = ...,
        errors: str | None = ...,
        newline: str | None = ...,
    ) -> AsyncFile[bytes]: ...

    @overload
    async def open(
        self,
        mode: OpenTextMode = ...,
        buffering: int = ...,
        encoding: str | None = ...,
        errors: str | None = ...,
        newline: str | None = ...,
    ) -> AsyncFile[str]: ...

    @overload
    async def open(
        self,
        mode: str,
        buffering: int = ...,
        encoding: str | None = ...,
        errors: str | None = ...,
        newline: str | None = ...,
    ) -> AsyncFile[Any]: ...

    async def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> AsyncFile[Any]:
        """Open the file as `open_file` does, with this path's limiter."""
        return await open_file(
            self._path, mode, buffering, encoding, errors, newline, limiter=self._limiter
        )

    async def read_bytes(self) -> bytes:
        """Read the whole file."""
        return await self._run(self._path.read_bytes)

    async def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """Read the whole file as text; `newline` from Python 3.13 on."""
        return await self._run(self._path.read_text, encoding, errors, newline=newline)

    async def write_bytes(self, data: ReadableBuffer) -> int:
        """Replace the file's contents by these bytes; return how many they are."""
        return await self._run(self._path.write_bytes, data)

    async def write_text(
        self,
        data: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> int:
        """Replace the file's contents by this text; return its number of characters."""
        return await self._run(self._path.write_text, data, encoding, errors, newline=newline)


def _pattern(pattern: str | PathLike[str]) -> str:
    return pattern if isinstance(pattern, str) else os.fspath(pattern)


def _in_one_directory(pattern: str) -> bool:
    """Tell whether pathlib reads one directory for a pattern, all of it before the first match."""
    return "**" not in pattern and len(pathlib.PurePath(pattern).parts) == 1


def _itself(directory: Any) -> Any:
    return directory

"""`PathBase`: the state of an async path, and the methods that not every version of Python has.

Owns the plain path and the limiter, both fixed for life. `_run` calls a method of the plain path in a
thread, `_derive` makes an async path of a plain one, `_new` does both.

Rules
-----
* A method that came or went with a version of Python is here, and exists exactly where
  `pathlib.Path` has it: `hasattr` tells the truth, and type checkers know since which version it
  exists.
* An argument that came with a version is passed on only if it was given; then an older Python
  refuses it by itself.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import Any, Self, TypeVar

from .._sync import CapacityLimiter
from .thread import in_thread

if sys.version_info >= (3, 14):
    from pathlib.types import PathInfo

T = TypeVar("T")

UNSAID = {
    "case_sensitive": None,
    "follow_symlinks": True,
    "newline": None,
    "parent_mode": None,
    "preserve_metadata": False,
    "recurse_symlinks": False,
    "walk_up": False,
}
"""Arguments that older versions lack, with their default values."""


def said(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that have to be passed on."""
    return {name: value for name, value in options.items() if value is not UNSAID[name]}


def plain(path: Any) -> Any:
    """Return what pathlib gets in place of `path`: its own kind of path for one of ours."""
    return path.__plain__() if isinstance(path, PathBase) else path


class PathBase:
    """The base of `Path`."""

    __slots__ = ("__weakref__", "_limiter", "_path")

    _path: pathlib.Path
    _limiter: CapacityLimiter | None

    def __init__(self, *args: str | PathLike[str], limiter: CapacityLimiter | None = None) -> None:
        self._path = pathlib.Path(*args)
        self._limiter = limiter

    def __plain__(self) -> pathlib.Path:
        return self._path

    def _derive(self, path: pathlib.Path) -> Self:
        raise NotImplementedError

    async def _run(self, func: Callable[..., T], *args: Any, **options: Any) -> T:
        if options and (given := said(options)):
            func = partial(func, **given)
        return await in_thread(func, *args, limiter=self._limiter)

    async def _new(self, func: Callable[..., pathlib.Path], *args: Any, **options: Any) -> Self:
        return self._derive(await self._run(func, *args, **options))

    if sys.version_info < (3, 15):

        def is_reserved(self) -> bool:
            """Tell whether the name is reserved on Windows. Deprecated, and gone in Python 3.15."""
            return self._path.is_reserved()

    if sys.version_info < (3, 12):

        async def link_to(self, target: str | bytes | PathLike[str] | PathLike[bytes]) -> None:
            """Make `target` a hard link to this file. Deprecated: `target.hardlink_to(self)`."""
            old: Any = self._path
            await self._run(old.link_to, plain(target))

    if sys.version_info >= (3, 12):

        async def is_junction(self) -> bool:
            """Tell whether the path is a junction, which only Windows has."""
            return await self._run(self._path.is_junction)

    if sys.version_info >= (3, 13):

        @classmethod
        def from_uri(cls, uri: str, *, limiter: CapacityLimiter | None = None) -> Self:
            """Make a path of a `file:` URI.

            :param limiter: what bounds the number of calls of this path that run at a time
            :raises ValueError: it is not the URI of a file, or not absolute
            """
            return cls(pathlib.Path.from_uri(uri), limiter=limiter)

        def full_match(self, path_pattern: str, *, case_sensitive: bool | None = None) -> bool:
            """Tell whether the whole path matches a pattern, in which `**` stands for many parts.

            :param case_sensitive: None for what is usual on this system
            """
            return self._path.full_match(path_pattern, case_sensitive=case_sensitive)

    if sys.version_info >= (3, 14):

        @property
        def info(self) -> PathInfo:
            """What is known about the file without asking again; its methods may block."""
            return self._path.info

        async def copy(
            self,
            target: str | PathLike[str],
            *,
            follow_symlinks: bool = True,
            preserve_metadata: bool = False,
        ) -> Self:
            """Copy this file or tree to `target`, replacing a file; return the new path."""
            options = {"follow_symlinks": follow_symlinks, "preserve_metadata": preserve_metadata}
            return await self._new(self._path.copy, plain(target), **options)

        async def copy_into(
            self,
            target_dir: str | PathLike[str],
            *,
            follow_symlinks: bool = True,
            preserve_metadata: bool = False,
        ) -> Self:
            """Copy this file or tree into a directory; return the new path."""
            options = {"follow_symlinks": follow_symlinks, "preserve_metadata": preserve_metadata}
            return await self._new(self._path.copy_into, plain(target_dir), **options)

        async def move(self, target: str | PathLike[str]) -> Self:
            """Move this file or tree to `target`, also to another disk; return the new path."""
            return await self._new(self._path.move, plain(target))

        async def move_into(self, target_dir: str | PathLike[str]) -> Self:
            """Move this file or tree into a directory; return the new path."""
            return await self._new(self._path.move_into, plain(target_dir))

"""`PathNames`: what a path's text alone tells, as in pathlib.

Owns how a path is shown, compared and put together. Knows no disk, so nothing here is async.

Rules
-----
* Each method is pathlib's own, with its arguments, its result and its errors; a path in the result
  is made by `with_segments`, so it has the limiter of this one.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from os import PathLike
from types import ModuleType
from typing import Any, ClassVar, Self

from .._sync import CapacityLimiter
from .base import PathBase, plain, said


class PathNames(PathBase):
    """What `Path` has in common with `pathlib.PurePath`."""

    __slots__ = ()

    parser: ClassVar[ModuleType] = os.path
    """The module that splits and joins the text of paths."""

    def __fspath__(self) -> str:
        return str(self._path)

    def __str__(self) -> str:
        return str(self._path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.as_posix()!r})"

    def __bytes__(self) -> bytes:
        return bytes(self._path)

    def __hash__(self) -> int:
        return hash(self._path)

    def __eq__(self, other: object) -> bool:
        return self._path.__eq__(plain(other))

    def __lt__(self, other: pathlib.PurePath | PathNames) -> bool:
        return self._path.__lt__(plain(other))

    def __le__(self, other: pathlib.PurePath | PathNames) -> bool:
        return self._path.__le__(plain(other))

    def __gt__(self, other: pathlib.PurePath | PathNames) -> bool:
        return self._path.__gt__(plain(other))

    def __ge__(self, other: pathlib.PurePath | PathNames) -> bool:
        return self._path.__ge__(plain(other))

    def __truediv__(self, other: str | PathLike[str]) -> Self:
        return self._derive(self._path / plain(other))

    def __rtruediv__(self, other: str | PathLike[str]) -> Self:
        return self._derive(other / self._path)

    @property
    def limiter(self) -> CapacityLimiter | None:
        """What bounds the number of calls, None for the event loop's own limiter."""
        return self._limiter

    @property
    def parts(self) -> tuple[str, ...]:
        """The components, the anchor among them."""
        return self._path.parts

    @property
    def drive(self) -> str:
        """The drive; empty on systems without drives."""
        return self._path.drive

    @property
    def root(self) -> str:
        """The root; empty for a relative path."""
        return self._path.root

    @property
    def anchor(self) -> str:
        """The drive and the root."""
        return self._path.anchor

    @property
    def name(self) -> str:
        """The last component."""
        return self._path.name

    @property
    def suffix(self) -> str:
        """The last suffix of the name, with its dot."""
        return self._path.suffix

    @property
    def suffixes(self) -> list[str]:
        """All suffixes of the name."""
        return self._path.suffixes

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return self._path.stem

    @property
    def parent(self) -> Self:
        """The path without its last component."""
        return self._derive(self._path.parent)

    @property
    def parents(self) -> Sequence[Self]:
        """The parent, its parent and so on."""
        return tuple(self._derive(path) for path in self._path.parents)

    def as_posix(self) -> str:
        """Return the path with forward slashes."""
        return self._path.as_posix()

    def as_uri(self) -> str:
        """Return the path as a `file:` URI. ValueError for a relative one."""
        return self._path.as_uri()

    def is_absolute(self) -> bool:
        """Tell whether the path begins at a root."""
        return self._path.is_absolute()

    def is_relative_to(self, other: str | PathLike[str]) -> bool:
        """Tell whether the path is `other` or below it."""
        return self._path.is_relative_to(plain(other))

    def joinpath(self, *args: str | PathLike[str]) -> Self:
        """Append segments; an absolute one replaces what is before it."""
        return self._derive(self._path.joinpath(*map(plain, args)))

    def match(self, path_pattern: str, *, case_sensitive: bool | None = None) -> bool:
        """Tell whether the path matches a pattern, from its end if that is relative."""
        return self._path.match(path_pattern, **said({"case_sensitive": case_sensitive}))

    def relative_to(self, *other: str | PathLike[str], walk_up: bool = False) -> Self:
        """Return the path as seen from another one.

        :param walk_up: whether `..` may be part of it (from Python 3.12 on)
        :raises ValueError: the path is not below `other`
        """
        others: Any = map(plain, other)
        return self._derive(self._path.relative_to(*others, **said({"walk_up": walk_up})))

    def with_segments(self, *pathsegments: str | PathLike[str]) -> Self:
        """Make a path of the same kind. Every path that derives from this one is made by it.

        A subclass may override it to hand on more than the limiter.
        """
        return type(self)(*pathsegments, limiter=self._limiter)

    def with_name(self, name: str) -> Self:
        """Return the path with another name. ValueError if it has none, or `name` is not one."""
        return self._derive(self._path.with_name(name))

    def with_stem(self, stem: str) -> Self:
        """Return the path with another name but the same suffix.

        :raises ValueError: the path has no name, or the new one would be a suffix alone
        """
        if not stem and self._path.suffix:
            raise ValueError(
                f"{self._path!r} has a non-empty suffix: without a stem it would become the name"
            )
        return self._derive(self._path.with_stem(stem))

    def with_suffix(self, suffix: str) -> Self:
        """Return the path with another suffix, or none. ValueError if `suffix` is not one."""
        return self._derive(self._path.with_suffix(suffix))

"""Temporary files and directories: the standard library's `tempfile`, made and removed in threads.

Owns the clean-up at the end of a with-block. Uses the disk only through `tempfile`.

    new --async with--> open --end of the block--> gone      closed and removed, whatever is
                                                             cancelled

Rules
-----
* What was made is removed also if the caller is cancelled at that moment.
* What an older Python's `tempfile` cannot do is done here: `delete_on_close` and `delete` before
  Python 3.12.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import IO, Any, AnyStr, Generic, overload

from .._hints import OpenBinaryMode, OpenTextMode
from .file import AsyncFile
from .thread import for_certain, in_thread


class _Block:
    """Something that exists for the length of an `async with` block."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        raise NotImplementedError


class _FileBlock(_Block, Generic[AnyStr]):
    """A file that `_open` makes for the block."""

    _open: Callable[[], IO[AnyStr]]
    _file: AsyncFile[AnyStr]

    async def __aenter__(self) -> AsyncFile[AnyStr]:
        self._file = AsyncFile(await in_thread(self._open))
        return self._file


class TemporaryFile(_FileBlock[AnyStr]):
    """A temporary file without a name; `async with` opens it and removes it.

    :param mode: how to open it; what follows is as for `open`
    :param suffix: how its name ends, on systems where it has one; `prefix`: how it begins
    :param dir: the directory it is made in
    """

    @overload
    def __init__(
        self: TemporaryFile[bytes],
        mode: OpenBinaryMode = ...,
        buffering: int = ...,
        encoding: str | None = ...,
        newline: str | None = ...,
        suffix: str | None = ...,
        prefix: str | None = ...,
        dir: str | None = ...,
        *,
        errors: str | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: TemporaryFile[str],
        mode: OpenTextMode,
        buffering: int = ...,
        encoding: str | None = ...,
        newline: str | None = ...,
        suffix: str | None = ...,
        prefix: str | None = ...,
        dir: str | None = ...,
        *,
        errors: str | None = ...,
    ) -> None: ...

    def __init__(
        self,
        mode: OpenTextMode | OpenBinaryMode = "w+b",
        buffering: int = -1,
        encoding: str | None = None,
        newline: str | None = None,
        suffix: str | None = None,
        prefix: str | None = None,
        dir: str | None = None,
        *,
        errors: str | None = None,
    ) -> None:
        make: Any = tempfile.TemporaryFile
        self._open = partial(
            make, mode, buffering, encoding, newline, suffix, prefix, dir, errors=errors
        )

    async def _end(self) -> None:
        await self._file.aclose()


class NamedTemporaryFile(_FileBlock[AnyStr]):
    """A temporary file with a name; `async with` makes it and removes it.

    The path is the `name` of the file that the with-block gets.

    :param mode: how to open it; what follows is as for `open`
    :param suffix: how its name ends; `prefix`: how it begins
    :param dir: the directory it is made in
    :param delete: whether it is removed, when it is closed or when the block ends
    :param delete_on_close: whether it is removed as soon as it is closed
    """

    @overload
    def __init__(
        self: NamedTemporaryFile[bytes],
        mode: OpenBinaryMode = ...,
        buffering: int = ...,
        encoding: str | None = ...,
        newline: str | None = ...,
        suffix: str | None = ...,
        prefix: str | None = ...,
        dir: str | None = ...,
        delete: bool = ...,
        *,
        errors: str | None = ...,
        delete_on_close: bool = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: NamedTemporaryFile[str],
        mode: OpenTextMode,
        buffering: int = ...,
        encoding: str | None = ...,
        newline: str | None = ...,
        suffix: str | None = ...,
        prefix: str | None = ...,
        dir: str | None = ...,
        delete: bool = ...,
        *,
        errors: str | None = ...,
        delete_on_close: bool = ...,
    ) -> None: ...

    def __init__(
        self,
        mode: OpenBinaryMode | OpenTextMode = "w+b",
        buffering: int = -1,
        encoding: str | None = None,
        newline: str | None = None,
        suffix: str | None = None,
        prefix: str | None = None,
        dir: str | None = None,
        delete: bool = True,
        *,
        errors: str | None = None,
        delete_on_close: bool = True,
    ) -> None:
        # Before 3.12 tempfile cannot keep a file past its closing and delete it later: we delete it.
        options: dict[str, Any] = {"errors": errors, "delete": delete}
        self._remove = False
        if sys.version_info >= (3, 12):
            options["delete_on_close"] = delete_on_close
        elif delete and not delete_on_close:
            options["delete"] = False
            self._remove = True
        make: Any = tempfile.NamedTemporaryFile
        self._open = partial(
            make, mode, buffering, encoding, newline, suffix, prefix, dir, **options
        )

    async def _end(self) -> None:
        await for_certain(self._close_and_remove)

    def _close_and_remove(self) -> None:
        fp = self._file.wrapped
        try:
            fp.__exit__(None, None, None)
        finally:
            if self._remove:
                os.unlink(fp.name)


class TemporaryDirectory(_Block, Generic[AnyStr]):
    """A temporary directory; `async with` makes it and removes it with all that is in it.

    The with-block gets its path.

    :param suffix: how its name ends; `prefix`: how it begins
    :param dir: the directory it is made in
    :param ignore_cleanup_errors: whether to ignore what cannot be removed
    :param delete: whether to remove it at the end of the block
    """

    def __init__(
        self,
        suffix: AnyStr | None = None,
        prefix: AnyStr | None = None,
        dir: AnyStr | None = None,
        *,
        ignore_cleanup_errors: bool = False,
        delete: bool = True,
    ) -> None:
        self._place: Any = (suffix, prefix, dir)
        self._ignore_errors = ignore_cleanup_errors
        self._delete = delete
        self._remove: Callable[[], object] | None = None

    async def __aenter__(self) -> str:
        return await in_thread(self._begin)

    async def _end(self) -> None:
        if self._delete:
            await self.cleanup()

    async def cleanup(self) -> None:
        """Remove the directory now, if it is there, also if the caller is cancelled.

        :raises OSError: something in it cannot be removed, and errors are not ignored
        """
        remove, self._remove = self._remove, None
        if remove is not None:
            await for_certain(remove)

    def _begin(self) -> str:
        name: str
        make: Any
        if self._delete:
            make = tempfile.TemporaryDirectory
            directory = make(*self._place, ignore_cleanup_errors=self._ignore_errors)
            self._remove = directory.cleanup
            name = directory.name
        else:  # tempfile knows that from Python 3.12 on
            make = tempfile.mkdtemp
            name = make(*self._place)
            self._remove = partial(shutil.rmtree, name, self._ignore_errors)
        return name


@overload
async def mkstemp(
    suffix: str | None = ..., prefix: str | None = ..., dir: str | None = ..., text: bool = ...
) -> tuple[int, str]: ...


@overload
async def mkstemp(
    suffix: bytes | None = ...,
    prefix: bytes | None = ...,
    dir: bytes | None = ...,
    text: bool = ...,
) -> tuple[int, bytes]: ...


async def mkstemp(
    suffix: AnyStr | None = None,
    prefix: AnyStr | None = None,
    dir: AnyStr | None = None,
    text: bool = False,
) -> tuple[int, str | bytes]:
    """Make a temporary file, which the caller closes and removes. A checkpoint.

    :param suffix: how its name ends; `prefix`: how it begins
    :param dir: the directory it is made in
    :param text: whether to open it in text mode, on systems that have one
    :return: the open descriptor and the path
    """
    make: Any = tempfile.mkstemp
    made: tuple[int, str | bytes] = await in_thread(make, suffix, prefix, dir, text)
    return made


@overload
async def mkdtemp(
    suffix: str | None = ..., prefix: str | None = ..., dir: str | None = ...
) -> str: ...


@overload
async def mkdtemp(
    suffix: bytes | None = ..., prefix: bytes | None = ..., dir: bytes | None = ...
) -> bytes: ...


async def mkdtemp(
    suffix: AnyStr | None = None, prefix: AnyStr | None = None, dir: AnyStr | None = None
) -> str | bytes:
    """Make a temporary directory, which the caller removes; return its path. A checkpoint.

    :param suffix: how its name ends; `prefix`: how it begins
    :param dir: the directory it is made in
    """
    make: Any = tempfile.mkdtemp
    path: str | bytes = await in_thread(make, suffix, prefix, dir)
    return path


async def gettempdir() -> str:
    """Return the directory for temporary files. A checkpoint."""
    return await in_thread(tempfile.gettempdir)


async def gettempdirb() -> bytes:
    """Return the directory for temporary files, as bytes. A checkpoint."""
    return await in_thread(tempfile.gettempdirb)

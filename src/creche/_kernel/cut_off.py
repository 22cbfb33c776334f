"""The warning of debug mode that names the line where a clean-up was cut off.

A cancelled task is interrupted at each of its awaits. So an await in a `finally`, an `except` or the exit of
a context manager, run because of a cancellation, is interrupted too, and what it was to do is not done.
That is easily missed: nothing fails. Each kernel says here, in debug mode, when it is about to
raise a cancellation in a task that it has raised one in before, and which frames the task is in.

A clean-up    is a frame that is handling a cancellation, or an error that came while one was handled. The
              innermost one is told, and if that is a library's, also the line of the program
              that leads there. Code that has swallowed the cancellation cleans up nothing.
On purpose    is what a limit ends that the clean-up has set itself (each kernel tells by its scopes), a checkpoint
              called by name, and the exit or `aclose()` of Creche or of the loop's own library, which
              have done their work when they raise.

A line is told once for each loop. Owns what is a clean-up, where it is and what is said. Does not know what
a scope is, nor when a cancellation is raised. Nothing here is called outside of debug mode.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from .._labels import short_path
from .._tracebacks import PACKAGE

_log = logging.getLogger("creche")

_KERNEL = PACKAGE + "_kernel" + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep
_PASS_ON = (os.sep + "contextlib.py",)
"""Files that handle a cancellation only for others."""
_PACKAGES = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
_CLOSING = ("__aexit__", "aclose")
_CHECKPOINTS = ("checkpoint", "checkpoint_if_cancelled")
_KINDS = (CoroutineType, GeneratorType, AsyncGeneratorType)


def in_dev_mode() -> bool:
    """Tell whether Python runs in development mode: debug mode for a loop that has none of its own."""
    return sys.flags.dev_mode


class CutOffs:
    """Those of one loop in debug mode.

    :param cancelled_class: the loop's cancellation
    :param library: the folder of the loop's own library
    """

    def __init__(self, cancelled_class: type[BaseException], library: str) -> None:
        self._cancelled_class = cancelled_class
        self._libraries = (PACKAGE, library + os.sep)
        self._told: set[str] = set()

    def in_suspended(self, coro: Any, name: str) -> None:
        """Hear that a cancellation is about to be thrown into a task that waits."""
        links = [(link, frame_of(link)) for link in reversed(chain_of(coro))]
        self._tell([(frame, self._is_handled_in(link, frame)) for link, frame in links], name)

    def in_running(self, name: str) -> None:
        """Hear that a cancellation is about to be raised by the task that runs."""
        handling = {
            id(error.__traceback__.tb_frame)
            for error in _context_of(sys.exception())
            if error.__traceback__ is not None and self._leads_to_cancelled(error)
        }
        if not handling:
            return
        frames: list[tuple[FrameType, bool]] = []
        # No public function gives frames.
        frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        while frame is not None:
            frames.append((frame, id(frame) in handling))
            frame = frame.f_back
        self._tell(frames, name)

    def _is_handled_in(self, link: Any, frame: FrameType) -> bool:
        # The interpreter keeps it in the coroutine, and no attribute says so.
        return any(
            isinstance(each, BaseException)
            and each.__traceback__ is not None
            and each.__traceback__.tb_frame is frame  # or it is only a value that the frame has
            and self._leads_to_cancelled(each)
            for each in gc.get_referents(link)
        )

    def _leads_to_cancelled(self, error: BaseException) -> bool:
        return any(isinstance(each, self._cancelled_class) for each in _context_of(error))

    def _tell(self, frames: list[tuple[FrameType, bool]], name: str) -> None:
        """Tell the innermost clean-up among the frames, innermost first, if there is one."""
        for number, (frame, handles) in enumerate(frames):
            if self._is_on_purpose(frame):
                return
            file = frame.f_code.co_filename
            if handles and not file.endswith(_PASS_ON):
                if file.startswith(self._libraries):
                    return
                place = _place(frame, [outer for outer, _ in frames[number + 1 :]])
                if place not in self._told:
                    self._told.add(place)
                    _log.warning(
                        "a clean-up of task %r was cut off at %s: shield it, or give the scope "
                        "cleanup=",
                        name,
                        place,
                    )
                return

    def _is_on_purpose(self, frame: FrameType) -> bool:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if name in _CLOSING:
            return file.startswith(self._libraries)
        ours = file.startswith(PACKAGE) and not file.startswith(_KERNEL)
        return ours and name in _CHECKPOINTS


def chain_of(coro: Any) -> list[Any]:
    """Return the coroutines and generators that a suspended one is in, itself first."""
    found: list[Any] = []
    link = coro
    while link is not None:
        if frame_of(link) is not None:
            found.append(link)
        link = _awaited_by(link)
    return found


def frame_of(link: Any) -> Any:
    """Return the frame of a coroutine or a generator of any kind, None if it has ended."""
    for attribute in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(link, attribute, None)
        if frame is not None:
            return frame
    return None


def _awaited_by(link: Any) -> Any:
    for attribute in ("cr_await", "gi_yieldfrom", "ag_await"):
        if hasattr(link, attribute):
            return getattr(link, attribute)
    # What `athrow()`, `asend()` and `__await__()` of the interpreter's own return, names nothing.
    inner = [each for each in gc.get_referents(link) if isinstance(each, _KINDS)]
    return inner[0] if len(inner) == 1 else None


def _context_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those that were handled as it was raised."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__context__


def _place(frame: FrameType, outside: Iterable[FrameType]) -> str:
    """Say where a frame is, and if that is in a library, where the program calls it."""
    place = _line(frame)
    if _is_librarys(frame):
        for outer in outside:
            if not _is_librarys(outer):
                return f"{place}, called from {_line(outer)}"
    return place


def _is_librarys(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith((PACKAGE, _STANDARD)) or any(each in file for each in _PACKAGES)


def _line(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    for packages in _PACKAGES:
        if packages in file:
            return f"{file.rpartition(packages)[2]}:{frame.f_lineno}"
    return f"{short_path(file)}:{frame.f_lineno}"

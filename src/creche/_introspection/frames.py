"""Frames of suspended tasks: what a coroutine awaits, and where in the program it stands.

Owns the way from a coroutine to its frames. Knows no primitive and no event loop.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Sequence
from types import CoroutineType, FrameType
from typing import Any

from .._labels import in_library, short_path

_HIDDEN = ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow",
           "anext_awaitable")  # fmt: skip
_INSIDE = ("cr_frame", "gi_frame", "ag_frame")


def frames_of(coro: Any) -> list[FrameType]:
    """Return the frames of a suspended coroutine and of all that it awaits, outermost first."""
    frames: list[FrameType] = []
    for _ in range(1000):
        if type(coro) is CoroutineType:  # nearly always
            inner = coro.cr_frame
            if inner is None:
                break
            frames.append(inner)
            coro = coro.cr_await
            continue
        if type(coro).__name__ in _HIDDEN:
            coro = next((part for part in gc.get_referents(coro) if _frame(part)), None)
        frame = _frame(coro)
        if frame is None:
            break
        frames.append(frame)
        coro = next((getattr(coro, name) for name in ("cr_await", "gi_yieldfrom", "ag_await")
                     if hasattr(coro, name)), None)  # fmt: skip
    return frames


def _frame(coro: Any) -> FrameType | None:
    for name in _INSIDE:
        frame: FrameType | None = getattr(coro, name, None)
        if frame is not None:
            return frame
    return None


def running_frames() -> list[FrameType]:
    """Return the frames of the running task that are coroutines, which cannot be asked for theirs."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # as elsewhere
    while frame is not None:
        if frame.f_code.co_flags & inspect.CO_COROUTINE:
            frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def place_of(frames: Sequence[FrameType]) -> str:
    """Say where the program itself is: `file.py:12`."""
    for frame in reversed(frames):
        if not in_library(frame):
            return f"{short_path(frame.f_code.co_filename)}:{frame.f_lineno}"
    return ""


def outermost_call(frames: Sequence[FrameType]) -> str:
    """Name the library function that the program called: `creche.sleep_forever()`."""
    outermost: FrameType | None = None
    for frame in reversed(frames):
        if not in_library(frame):
            break
        outermost = frame
    if outermost is None:
        return "something that only its own loop knows"
    module = outermost.f_globals.get("__name__", "").partition(".")[0]
    return f"{module}.{outermost.f_code.co_qualname}()"

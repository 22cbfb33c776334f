"""Labels of primitives: the name that they were given, else the place where they were made.

Owns the way from a primitive to its label, and the line between a program and its libraries. A label
is in a slot that is unset unless the primitive has a name, so a primitive without one pays only for the
slot. Reading the stack costs more than making a lock, so places are recorded only on request, as in
simulated runs.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from sys import _getframe  # pyright: ignore[reportPrivateUsage]  # nothing public gives frames
from types import FrameType
from typing import NamedTuple

from . import _registry

_LIBRARIES = frozenset(("contextlib", "creche", "typing"))
"""Packages that are not the program's own, beside those of the loops."""

library = "creche"
"""What programs call this library, for the names of loggers: `anyio` while the drop-in is on."""

noting: list[None] = []
"""One entry for each request to record where primitives are made; if any, `label` is called."""


class MadeAt(NamedTuple):
    """The line of the program that made a primitive without a name."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{short_path(self.file)}:{self.line}"


def label(name: str | None) -> str | MadeAt:
    """Return what a primitive that is being made keeps to be called by."""
    if name is not None:
        return name
    frame: FrameType | None = _getframe(1)
    while frame is not None and in_library(frame):
        frame = frame.f_back
    return (
        MadeAt("a library", 0)
        if frame is None
        else MadeAt(frame.f_code.co_filename, frame.f_lineno)
    )


@contextmanager
def places_noted() -> Generator[None]:
    """Have primitives remember where they were made, in a block."""
    noting.append(None)
    try:
        yield
    finally:
        noting.pop()


def label_of(thing: object) -> str | MadeAt | None:
    """Return what was kept of a primitive, None if nothing was."""
    state = getattr(thing, "_state", None)  # of a memory stream, whose ends have one name
    kept: str | MadeAt | None = getattr(thing, "_name", getattr(state, "name", None))
    return kept


def given(thing: object) -> str | None:
    """Return the name that a primitive was given, None if it was given none."""
    kept = label_of(thing)
    return None if isinstance(kept, MadeAt) else kept


def shown(thing: object) -> str:
    """Return a primitive's type and name, for its `repr`."""
    name = given(thing)
    return type(thing).__name__ if name is None else f"{type(thing).__name__} {name!r}"


def in_library(frame: FrameType) -> bool:
    """Tell whether a frame is not the program's own."""
    module: str = frame.f_globals.get("__name__", "")
    top = module.partition(".")[0]
    return top in _LIBRARIES or top in _registry.LIBRARIES


def short_path(path: str) -> str:
    """Shorten the path of a file to what is below the first current directory, or to its name."""
    return path.removeprefix(_here) if path.startswith(_here) else os.path.basename(path)


def _directory() -> str:
    try:
        return os.getcwd() + os.sep
    except OSError:  # It was removed.
        return os.sep


_here = _directory()
"""The current directory as the program began. Asked once: event loops' threads should not ask the disk."""

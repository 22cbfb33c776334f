"""Places in a program, and the frames of its tracebacks that are not worth a line.

Frames of the machinery are taken off a traceback when an error passes through a task group or out of
`run()`. Frames of everything else stay, the library's as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import CodeType, TracebackType

from ._labels import short_path
from ._registry import LIBRARIES

PACKAGE = os.path.dirname(__file__) + os.sep
"""What the names of all files of Creche begin with."""
MACHINERY = tuple(
    PACKAGE + part.replace("/", os.sep)
    for part in (
        "_kernel/",
        "_loop/run.py",
        "_services/enclosure.py",
        "_services/service.py",
        "_services/supervisor.py",
        "_tasks/group.py",
        "_tasks/ordered.py",
        "_tasks/scope.py",
        "_tasks/timeouts.py",
    )
)
"""Files whose frames are left out: each of them only passes an error on."""


def place_in(code: CodeType, instruction: int) -> str | None:
    """Say where an instruction is, `app.py:41`; None if that is no place in the program."""
    if code.co_filename.startswith(PACKAGE):
        return None
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
    return f"{short_path(code.co_filename)}:{line}"


def is_machinery(code: CodeType) -> bool:
    return code.co_filename.startswith(MACHINERY)


def is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(PACKAGE)


def without_machinery(
    traceback: TracebackType | None, hidden: Callable[[CodeType], bool] = is_machinery
) -> TracebackType | None:
    """Take the frames of the machinery out of a traceback, and return what is left of it."""
    while traceback is not None and hidden(traceback.tb_frame.f_code):
        traceback = traceback.tb_next
    last = traceback
    while last is not None:
        following = last.tb_next
        while following is not None and hidden(following.tb_frame.f_code):
            following = following.tb_next
        if following is not last.tb_next:
            last.tb_next = following
        last = following
    return traceback


def from_the_program(traceback: TracebackType | None) -> TracebackType | None:
    """Take the frames of the machinery out, and those of the loop before the program's first one."""
    whole = without_machinery(traceback)
    first = whole
    while first is not None and is_loop(first):
        first = first.tb_next
    return first or whole


def innermost_place(traceback: TracebackType | None) -> str:
    """Say where the program was: the innermost frame that is not the library's."""
    place = "its beginning"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(PACKAGE) and not is_loop(traceback):
            place = f"{short_path(code.co_filename)}:{traceback.tb_lineno}, in {code.co_qualname}"
        traceback = traceback.tb_next
    return place


def is_loop(traceback: TracebackType) -> bool:
    module: str = traceback.tb_frame.f_globals.get("__name__", "")
    top = module.partition(".")[0]
    return top in LIBRARIES or top == "outcome"  # which Trio resumes its tasks with

"""What a program raised, shown as if nobody had called it.

Owns the choice of the frames that are shown: from the program's own first one on. Knows no program and
no event loop.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from types import CodeType
from typing import Any

PACKAGE = str(Path(__file__).parent.parent) + os.sep


def show(exc: BaseException, is_user_code: Callable[[CodeType], bool]) -> int:
    """Print the program's traceback from its own first frame on, as if nobody had called it."""
    whole = exc.__traceback__
    place = whole
    while place is not None and not is_user_code(place.tb_frame.f_code):
        place = place.tb_next
    exc = exc.with_traceback(place or whole)
    if sys.excepthook is sys.__excepthook__:
        traceback.print_exception(exc)  # knows the lines of code that is in no file, on each Python
    else:
        sys.excepthook(type(exc), exc, exc.__traceback__)
    return 1


def show_unloaded(exc: Exception) -> int:
    """Print what kept a program from being loaded, with those frames only that are not ours."""
    frames = [frame.f_code for frame, _ in walk_tb(exc.__traceback__)]
    if all(is_machinery(code) for code in frames):
        exc = exc.with_traceback(None)
    return show(exc, lambda code: not is_machinery(code))


def is_machinery(code: CodeType) -> bool:
    """Tell whether the code belongs to the command line or to the import system."""
    file = code.co_filename
    return file.startswith((PACKAGE, "<frozen ")) or file == importlib.__file__


def own_code(function: Callable[..., Any]) -> Callable[[CodeType], bool]:
    plain = inspect.unwrap(function)
    return lambda code: code is getattr(plain, "__code__", None)

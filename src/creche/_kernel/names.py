"""What tasks are called: the name that was given, or that of the function that they run.

Owns how a function or a coroutine is named. A task keeps the function and is named when somebody asks,
since most tasks never are.
"""

from __future__ import annotations


def name_of(origin: object) -> str:
    """Name a function or a coroutine: `module.qualname`."""
    frame = getattr(origin, "cr_frame", None)
    module = frame.f_globals.get("__name__") if frame is not None else None
    module = module or getattr(origin, "__module__", None)
    name = getattr(origin, "__qualname__", None) or type(origin).__qualname__
    return f"{module}.{name}" if module else str(name)


def name_from(origin: object) -> str:
    """Return the name that was given, or made from what it was given instead."""
    return origin if type(origin) is str else name_of(origin)

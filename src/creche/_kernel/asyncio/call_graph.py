"""What the loop's own tools are told of the tasks of groups, from Python 3.14 on.

`asyncio ps`, `asyncio pstree`, `asyncio.capture_call_graph` and profilers that know of tasks read two things
out of each native task: its name, and which tasks wait for it. A host waits for the children of its
group, as with `asyncio.TaskGroup`; the caller of `start()` for a child that has not started yet.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from ..contract import Label

TOLD = hasattr(asyncio, "future_add_to_awaited_by")
"""Whether there are such tools."""

add: Callable[[Any, Any], object] = getattr(asyncio, "future_add_to_awaited_by", print)
"""Note that one native task waits for another."""
discard: Callable[[Any, Any], object] = getattr(asyncio, "future_discard_from_awaited_by", print)

_MOST = 1000
_names: dict[int, tuple[CodeType, str, str]] = {}
"""What functions are called, by the identity of their code: as a rule few functions make most tasks."""


def native_name(label: Label) -> str:
    """Return the name of a child, for those who read it in the native task."""
    origin = label._origin
    if type(origin) is FunctionType:
        code = origin.__code__
        known = _names.get(id(code))
        if known is not None and known[1] == origin.__qualname__:
            return known[2]
        if len(_names) >= _MOST:
            _names.clear()
        _names[id(code)] = code, origin.__qualname__, label.name
    return label.name

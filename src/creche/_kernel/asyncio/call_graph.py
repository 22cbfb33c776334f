"""The tasks of groups, as the loop's own tools see them, from Python 3.14 on.

`asyncio ps`, `asyncio pstree`, `asyncio.capture_call_graph` and profilers that know tasks read two things
from each native task: its name, and which tasks wait for it. A host waits for the children of its
group, as with `asyncio.TaskGroup`; the caller of `start()` waits for a child that has not started yet. When
a child has ended nothing is removed: nobody looks at it, and that would double the cost (`spawn-100`). So
whoever keeps the loop's task of an ended child keeps its host's task too, without its coroutine once the host
has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

TOLD = hasattr(asyncio, "future_add_to_awaited_by")
"""Whether there are such tools."""

add: Callable[[Any, Any], object] = getattr(asyncio, "future_add_to_awaited_by", print)
"""Note that one native task waits for another."""
discard: Callable[[Any, Any], object] = getattr(asyncio, "future_discard_from_awaited_by", print)

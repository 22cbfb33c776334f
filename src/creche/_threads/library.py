"""What sniffio answers in code that crosses between threads and event loops.

Owns the one context variable of sniffio's that such code carries along. sniffio looks at a mark of the
thread (Trio's), at this variable, and at asyncio's running task, in this order. The variable travels with
a context into another thread or loop, where it is wrong; and a callback of asyncio's loop has no task.

    where                                        what is said
    a function in a worker thread                nothing: no loop runs there
    what a thread runs in an event loop          the name of that loop's kernel

Nothing imports sniffio here: code that asks it has imported it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._kernel.contract import Kernel


def tell_library(kernel: Kernel | None) -> None:
    """Have sniffio name the loop of `kernel` in the current context, or none."""
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is None:
        return
    name = None if kernel is None else kernel.name
    variable = sniffio.current_async_library_cvar
    if variable.get() != name:
        variable.set(name)

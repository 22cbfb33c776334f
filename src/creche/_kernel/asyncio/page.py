"""`run` in a browser, where the page's loop runs already and there cannot be another.

Where the browser has JavaScript Promise Integration, and Python was called in a way that allows it, Pyodide
can suspend the Python code that waits while the page's loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..main import MainLabel, start
from .here import kernel_of
from .tasks import new_task


def run(func: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Run `func(*args)` in a task of the page's loop, suspended until it has ended.

    :raises RuntimeError: nothing can be suspended here
    """
    ffi: Any = import_module("pyodide.ffi")
    if not ffi.can_run_sync():
        raise RuntimeError(
            "run() cannot wait here: this browser cannot suspend Python, or Python was not called "
            "by runPythonAsync(). Write 'await main()' in place of 'run(main)': the page's event loop "
            "runs already"
        )
    main = start(func, args)
    loop = asyncio.get_event_loop()
    return ffi.run_sync(new_task(kernel_of(loop), main, MainLabel(func, main)))

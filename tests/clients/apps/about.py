"""What a process runs on, told by the process itself."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import anyio


def about() -> dict[str, Any]:
    """The library behind `anyio`, the loop of this task, and the thread."""
    return {
        "library": "creche" if anyio is sys.modules.get("creche") else "anyio",
        "loop": loop_name(),
        "main_thread": threading.current_thread() is threading.main_thread(),
    }


def loop_name() -> str:
    try:
        module = type(asyncio.get_running_loop()).__module__
    except RuntimeError:
        return "trio" if "trio" in sys.modules else "none"
    return module.partition(".")[0]

"""Calls from threads that no loop knows, and which loops notice them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from ._backends import Backend


def error_in_a_thread(func: Callable[[], object]) -> BaseException | None:
    """Call `func` in a thread of its own, and return what it raised."""
    errors: list[BaseException] = []

    def call() -> None:
        try:
            func()
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def notices_other_threads(backend: Backend) -> bool:
    """Whether the loop notices wake-ups from other threads: Trio always, asyncio in debug mode."""
    debug = sys.flags.dev_mode or bool(backend.options.get("debug"))
    return backend.kernel == "trio" or debug

"""Starting a Trio run for one function. Trio leaves nothing behind by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio


def run(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    async def main() -> Any:
        result = func(*args)
        if not hasattr(result, "__await__"):
            raise TypeError(
                f"Expected {getattr(func, '__qualname__', func)}() to return an awaitable, but "
                f"the return value ({result!r}) is not one: pass an async function to run()"
            )
        return await result

    return trio.run(main, **options)

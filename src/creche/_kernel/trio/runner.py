"""Starting a Trio run for one function. Trio leaves nothing behind by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from ..main import name_of_main, start


def run(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    async def main() -> Any:
        trio.lowlevel.current_task().name = name_of_main(func)
        return await start(func, args)

    return trio.run(main, **options)

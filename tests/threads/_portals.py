"""What the tests of portals share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from creche.lowlevel import checkpoint

Start = Callable[[], Any]


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.001)


async def double(number: int) -> int:
    await checkpoint()
    return number * 2

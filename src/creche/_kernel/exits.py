"""`Exits`: what a kernel calls when its loop ends, also in loops that Creche did not start.

Owns the list of callbacks. Knows no event loop, only what every loop does at its end, by PEP 525:
close the async generators that are still open. So one is opened, and what it does when it is closed
is to make the calls.

    open --add--> armed --the loop ends--> over

Rules
-----
* The callbacks run in the loop's thread, last come first served, while the loop can still be told
  things. By then the main function has ended, and asyncio has cancelled the tasks that were left.
* A callback that is added after the end is called at once: the code that adds it must allow for that.
* A loop that is closed without closing its generators (only `loop.close()`) makes no calls. What is
  kept for a loop must then end by itself.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable

_log = logging.getLogger("creche")


class Exits:
    """The callbacks for the end of one loop."""

    __slots__ = ("__weakref__", "_callbacks", "_generator", "over")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], object]] = []
        self._generator: AsyncGenerator[None, None] | None = None
        self.over = False
        """Whether the calls were made."""

    @property
    def armed(self) -> bool:
        """Whether the loop knows of the callbacks."""
        return self._generator is not None

    def add(self, callback: Callable[[], object]) -> None:
        """Have `callback()` called when the loop ends. In the loop's thread."""
        if self.over:
            callback()
            return
        self._callbacks.append(callback)
        if self._generator is None:
            self._generator = self._until_closed()
            try:
                # To its yield: the loop hears of it, and nothing in it suspends before.
                self._generator.__anext__().send(None)
            except StopIteration:
                pass

    def run(self) -> None:
        """Make the calls, if they were not made yet."""
        self.over = True
        while self._callbacks:
            try:
                self._callbacks.pop()()
            except Exception:
                _log.exception("a callback raised an exception at the end of the event loop")

    async def _until_closed(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.run()

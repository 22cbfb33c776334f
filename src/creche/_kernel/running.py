"""Starting and driving an event loop: what the kernel contract says of it, before any loop runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class Runner(Protocol):
    """A loop with one main task, entered from synchronous code of one thread as often as need be.

        standing <--drive / pause--> driven --the main function ends--> over --close--> closed

    Outside `drive` it stands still, and nothing of it is set in the thread.
    """

    reports: list[BaseException]
    """What was raised where nobody could take it, in callbacks of the loop. To be taken out."""

    def drive(self) -> None:
        """Let the loop run until it is paused, or the main function has ended.

        What a signal raises, KeyboardInterrupt too, ends what the main task waits for, by the
        loop's own means; it comes out here, or of the main task's wait, once the loop is paused.
        """
        ...

    def pause(self) -> None:
        """Have `drive` return soon. Inside the loop."""
        ...

    def close(self) -> None:
        """End the loop, with all that is left in it."""
        ...


class Backend(Protocol):
    """What each kernel's package offers to `_kernel/__init__.py`, before any loop runs."""

    def run(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run `func(*args)` in a new loop, and leave nothing behind."""
        ...

    def open_runner(
        self, main: Callable[[], Coroutine[Any, Any, None]], options: dict[str, Any]
    ) -> Runner:
        """Make a new loop whose main task is `main()`, which never raises; it takes no step yet."""
        ...

"""Starting, driving and finding an event loop: what the kernel contract says of it from outside.

The last three are what the package of each kernel offers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .contract import Kernel, Task
    from .simulation import Simulation

interrupted: list[Callable[[], object]] = []
"""What is called, in the thread of a runner, when a signal is about to end what its main task waits for:
on Ctrl-C, or when a handler has raised. All tasks are still as they were. It must not raise."""


def tell_interrupted() -> None:
    """Call what is in `interrupted`."""
    for callback in interrupted:
        callback()


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


# What each kernel's package offers, by the names of its modules. Its record is in `_registry.py`.


class Starter(Protocol):
    """`runner.py`: starts loops. It checks the options, and raises TypeError for one it does not know."""

    def run(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run `func(*args)` in a new loop, and leave nothing behind."""
        ...

    def open_runner(
        self, main: Callable[[], Coroutine[Any, Any, None]], options: dict[str, Any]
    ) -> Runner:
        """Make a new loop whose main task is `main()`, which never raises; it takes no step yet."""
        ...


class Finder(Protocol):
    """`here.py`: finds what runs in this thread. Loaded once the loop's library is imported."""

    @property
    def cancelled_class(self) -> type[BaseException]:
        """What a cancellation raises on loops of this kernel: as `Kernel.cancelled_class`."""
        ...

    def task_here(self) -> Task | None:
        """Return the task that runs in this thread, None if no task of this kernel's loops does."""
        ...

    def native_here(self) -> Any:
        """Return the loop's own object for the task that runs in this thread, None in a callback.

        May raise RuntimeError where no loop of this kernel runs.
        """
        ...

    def kernel_here(self) -> Kernel | None:
        """Return the kernel of the loop that runs in this thread, None if it is not of these."""
        ...

    def kernel_of_token(self, token: Any) -> Kernel:
        """Return the kernel of a loop by `Kernel.token`. From any thread.

        Raises RunFinishedError when the loop is gone, where it has to be asked.
        """
        ...


class Simulator(Protocol):
    """`simulation.py`, where the record says that the kernel has simulated runs."""

    @property
    def DOORS(self) -> Sequence[tuple[str, str]]:  # noqa: N802  # a constant of a module
        """Functions of the loop's own that lead out of a simulated run and do not refuse by themselves,
        by the names of their module and of themselves there: see `testing/_boundary.py`.
        """
        ...

    def run(
        self, func: Callable[..., Any], args: tuple[Any, ...], simulation: Simulation, /
    ) -> Any:
        """Run `func(*args)` in a new simulated loop."""
        ...

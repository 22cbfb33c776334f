"""The only room that knows an event loop. Finds the kernel of the running loop and task.

The rules that the kernels keep are in `contract.py`. Asyncio's kernel is always there; Trio's is
loaded when the process has imported Trio, so a program on asyncio never pays for it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .._exceptions import NoEventLoopError
from .asyncio.tasks import Task as _AsyncioTask
from .asyncio.tasks import foreign_tasks as _foreign
from .asyncio.tasks import kernel_here as _asyncio_kernel
from .asyncio.tasks import kernel_of as _asyncio_kernel_of
from .asyncio.tasks import native_task as _native_task
from .asyncio.tasks import native_tasks as _native_tasks
from .asyncio.tasks import running_loop as _running_loop
from .asyncio.tasks import task_here as _asyncio_task

if TYPE_CHECKING:
    from .contract import Backend, Kernel, Runner, Task
    from .simulation import Simulation

BACKENDS = ("asyncio", "trio")

INSTALL = {
    "trio": "pip install creche[trio]",
    "uvloop": "pip install creche[uvloop]",
}


_trio_rooms: Any = None
_trio_last = False
"""Whether the last task that was looked for in the slow way was one of Trio's: try that first."""


def _trio() -> Any:
    """Return the rooms of the Trio kernel, None while the process has not imported Trio."""
    global _trio_rooms  # noqa: PLW0603  # found once for the process
    if _trio_rooms is None and sys.modules.get("trio") is not None:
        from .trio import tasks

        _trio_rooms = tasks
    return _trio_rooms


# Every operation begins with `current_task`: the usual case is one call in C and a look at a type.
if sys.version_info >= (3, 12):

    def current_task() -> Task:
        """Return the running task. Raises NoEventLoopError outside a loop."""
        if not _trio_last:
            try:
                native = _native_task()
            except RuntimeError:
                return _find_task()
            if type(native) is _AsyncioTask:
                return native
            state = _foreign.get(id(native))
            if state is not None:
                return state
        return _find_task()

else:
    # Asking for the running loop costs more than all the rest there, so remember the thread's.
    _here = threading.local()

    def current_task() -> Task:
        """Return the running task. Raises NoEventLoopError outside a loop."""
        if not _trio_last:
            try:
                native = _native_tasks[_here.loop]
            except (AttributeError, KeyError):
                _here.loop = _running_loop()
                return _find_task()
            if type(native) is _AsyncioTask:
                return native
            state = _foreign.get(id(native))
            if state is not None:
                return state
        return _find_task()


def _find_task() -> Task:
    global _trio_last  # noqa: PLW0603  # a hint, for the process
    if _trio_last:
        trio_task: Task | None = _trio().task_here()
        if trio_task is not None:
            return trio_task
        _trio_last = False
    task = _asyncio_task()
    if task is not None:
        return task
    # Trio next: as a guest it runs in the callbacks of an asyncio loop, outside of its tasks.
    trio = _trio()
    if trio is not None:
        trio_task = trio.task_here()
        if trio_task is not None:
            _trio_last = True
            return trio_task
    if _asyncio_kernel() is not None:
        raise RuntimeError(
            "There is no task currently running: this is a callback of the event loop. "
            "Call it from a coroutine that a task runs"
        )
    raise no_loop()


def current_kernel() -> Kernel:
    """Return the kernel of the loop that runs in this thread. Raises NoEventLoopError."""
    try:
        return current_task().kernel
    except RuntimeError:  # No task: perhaps a callback of the loop.
        pass
    trio = _trio()
    if trio is not None:
        trio_kernel: Kernel | None = trio.kernel_here()
        if trio_kernel is not None:
            return trio_kernel
    kernel = _asyncio_kernel()
    if kernel is not None:
        return kernel
    raise no_loop()


def kernel_of_token(backend: str, token: Any) -> Kernel:
    """Return the kernel of a loop by the loop's own object for itself, from any thread."""
    if backend == "asyncio":
        asyncio_kernel: Kernel = _asyncio_kernel_of(token)
        return asyncio_kernel
    trio_kernel: Kernel = _trio().kernel_of_token(token)
    return trio_kernel


def no_loop() -> NoEventLoopError:
    return NoEventLoopError(
        "Not currently running on any asynchronous event loop: call this from a coroutine that "
        "creche.run(), asyncio.run() or trio.run() runs"
    )


def check_outside_loops() -> None:
    """Raise RuntimeError if an event loop runs in this thread."""
    try:
        here = current_kernel().name
    except NoEventLoopError:
        return
    raise RuntimeError(
        f"Already running {here} in this thread: await the function, or start it in a task "
        f"group, rather than call run() again"
    )


def run(
    func: Callable[..., Any], args: tuple[Any, ...], backend: str, options: dict[str, Any]
) -> Any:
    """Run `func(*args)` in a new loop of `backend`. See `creche.run`."""
    check_outside_loops()
    return _backend(backend).run(func, args, options)


def open_runner(
    main: Callable[[], Coroutine[Any, Any, None]], backend: str, options: dict[str, Any]
) -> Runner:
    """Make a loop of `backend` that can be entered several times; its main task is `main()`."""
    check_outside_loops()
    return _backend(backend).open_runner(main, options)


def _backend(name: str) -> Backend:
    if name == "asyncio":
        from .asyncio import runner as asyncio_runner

        return asyncio_runner
    if name == "trio":
        if find_spec("trio") is None:
            raise LookupError(
                f"No such backend: trio is not installed. To install it: {INSTALL['trio']}"
            )
        from .trio import runner as trio_runner

        return trio_runner
    raise LookupError(f"No such backend: {name}. Known are: {', '.join(BACKENDS)}")


def simulate(
    func: Callable[..., Any], args: tuple[Any, ...], backend: str, simulation: Simulation
) -> Any:
    """Run `func(*args)` in a new simulated loop of `backend`."""
    check_outside_loops()
    if backend == "asyncio":
        from .asyncio import simulation as asyncio_room

        return asyncio_room.run(func, args, simulation)
    from .trio import simulation as trio_room

    return trio_room.run(func, args, simulation)


def doors(backend: str) -> tuple[tuple[str, str], ...]:
    """Return the functions of a backend that lead out of a simulated run, by module and name."""
    if backend == "asyncio":  # Its loop is one of ours, and refuses by itself.
        return ()
    from .trio import simulation as trio_room

    return trio_room.DOORS


def available(backend: str) -> bool:
    """Tell whether `run` can start `backend` here."""
    return backend == "asyncio" or (backend in BACKENDS and find_spec(backend) is not None)

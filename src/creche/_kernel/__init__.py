"""The only package that imports an event loop. It finds the kernel of the running loop and task.

The rules that the kernels keep are in `contract.py`, and which kernels there are in `_registry.py`.
Asyncio's kernel is always loaded, and asked first; each other one once the process has imported its
loop, so a program on asyncio never pays for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator
from importlib import import_module
from threading import get_ident as _thread
from threading import local
from typing import TYPE_CHECKING, Any

from .. import _registry
from .._exceptions import NoEventLoopError
from .._platform import IN_PAGE
from .asyncio.here import cancelled_class as _cancelled
from .asyncio.here import kernel_here as _asyncio_kernel
from .asyncio.here import task_here as _asyncio_task
from .asyncio.state import native_task as _native_task
from .asyncio.state import native_tasks as _native_tasks
from .asyncio.state import running_loop as _running_loop
from .asyncio.tasks import Task as _AsyncioTask
from .asyncio.tasks import foreign_tasks as _foreign
from .cleanup import checked as checked_cleanup
from .cleanup import give
from .contract import checked_budget
from .main import module_and_name, start
from .scope import Scope, link, unlink

if TYPE_CHECKING:
    from .contract import Kernel, Task
    from .running import Finder, Runner, Simulator, Starter
    from .simulation import Simulation

_elsewhere: dict[int, Callable[[], Task | None]] = {}
"""What finds the running task in a thread whose last one was not asyncio's: ask it first. By the
thread's identity, which costs half of what `threading.local` does (`event` on Trio in benchmarks)."""
_ever_elsewhere = False
"""Whether there was ever anything in `_elsewhere`: until then nobody need look."""


def _others() -> Iterator[Finder]:
    """Find the kernels beside asyncio's whose loops may be running."""
    for record in _registry.KERNELS.values():
        if record is not _registry.ASYNCIO and sys.modules.get(record.library) is not None:
            finder: Any = import_module(f"{record.package}.here")
            yield finder


# Every operation begins with `current_task`: the usual case is one call in C and a look at a type.
if sys.version_info >= (3, 12):

    def current_task() -> Task:
        """Return the running task. Raises NoEventLoopError outside a loop."""
        if _ever_elsewhere and (find := _elsewhere.get(_thread())) is not None:
            task = find()
            if task is not None:
                return task
        else:
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
    _here = local()

    def current_task() -> Task:
        """Return the running task. Raises NoEventLoopError outside a loop."""
        if _ever_elsewhere and (find := _elsewhere.get(_thread())) is not None:
            task = find()
            if task is not None:
                return task
        else:
            try:
                native = _native_tasks[_here.loop]
            except (AttributeError, KeyError):
                _remember_loop()
                return _find_task()
            if type(native) is _AsyncioTask:
                return native
            state = _foreign.get(id(native))
            if state is not None:
                return state
        return _find_task()

    def _remember_loop() -> None:
        """Remember the loop that runs in this thread, until it ends."""
        loop = _running_loop()
        if loop is not getattr(_here, "loop", None):
            _here.loop = loop
            kernel = _asyncio_kernel()
            if kernel is not None:
                kernel.at_exit(_forget_loop)

    def _forget_loop() -> None:
        _here.loop = None


def _find_task() -> Task:
    global _ever_elsewhere  # noqa: PLW0603  # set once
    _elsewhere.pop(_thread(), None)
    task = _asyncio_task()
    if task is not None:
        return task
    # The others next: Trio as a guest runs in the callbacks of an asyncio loop, outside of its tasks.
    others = list(_others())
    for finder in others:
        found = finder.task_here()
        if found is not None:
            _elsewhere[_thread()] = finder.task_here
            _ever_elsewhere = True
            return found
    if _asyncio_kernel() is not None or any(finder.kernel_here() for finder in others):
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
    for finder in _others():
        found = finder.kernel_here()
        if found is not None:
            return found
    kernel = _asyncio_kernel()
    if kernel is not None:
        return kernel
    raise no_loop()


def running_kernel() -> Kernel | None:
    """Return the kernel of the loop that runs in this thread, None if there is none."""
    try:
        return current_kernel()
    except NoEventLoopError:
        return None


def kernel_of_token(backend: str, token: Any) -> Kernel:
    """Return the kernel of a loop by the loop's own object for itself, from any thread."""
    finder: Any = import_module(f"{_registry.find(backend).package}.here")
    kernel: Kernel = finder.kernel_of_token(token)
    return kernel


def finder_of(kernel: Kernel) -> Finder:
    """Return what finds the tasks of loops such as a kernel's."""
    finder: Any = import_module(f"{_registry.find(kernel.name).package}.here")
    return finder  # type: ignore[no-any-return]  # a module that is one


def no_loop() -> NoEventLoopError:
    *first, last = ("creche.run()", *(record.entry for record in _registry.KERNELS.values()))
    return NoEventLoopError(
        f"Not currently running on any asynchronous event loop: call this from a coroutine that "
        f"{', '.join(first)} or {last} runs"
    )


def check_outside_loops() -> None:
    """Raise RuntimeError if an event loop runs in this thread."""
    here = running_kernel()
    if here is None:
        return
    raise RuntimeError(
        f"Already running {here.name} in this thread: await the function, or start it in a task "
        f"group, rather than call run() again"
    )


def run(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    backend: str,
    options: dict[str, Any],
    cleanup: float | None = None,
) -> Any:
    """Run `func(*args)` in a new loop of `backend`. See `creche.run`."""
    if not IN_PAGE:
        check_outside_loops()
    if cleanup is not None:
        func = _with_cleanup(func, checked_cleanup(cleanup))
    kernel, options = _registry.chosen(backend, options)
    func, options = _with_budget(func, options)
    return _starter(kernel).run(func, args, options)


def open_runner(
    main: Callable[[], Coroutine[Any, Any, None]], backend: str, options: dict[str, Any]
) -> Runner:
    """Make a loop of `backend` that can be entered several times; its main task is `main()`."""
    check_outside_loops()
    kernel, options = _registry.chosen(backend, options)
    main, options = _with_budget(main, options)
    return _starter(kernel).open_runner(main, options)


def _with_budget(
    func: Callable[..., Any], options: dict[str, Any]
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Carry out the option `budget`, which no kernel sees: its main task begins by setting it."""
    if "budget" not in options:
        return func, options
    options = dict(options)
    budget = checked_budget(options.pop("budget"), "the backend option 'budget'")

    async def main(*args: Any) -> Any:
        task = current_task()
        task.spend(task.kernel.budget - budget)  # It has the usual one already.
        task.kernel.budget = budget
        return await start(func, args)

    main.__module__, main.__qualname__ = module_and_name(func)
    return main, options


def _with_cleanup(func: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Carry out the argument `cleanup`: all of the run is in a scope that is never cancelled."""

    async def main(*args: Any) -> Any:
        task = current_task()
        scope = Scope()
        give(scope, seconds)
        link(scope, task, sys._getframe())  # pyright: ignore[reportPrivateUsage]  # nothing public gives frames
        task.kernel.enter_scope(scope, task)
        try:
            return await start(func, args)
        finally:
            unlink(scope, task)
            task.kernel.leave_scope(scope, task, None)

    main.__module__, main.__qualname__ = module_and_name(func)
    return main


def _starter(backend: str) -> Starter:
    record = _registry.find_installed(backend)
    runner: Any = import_module(f"{record.package}.runner")
    return runner  # type: ignore[no-any-return]  # a module that is one


def simulator(backend: str) -> Simulator:
    """Return what makes simulated runs on a backend that has them."""
    record = _registry.find_installed(backend)
    if record.simulated is None:
        raise ValueError(
            f"{backend} cannot be simulated: its kernel has no loop whose time and order a test "
            f"decides. Use one of {', '.join(_registry.simulating())}"
        )
    simulation: Any = import_module(f"{record.package}.simulation")
    return simulation  # type: ignore[no-any-return]  # as above


def simulate(
    func: Callable[..., Any], args: tuple[Any, ...], backend: str, simulation: Simulation
) -> Any:
    """Run `func(*args)` in a new simulated loop of `backend`."""
    check_outside_loops()
    return simulator(backend).run(func, args, simulation)


def is_cancellation(exc: BaseException) -> bool:
    """Tell whether an exception is a cancellation of any loop, also where none runs."""
    return isinstance(exc, _cancelled) or any(
        isinstance(exc, finder.cancelled_class) for finder in _others()
    )

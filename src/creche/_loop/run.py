"""Starting an event loop, asking it for its time, and sleeping.

Owns nothing but the checking of arguments; the kernel does the work. Knows no event loop by more
than its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple, Unpack

from .. import _kernel, _registry
from .._advice import note_advice_in
from .._registry import BackendName
from .._tracebacks import from_the_program

T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")


def run(
    func: Callable[[Unpack[PosArgsT]], Awaitable[T_Retval]],
    *args: *PosArgsT,
    backend: BackendName = "asyncio",
    backend_options: dict[str, Any] | None = None,
    cleanup: float | None = None,
) -> T_Retval:
    """Run a coroutine function in a new event loop, and return or raise what it does.

    When this returns the loop is closed, and no task, async generator or thread of it is left.

    ```python
    import creche


    async def main(name: str) -> str:
        return f"hello {name}"


    print(creche.run(main, "world"))
    ```

    :param func: the coroutine function to call
    :param args: its positional arguments
    :param backend: `"asyncio"`, `"uvloop"` (asyncio on it) or `"trio"`
    :param backend_options: for asyncio `debug`, `use_uvloop` and `loop_factory`; for Trio the
        keyword arguments of `trio.run`; for both `budget`, a whole number: every so many operations in
        a row that need not wait let other tasks run. 129 if it is left out, and `CRECHE_BUDGET` does not
        say otherwise
    :param cleanup: seconds that a task of the run has for its clean-up once it is cancelled, if no scope
        around it says otherwise: see `CancelScope`
    :raises RuntimeError: an event loop already runs in this thread
    :raises LookupError: there is no such backend, or it is not installed
    :raises ValueError: `budget` is not a whole number of at least 1, or `cleanup` is negative or NaN
    :raises TypeError: `cleanup` is not a number
    """
    try:
        result: T_Retval = _kernel.run(func, args, backend, backend_options or {}, cleanup)
    except BaseException as exc:
        exc.__traceback__ = from_the_program(exc.__traceback__)
        note_advice_in(exc)
        raise
    return result


def get_all_backends() -> tuple[str, ...]:
    """Return the names of the backends that Creche knows, installed or not."""
    return _registry.names()


def get_available_backends() -> tuple[str, ...]:
    """Return the names of the backends that `run` can start here."""
    return _registry.installed()

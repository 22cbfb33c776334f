"""The runners that are alive. Fixtures and tests with the same backend and options share one.

A runner begins with the first fixture or test that asks for it, and ends with the last. So higher-scoped
fixtures and the tests that run while they live are in one loop and one task, and a test without async
fixtures has a loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from .._hints import Later

if TYPE_CHECKING:
    from . import runner as runners
    from .runner import JobRunner
else:
    runners = Later("creche._pytest.runner")  # which imports the event loops


class _Shared:
    def __init__(self, key: tuple[object, ...], runner: JobRunner) -> None:
        self.key = key
        self.runner = runner
        self.users = 0


_alive: list[_Shared] = []  # Options need not be hashable, and there are one or two at a time.


@contextmanager
def lease(
    key: tuple[object, ...], make: Callable[[], JobRunner]
) -> Generator[JobRunner, None, None]:
    """Hold the runner of `key`; `make` one if there is none."""
    __tracebackhide__ = True
    for shared in _alive:
        if shared.key == key:
            break
    else:
        shared = _Shared(key, make())
        _alive.append(shared)
    shared.users += 1
    try:
        yield shared.runner
    finally:
        shared.users -= 1
        if not shared.users:
            _alive.remove(shared)
            shared.runner.__exit__(None, None, None)


@contextmanager
def get_runner(
    backend_name: str, backend_options: dict[str, Any]
) -> Generator[runners.JobRunner, None, None]:
    """Hold a runner of tests for a backend, in a `with` block: the one that is alive, if there is one.

    :param backend_name: `"asyncio"` or `"trio"`
    :param backend_options: what `creche.run` takes as `backend_options`
    """
    __tracebackhide__ = True
    from .runner import LoopRunner

    def make() -> JobRunner:
        return LoopRunner(backend_name, backend_options)

    with lease(("loop", backend_name, backend_options), make) as runner:
        yield runner


def virtual_runner(backend_name: str, test: object, name: str) -> AbstractContextManager[JobRunner]:
    """Hold the runner in virtual time that belongs to a test, in a `with` block."""
    from .virtual import VirtualRunner

    return lease(("virtual", backend_name, test), lambda: VirtualRunner(backend_name, name))


def extract_backend_and_options(backend: object, fixture: str) -> tuple[str, dict[str, Any]]:
    """Return what the value of a backend fixture means: the name of the backend, and its options.

    :raises TypeError: it is neither a string nor a tuple of a string and a dict
    """
    if isinstance(backend, str):
        return backend, {}
    pair: Any = backend
    if isinstance(backend, tuple) and [str, dict] == [type(part) for part in pair]:
        name, options = pair
        return name, options
    raise TypeError(f"{fixture} must be either a string or tuple of (string, dict)")

"""The backends that every test runs on, by the ids that show in a test's name.

A backend here is a kernel plus the options to start it with; the same kernel can appear more than
once (asyncio's own loop, the same with eager tasks, uvloop). They are those of the registry, and a few
that only tests need. What is done with one that is not installed is decided in ``conftest.py``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

import creche
import toy_kernel
from creche import _registry
from creche._registry import KernelRecord

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run Creche: `kernel` and `options` are what `creche.run` is given."""

    name: str
    kernel: str
    options: Mapping[str, Any] = field(default_factory=dict)
    installed: bool = True
    record: KernelRecord | None = None
    """Of a kernel that is only registered while a test runs on it."""

    def present(self) -> AbstractContextManager[None]:
        """Have the kernel registered, in a block."""
        return nullcontext() if self.record is None else _registry.registered(self.record)

    def run(self, func: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run ``func(*args)`` to its end on this backend and return its result."""
        return creche.run(func, *args, backend=self.kernel, backend_options=dict(self.options))

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"


def new_eager_loop() -> asyncio.AbstractEventLoop:
    """Return a stock loop whose native tasks take their first step when they are made."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    return loop


FOR_TESTS = {
    "asyncio": (
        Backend(
            "asyncio+eager",
            "asyncio",
            {"loop_factory": new_eager_loop},
            installed=sys.version_info >= (3, 12),
        ),
    ),
}
"""By the name of a registered backend: others that come after it, which only tests are run on."""


def made_of_the_registry() -> Iterator[Backend]:
    for loop in _registry.variants():
        yield Backend(loop.name, loop.kernel, loop.options, loop.installed())
        yield from FOR_TESTS.get(loop.name, ())


BACKENDS: Mapping[str, Backend] = {backend.name: backend for backend in made_of_the_registry()}
OTHERS = (
    Backend("asyncio+debug", "asyncio", {"debug": True}),
    Backend("toy", "toy", record=toy_kernel.RECORD),
)
EVERY: Mapping[str, Backend] = {**BACKENDS, **{backend.name: backend for backend in OTHERS}}
"""Those and two more, for what says how a kernel has to be."""
FAMILIES = {
    kernel: tuple(name for name, backend in BACKENDS.items() if backend.kernel == kernel)
    for kernel in _registry.names()
}
"""The backends of each kernel."""


def command_line_of(loop: _registry.Variant) -> list[str]:
    """Return the arguments of `creche run` that choose a loop."""
    flags = {option.name: option.flag for option in _registry.find(loop.kernel).options}
    return ["--backend", loop.kernel, *(flags[name] or "" for name in loop.options)]


on_asyncio = pytest.mark.backends(*FAMILIES["asyncio"])
on_trio = pytest.mark.backends(*FAMILIES["trio"])
on_every_backend = pytest.mark.backends(*EVERY)
"""For tests of the kernel contract: also on what is registered for the test alone."""
on_each_kernel = pytest.mark.backends(*_registry.names())
on_each_simulated_loop = pytest.mark.parametrize("loop", _registry.simulating())
"""Gives a test the name of each kernel that has simulated runs, as `loop`."""
on_each_command_line = pytest.mark.parametrize(
    "flags", [pytest.param(command_line_of(loop), id=loop.name) for loop in _registry.variants()]
)
"""Gives a test the arguments of `creche run` for each registered backend, as `flags`."""

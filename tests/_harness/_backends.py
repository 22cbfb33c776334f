"""The backends that every test runs on, by the ids that show in a test's name.

A backend here is a kernel plus the options to start it with; the same kernel can appear more than
once (asyncio's own loop, the same with eager tasks, uvloop). Whether it is installed is looked up
here, what is done with one that is not is decided in ``conftest.py``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, TypeVar

import pytest

import creche

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run Creche: `kernel` and `options` are what `creche.run` is given."""

    name: str
    kernel: str
    options: Mapping[str, Any] = field(default_factory=dict)
    installed: bool = True

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


UVLOOP = "winloop" if sys.platform == "win32" else "uvloop"

BACKENDS: Mapping[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend("asyncio", "asyncio"),
        Backend(
            "asyncio+eager",
            "asyncio",
            {"loop_factory": new_eager_loop},
            installed=sys.version_info >= (3, 12),
        ),
        Backend("uvloop", "asyncio", {"use_uvloop": True}, installed=find_spec(UVLOOP) is not None),
        Backend("trio", "trio", installed=find_spec("trio") is not None),
    )
}

ASYNCIO_FAMILY = tuple(name for name, backend in BACKENDS.items() if backend.kernel == "asyncio")

on_asyncio = pytest.mark.backends(*ASYNCIO_FAMILY)
on_trio = pytest.mark.backends("trio")

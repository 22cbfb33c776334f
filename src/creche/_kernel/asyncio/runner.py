"""Starting an asyncio loop for one function, and leaving nothing of it behind.

`asyncio.Runner` does the work: signals, async generators, the default executor, what tasks are
left. We only have its first task made as one of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..main import MainLabel, start
from .tasks import Task, kernel_of, new_task

if TYPE_CHECKING:
    from .kernel import AsyncioKernel

OPTIONS = ("debug", "loop_factory", "use_uvloop")


def run(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise TypeError(
            f"unknown backend option {unknown[0]!r} for asyncio: known are {', '.join(OPTIONS)}"
        )
    factory = options.get("loop_factory")
    if options.get("use_uvloop") and factory is None:
        factory = _uvloop_factory()
    kernel: AsyncioKernel | None = None
    try:
        with asyncio.Runner(debug=options.get("debug"), loop_factory=factory) as runner:
            loop = runner.get_loop()
            kernel = kernel_of(loop)
            main = start(func, args)
            adopt_next_task(loop, MainLabel(func, main))
            return runner.run(main)
    finally:
        # Only now: tasks that the runner cancels may still wait for deadlines in their clean-up.
        if kernel is not None:
            kernel.close()


def adopt_next_task(loop: asyncio.AbstractEventLoop, label: MainLabel) -> None:
    """Make the next task of the loop a `Task`, then put the loop's own factory back."""
    previous = loop.get_task_factory()

    def make(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> Task:
        loop.set_task_factory(previous)
        options.pop("eager_start", None)
        return new_task(kernel_of(loop), coro, label, **options)

    # typeshed wants a wider signature.
    loop.set_task_factory(make)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _uvloop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    for name in ("uvloop", "winloop"):
        if find_spec(name) is not None:
            factory: Callable[[], asyncio.AbstractEventLoop] = __import__(name).new_event_loop
            return factory
    raise LookupError(
        "use_uvloop was asked for, but uvloop is not installed: pip install creche[uvloop]"
    )

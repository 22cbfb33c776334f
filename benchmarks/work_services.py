"""Services: what a supervised start costs beside `tg.start()`, and a resource beside the spawn of a task.

Peers are Creche's own: AnyIO, asyncio and Trio have no such thing. The two sides take turns in one run.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from .model import CRECHE, Backend, Settings, SpecialRow, Target, clock

NUMBER = 1_000
START, SPAWN = "tg.start()", "spawn and join"
Work: TypeAlias = Callable[[], Coroutine[Any, Any, float]]


async def nothing() -> None:
    pass


async def ready(*, task_status: Any) -> None:
    task_status.started()


class Manager:
    async def __aenter__(self) -> Manager:  # noqa: PYI034  # nobody inherits from it
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


async def supervised() -> float:
    from creche.services import create_supervisor

    async with create_supervisor() as sv:
        begin = clock()
        for _ in range(NUMBER):
            await sv.start(ready, restart="never")
    return clock() - begin


async def started() -> float:
    from creche import create_task_group

    async with create_task_group() as group:
        begin = clock()
        for _ in range(NUMBER):
            await group.start(ready)
    return clock() - begin


async def resources() -> float:
    from creche.services import create_resource_group

    async with create_resource_group() as group:
        begin = clock()
        for _ in range(NUMBER):
            await group.leave(await group.enter(Manager()))
    return clock() - begin


async def spawned() -> float:
    from creche import create_task_group

    begin = clock()
    for _ in range(NUMBER):
        async with create_task_group() as group:
            group.start_soon(nothing)
    return clock() - begin


def in_turns(
    ours: Work, peer: str, theirs: Work, backend: Backend, settings: Settings
) -> dict[str, list[float]]:
    """Return microseconds per operation, once for each round."""
    import creche

    found: dict[str, list[float]] = {CRECHE: [], peer: []}

    async def main() -> None:
        for _ in range(1 + (3 if settings.quick else settings.rounds)):
            found[CRECHE].append(await ours() / NUMBER * 1e6)
            found[peer].append(await theirs() / NUMBER * 1e6)

    options = {"use_uvloop": True} if backend == "uvloop" else {}
    kernel = "trio" if backend == "trio" else "asyncio"
    creche.run(main, backend=kernel, backend_options=options)
    return {name: figures[1:] for name, figures in found.items()}


ROWS = (
    SpecialRow(
        key="supervised-start",
        title="start of a supervised service that ends",
        measure=partial(in_turns, supervised, START, started),
        targets=(Target(START, 1.3),),
    ),
    SpecialRow(
        key="resource",
        title="enter and leave a resource of a group",
        measure=partial(in_turns, resources, SPAWN, spawned),
        targets=(Target(SPAWN, 4),),
    ),
)

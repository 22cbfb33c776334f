"""Random structured programs, and what runs them: plain Trio, Creche on Trio, Creche on asyncio.

A program is a list of statements, plain data, made from a seed; `Run` carries it out with one of
two libraries and writes down what each block saw. No two things happen at one virtual time (each
raise and cancel comes after a sleep of its own random length), for then the order is nobody's promise.
"""

from __future__ import annotations

import math
import random
from typing import Any

import trio
import trio.testing

import creche
from creche import testing

Program = list[tuple[Any, ...]]
Path = tuple[Any, ...]


class A(Exception):
    pass


class B(Exception):
    pass


class C(Exception):
    pass


ERRORS: dict[str, type[Exception]] = {"A": A, "B": B, "C": C}


def generate(rng: random.Random, depth: int = 0, scopes: tuple[int, ...] = ()) -> Program:
    """Make a block of one to four statements; deep inside they are simple ones."""
    return [part for _ in range(rng.randint(1, 4)) for part in _statement(rng, depth, scopes)]


def _statement(rng: random.Random, depth: int, scopes: tuple[int, ...]) -> Program:
    kind = rng.random() * (0.45 if depth >= 4 else 1)
    soon = ("sleep", round(rng.uniform(0.001, 3), 6))
    if kind < 0.25:
        return [("sleep", round(rng.uniform(0.1, 10), 6))]
    if kind < 0.33:
        return [soon, ("raise", rng.choice("ABC"))]
    if kind < 0.43 and scopes:
        return [soon, ("cancel", rng.choice(scopes))]
    if kind < 0.5:
        return [("sleep", round(rng.uniform(0.001, 0.1), 6))]
    new = rng.randrange(10**6)
    inside = (*scopes, new)
    if kind < 0.65:
        deadline = rng.choice([None, None, round(rng.uniform(0, 8), 6)])
        return [("scope", new, deadline, rng.random() < 0.25, generate(rng, depth + 1, inside))]
    if kind < 0.85:
        children = [generate(rng, depth + 1, inside) for _ in range(rng.randint(0, 3))]
        return [("group", new, children, generate(rng, depth + 1, inside))]
    if kind < 0.93:
        return [("try", generate(rng, depth + 1, scopes), rng.choice("ABC"))]
    if kind < 0.97:
        return [("finally", generate(rng, depth + 1, scopes), generate(rng, depth + 1, scopes))]
    parts = [generate(rng, depth + 1, inside) for _ in range(3)]
    return [("start", new, *parts)]


class OnCreche:
    """The names of Creche."""

    sleep = staticmethod(creche.sleep)
    scope = creche.CancelScope
    group = staticmethod(creche.create_task_group)
    now = staticmethod(creche.current_time)
    cancelled = staticmethod(creche.get_cancelled_exc_class)


class OnTrio:
    """The same of Trio."""

    sleep = staticmethod(trio.sleep)
    scope = trio.CancelScope
    group = staticmethod(trio.open_nursery)
    now = staticmethod(trio.current_time)

    @staticmethod
    def cancelled() -> type[BaseException]:
        return trio.Cancelled


class Run:
    """One run of a program, and what it saw."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.log: dict[Path, list[Any]] = {}
        self.scopes: dict[int, Any] = {}
        self.caught: dict[int, tuple[bool, bool]] = {}
        self.result: Any = None
        self.begun = self.end = 0.0

    async def main(self, program: Program) -> None:
        self.begun = self.library.now()
        try:
            await self.block(program, ())
            self.result = "ok"
        except BaseException as exc:
            self.result = tree(exc)
        self.end = self.time()

    def time(self) -> float:
        now: float = self.library.now()
        return round(now - self.begun, 3)

    def note(self, path: Path, what: Any) -> None:
        self.log.setdefault(path, []).append(what)

    def saw(self) -> tuple[Any, ...]:
        return self.result, self.end, self.log, self.caught

    async def block(self, statements: Program, path: Path) -> None:
        for number, (kind, *parts) in enumerate(statements):
            await getattr(self, f"do_{kind}")(path, number, *parts)

    async def do_sleep(self, path: Path, number: int, seconds: float) -> None:
        try:
            await self.library.sleep(seconds)
        except self.library.cancelled():
            self.note(path, (number, "cancelled", self.time()))
            raise
        self.note(path, (number, "slept", self.time()))

    async def do_raise(self, path: Path, number: int, name: str) -> None:
        raise ERRORS[name](f"{path}{number}")

    async def do_cancel(self, path: Path, number: int, scope: int) -> None:
        self.scopes[scope].cancel()

    async def do_scope(
        self, path: Path, number: int, key: int, after: float | None, shield: bool, body: Program
    ) -> None:
        deadline = math.inf if after is None else self.library.now() + after
        scope = self.scopes[key] = self.library.scope(deadline=deadline, shield=shield)
        try:
            with scope:
                await self.block(body, (*path, number))
        finally:
            self.caught[key] = (scope.cancel_called, scope.cancelled_caught)
        self.note(path, (number, "left the scope", self.time()))

    async def do_group(
        self, path: Path, number: int, key: int, children: list[Program], body: Program
    ) -> None:
        async def inside(group: Any) -> None:
            for place, child in enumerate(children):
                group.start_soon(self.block, child, (*path, number, "child", place))
            await self.block(body, (*path, number, "body"))

        await self.in_group(key, inside)
        self.note(path, (number, "left the group", self.time()))

    async def do_start(
        self, path: Path, number: int, key: int, before: Program, after: Program, body: Program
    ) -> None:
        async def service(*, task_status: Any) -> None:
            await self.block(before, (*path, number, "before"))
            task_status.started(7)
            await self.block(after, (*path, number, "after"))

        async def inside(group: Any) -> None:
            self.note(path, (number, "started", await group.start(service)))
            await self.block(body, (*path, number, "body"))

        await self.in_group(key, inside)

    async def in_group(self, key: int, inside: Any) -> None:
        scope = None
        try:
            async with self.library.group() as group:
                scope = self.scopes[key] = group.cancel_scope
                await inside(group)
        finally:
            if scope is not None:
                self.caught[key] = (scope.cancel_called, scope.cancelled_caught)

    async def do_try(self, path: Path, number: int, body: Program, name: str) -> None:
        try:
            await self.block(body, (*path, number, "try"))
        except* ERRORS[name]:
            self.note(path, (number, "caught"))

    async def do_finally(self, path: Path, number: int, body: Program, last: Program) -> None:
        try:
            await self.block(body, (*path, number, "try"))
        finally:
            await self.block(last, (*path, number, "finally"))


def tree(exc: BaseException) -> Any:
    """Describe an exception, a group by what is in it in any order."""
    if isinstance(exc, BaseExceptionGroup):
        return ("group", *sorted(str(tree(inner)) for inner in exc.exceptions))
    name = type(exc).__name__
    if "Cancel" in name:
        return "cancelled"
    return f"{name}: {exc}" if name in ERRORS else f"{name}: {str(exc)[:60]}"


def outcome(kind: str, program: Program) -> tuple[Any, ...]:
    """Run a program in virtual time and return what it saw. `kind`: oracle, trio or asyncio."""
    run = Run(OnTrio if kind == "oracle" else OnCreche)
    if kind == "oracle":
        trio.run(run.main, program, clock=trio.testing.MockClock(autojump_threshold=0))
    else:
        testing.run(run.main, program, backend=kind)
    return run.saw()


def differences(seed: int) -> list[str]:
    """Say on which of our two kernels the program of a seed does otherwise than plain Trio.

    Trio steps tasks that are ready at one time in random order. What comes out differently on Trio
    itself is nobody's promise, so Trio is asked again before a difference counts.
    """
    program = generate(random.Random(seed))
    oracle = [outcome("oracle", program)]
    found: list[str] = []
    for kind in ("trio", "asyncio"):
        ours = outcome(kind, program)
        if ours not in oracle:
            oracle += [outcome("oracle", program) for _ in range(8)]
            if ours not in oracle and all(other == oracle[0] for other in oracle):
                found.append(f"{kind}, seed {seed}: {ours} where Trio says {oracle[0]}")
    return found

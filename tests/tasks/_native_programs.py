"""Random programs of Creche and asyncio in one: made from a seed, carried out, and judged.

Owns what a program can say, and what must hold for every one of them. Tasks are children of groups,
foreign, eager or of the pure-Python class; they are cancelled natively at any moment, also at the very
moment of a grant, for times are whole numbers. What must hold:

* nothing hangs, and the loop makes a bounded number of passes;
* no native cancel is lost: the task ends cancelled, or its code saw it, or the next await raises;
* none is invented: a task that is cancelled was asked to go, or is in a cancelled scope;
* `cancelling()` is what was asked for, once the task is out of every scope and timeout;
* no item is lost or doubled, no lock is left, no task is left.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import creche
from creche import testing
from creche.lowlevel import cancel_shielded_checkpoint, checkpoint

PASSES = 20_000
"""Callbacks of the loop that no program of this size needs."""


class Boom(Exception):
    pass


class Asked:
    """What is known of one task of a program."""

    def __init__(self, path: str, *, exact: bool) -> None:
        self.path = path
        self.exact = exact
        """Whether only the program cancels the task natively, and nobody takes that back."""
        self.task: Any = None
        self.requests = 0
        self.saw = False
        """Whether its own code has put something in the place of a cancellation."""


class Program:
    """One program: a tree that `random` makes as it is carried out, so a seed is all there is."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.faults: list[str] = []
        self.known: list[Asked] = []
        self.inner: list[Any] = []
        self.handles: list[Any] = []
        self.sent: list[int] = []
        self.received: list[int] = []
        self.left = 60
        self.passes = 0

    # What is shared

    def share(self) -> None:
        self.events = [creche.Event() for _ in range(2)]
        self.lock = creche.Lock()
        self.semaphore = creche.Semaphore(1)
        self.limiter = creche.CapacityLimiter(1)
        self.condition = creche.Condition()
        self.native_lock = asyncio.Lock()
        self.send, self.receive = creche.create_memory_object_stream[int](
            self.chance.choice((0, 1, 3))
        )

    async def main(self) -> None:
        loop: Any = asyncio.get_running_loop()
        step = loop._run_once

        def counted() -> None:
            self.passes += 1
            if self.passes > PASSES:
                raise RuntimeError(f"{PASSES} passes of the loop")
            step()

        loop._run_once = counted
        if self.chance.random() < 0.3 and sys.version_info >= (3, 12):
            loop.set_task_factory(asyncio.eager_task_factory)
        self.share()
        me = asyncio.current_task()
        async with creche.create_task_group() as group:
            for number in range(self.chance.randint(1, 3)):
                self.spawn_any(group, f"{number}")
        while self.inner:
            await asyncio.wait([self.inner.pop()])
        for _ in range(3):
            await asyncio.sleep(0)
        if extra := {task for task in asyncio.all_tasks() if task is not me}:
            self.faults.append(f"tasks left: {extra}")
        self.judge_shared()

    def judge_shared(self) -> None:
        locks = (self.lock.locked(), self.native_lock.locked(), self.condition.locked())
        if any(locks) or self.semaphore.value != 1 or self.limiter.borrowed_tokens:
            self.faults.append(f"something is still held: {locks}")
        self.send.close()
        try:
            while True:
                self.received.append(self.receive.receive_nowait())
        except (creche.EndOfStream, creche.WouldBlock):
            pass
        self.receive.close()
        if sorted(self.sent) != sorted(self.received):
            self.faults.append(f"sent {self.sent}, received {self.received}")

    # Tasks

    def spawn_any(self, group: Any, path: str) -> None:
        """Start a task of any kind, for which `group` waits."""
        kind = self.chance.choice(("child", "child", "foreign", "python"))
        if kind == "child":
            group.start_soon(self.task, path, self.asked(path, exact=True))
            return
        native = self.native(kind, self.task(path, self.asked(path, exact=True)))
        self.inner.append(native)

    def native(self, kind: str, coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # From 3.14 on asyncio's own timeouts and groups do not work in such tasks: it does not find them.
        if kind == "python" and sys.version_info < (3, 14):
            plain: Any = vars(asyncio.tasks)["_PyTask"]
            made: asyncio.Task[None] = plain(coro, loop=asyncio.get_running_loop())
            return made
        return asyncio.create_task(coro)

    def asked(self, path: str, *, exact: bool) -> Asked:
        asked = Asked(path, exact=exact)
        self.known.append(asked)
        return asked

    async def task(self, path: str, asked: Asked) -> None:
        asked.task = asyncio.current_task()
        try:
            await self.block(path, asked, (), ())
        except asyncio.CancelledError:
            if not (asked.requests or asked.task.cancelling() or in_cancelled_scope()):
                self.fault(asked, "was cancelled, and nobody asked for that")
            self.forget(asked)
            raise
        except BaseExceptionGroup as group:
            if group.split(asyncio.CancelledError)[0] is not None and not in_cancelled_scope():
                self.fault(asked, f"a cancellation in a group: {group!r}")
        except Boom:
            pass
        await self.judge(asked)

    async def judge(self, asked: Asked) -> None:
        """The task has come to its end: it has heard of each request, or hears of it now."""
        with creche.CancelScope(shield=True):
            count = asked.task.cancelling()
            if asked.exact and count != asked.requests:
                self.fault(asked, f"cancelling() == {count} after {asked.requests} requests")
            try:
                await asyncio.sleep(0)
                await checkpoint()
            except asyncio.CancelledError:
                if not asked.task.cancelling():
                    self.fault(asked, "cancelled late, and nobody asked for that")
                self.forget(asked)
                raise
            if asked.task.cancelling() and not asked.saw:
                self.fault(asked, "went on after a native cancel")
        self.forget(asked)

    def forget(self, asked: Asked) -> None:
        asked.task = None

    def fault(self, asked: Asked, what: str) -> None:
        self.faults.append(f"task {asked.path}: {what}")

    # Blocks and statements

    async def block(
        self, path: str, asked: Asked, scopes: tuple[Any, ...], groups: tuple[Any, ...]
    ) -> None:
        for number in range(self.chance.randint(1, 4)):
            self.left -= 1
            if self.left < 0:
                return
            deep = path.count(".") < 5
            name = self.chance.choice(SIMPLE + COMPOUND if deep else SIMPLE)
            statement: Callable[..., Awaitable[None]] = getattr(self, name)
            await statement(f"{path}.{number}{name}", asked, scopes, groups)

    async def nap(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        seconds = self.chance.randint(0, 3)
        await (asyncio.sleep(seconds) if self.chance.random() < 0.3 else creche.sleep(seconds))

    async def pass_by(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        await self.chance.choice((checkpoint, cancel_shielded_checkpoint))()

    async def fail(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        await self.nap(path, asked, scopes, groups)
        raise ExceptionGroup("by hand", [Boom(path)]) if self.chance.random() < 0.2 else Boom(path)

    async def cancel_task(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        await self.nap(path, asked, scopes, groups)
        alive = [each for each in self.known if each.task is not None and each.exact]
        for each in self.chance.sample(alive, min(len(alive), self.chance.randint(1, 2))):
            if each.task.cancel(path):
                each.requests += 1

    async def cancel_itself(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        if asked.exact and asked.task.cancel(path):
            asked.requests += 1

    async def cancel_scope(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        await self.nap(path, asked, scopes, groups)
        if scopes:
            self.chance.choice(scopes).cancel()

    async def cancel_child(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        await self.nap(path, asked, scopes, groups)
        if self.handles:
            self.chance.choice(self.handles).cancel()

    async def change_scope(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        if scopes:
            scope = self.chance.choice(scopes)
            if self.chance.random() < 0.5:
                scope.shield = not scope.shield
            else:
                scope.deadline = creche.current_time() + self.chance.randint(-1, 4)

    async def event(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        event = self.chance.choice(self.events)
        if self.chance.random() < 0.5:
            with creche.move_on_after(self.chance.randint(1, 4)):
                await event.wait()
        else:
            event.set()
            self.events[self.events.index(event)] = creche.Event()

    async def hold(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        lock = self.chance.choice((self.lock, self.semaphore, self.limiter, self.native_lock))
        with creche.move_on_after(self.chance.randint(2, 5)):
            async with lock:
                await self.nap(path, asked, scopes, groups)

    async def news(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        with creche.move_on_after(self.chance.randint(1, 4)):
            async with self.condition:
                if self.chance.random() < 0.5:
                    await self.condition.wait()
                else:
                    self.condition.notify(1)

    async def give(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        item = len(self.sent) + 1000 * self.chance.randint(1, 10**6)
        with creche.move_on_after(self.chance.randint(1, 4)):
            await self.send.send(item)
            self.sent.append(item)

    async def take(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        with creche.move_on_after(self.chance.randint(1, 4)):
            self.received.append(await self.receive.receive())

    async def scope(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        shield = self.chance.random() < 0.3
        with creche.move_on_after(self.chance.choice((None, 0, 1, 2, 4)), shield=shield) as scope:
            await self.block(path, asked, (*scopes, scope), groups)

    async def fail_after(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        try:
            with creche.fail_after(self.chance.randint(0, 4)) as scope:
                await self.block(path, asked, (*scopes, scope), groups)
        except TimeoutError:
            pass

    async def timeout(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        try:
            async with asyncio.timeout(self.chance.randint(0, 4)):
                await self.block(path, asked, scopes, groups)
        except TimeoutError:
            # asyncio says so as well where a request was there on entry, and came first.
            asked.saw = asked.saw or asked.task.cancelling() > 0

    async def wait_for(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        inner = self.asked(path, exact=False)
        try:
            made = self.native(self.chance.choice(("foreign", "python")), self.task(path, inner))
            await asyncio.wait_for(made, self.chance.randint(1, 4))
        except TimeoutError:
            asked.saw = asked.saw or asked.task.cancelling() > 0
        finally:
            asked.saw = asked.saw or inner.saw  # A cancel went to that task, and ended there.

    async def gather(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        parts = [self.within(f"{path}{number}") for number in range(self.chance.randint(1, 3))]
        try:
            if self.chance.random() < 0.5:
                await creche.gather(*parts)
            else:
                await asyncio.gather(*parts, return_exceptions=True)
        except* Boom:
            pass

    async def shielded(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        inner = self.native(self.chance.choice(("foreign", "python")), self.within(path))
        self.inner.append(inner)
        await asyncio.shield(inner)

    async def within(self, path: str) -> None:
        """What a task does that belongs to a construct of asyncio's, which may cancel it."""
        await self.task(path, self.asked(path, exact=False))

    async def group(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        try:
            async with creche.create_task_group() as group:
                group.cancel_scope.shield = self.chance.random() < 0.2
                within = (*scopes, group.cancel_scope)
                for number in range(self.chance.randint(0, 2)):
                    self.spawn_child(group, f"{path}/{number}", within, (*groups, group))
                await self.block(path, asked, within, (*groups, group))
        except* Boom:
            pass

    def spawn_child(self, group: Any, path: str, scopes: Any, groups: Any) -> None:
        self.handles.append(group.start_soon(self.child, path, scopes, groups))

    async def child(self, path: str, scopes: Any, groups: Any) -> None:
        asked = self.asked(path, exact=True)
        asked.task = asyncio.current_task()
        try:
            await self.block(path, asked, scopes, groups)
        except asyncio.CancelledError:
            self.forget(asked)
            raise
        except Boom:
            if self.chance.random() < 0.5:
                self.forget(asked)
                raise
        except BaseExceptionGroup:
            self.forget(asked)
            raise
        await self.judge(asked)

    async def native_group(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self.chance.randint(0, 2)):
                    group.create_task(self.within(f"{path}/{number}"))
                await self.block(path, asked, scopes, groups)
        except* Boom:
            pass

    async def start(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        async def service(*, task_status: Any) -> None:
            with creche.CancelScope(shield=self.chance.random() < 0.3):
                await self.nap(path, asked, scopes, groups)
            if self.chance.random() < 0.2:
                raise Boom(path)
            task_status.started()
            await self.nap(path, asked, scopes, groups)

        if groups:
            try:
                await self.chance.choice(groups).start(service)
            except (Boom, RuntimeError):  # Its child failed, or the group is closed.
                pass

    async def spawn(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        """Start a child, maybe in a group whose body has ended, or that is closed."""
        if groups:
            with suppress(RuntimeError):
                self.spawn_child(self.chance.choice(groups), f"{path}/late", (), groups)

    async def ends_in(self, path: str, asked: Asked, scopes: Any, groups: Any) -> None:
        """`try: ... finally: ...`, the clean-up shielded, or cut off, or failing."""
        try:
            await self.block(path, asked, scopes, groups)
        except BaseException:
            if self.chance.random() < 0.3:
                asked.saw = True
                raise Boom(path) from None
            raise
        finally:
            with creche.CancelScope(shield=self.chance.random() < 0.7):
                await self.nap(path, asked, scopes, groups)


SIMPLE = [
    *("nap", "nap", "pass_by", "fail", "cancel_task", "cancel_task", "cancel_itself"),
    *(
        "cancel_scope",
        "cancel_child",
        "change_scope",
        "event",
        "event",
        "hold",
        "news",
        "give",
        "take",
    ),
]
COMPOUND = [
    *("scope", "fail_after", "timeout", "timeout", "wait_for", "gather", "shielded"),
    *("group", "group", "native_group", "start", "spawn", "ends_in"),
]

if sys.version_info < (3, 13):
    # asyncio's own group loses the request that comes together with a child's error.
    COMPOUND.remove("native_group")
if sys.version_info < (3, 12):
    # asyncio's own wait_for swallows the request that comes together with the result.
    COMPOUND.remove("wait_for")


def in_cancelled_scope() -> bool:
    return creche.current_effective_deadline() == float("-inf")


def faults_of(seed: int) -> list[str]:
    """Carry out the program of a seed; return what is wrong with what came of it."""
    program = Program(seed)
    try:
        testing.run(program.main, seed=seed if seed % 2 else None)
    except BaseException as exc:
        program.faults.append(f"the program ended with {exc!r}")
    return program.faults

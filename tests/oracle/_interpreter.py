"""Carries a program out with one of the libraries, and writes down what each block saw.

Owns the meaning of each statement, and what is compared: the outcome with its tree of exceptions,
the virtual times, what each wait came to, which scopes were cancelled and which caught, how each
task ended, and what is left of what was shared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, TypeAlias
from zlib import crc32

from _libraries import finite, interrupted
from _programs import (
    AtOnce,
    AwaitChild,
    Block,
    Cancel,
    CancelChild,
    Close,
    Convert,
    FailAfter,
    Finally,
    Group,
    Hold,
    Instant,
    Look,
    Notify,
    Raise,
    RaiseGroup,
    Receive,
    Scope,
    Send,
    SetDeadline,
    SetEvent,
    SetShield,
    SetTotal,
    Sleep,
    Spawn,
    Start,
    Statement,
    Swallow,
    Try,
    WaitEvent,
    WaitNews,
)

Path: TypeAlias = tuple[Any, ...]


class A(Exception):
    pass


class B(Exception):
    pass


class C(Exception):
    pass


ERRORS: dict[str, type[Exception]] = {"A": A, "B": B, "C": C}
SAME = {"EndOfChannel": "EndOfStream"}


@dataclass(frozen=True)
class Place:
    """Where a block is in the program, and what is around it."""

    path: Path = ()
    scopes: tuple[Any, ...] = ()
    groups: tuple[Any, ...] = ()
    handles: tuple[Any, ...] = ()
    at_once: bool = False
    """Whether the statement has no moment of its own."""

    def at(self, *steps: Any) -> Place:
        return replace(self, path=(*self.path, *steps))

    def inside(self, scope: Any) -> Place:
        return replace(self, scopes=(*self.scopes, scope))


def picked(things: tuple[Any, ...], number: int) -> Any:
    """Return one of the things, counted from the inside out; None if there are none."""
    return things[-1 - number % len(things)] if things else None


@dataclass
class Seen:
    """What a run of a program has come to."""

    result: Any = None
    end: Any = None
    log: dict[Path, list[Any]] = field(default_factory=dict)
    scopes: dict[Path, tuple[bool, bool]] = field(default_factory=dict)
    tasks: dict[Path, str] = field(default_factory=dict)
    left: Any = None


class Run:
    """One run of a program."""

    def __init__(self, names: Any) -> None:
        self.names = names
        self.seen = Seen()
        self.handles: dict[Path, Any] = {}
        self.begun = 0.0

    async def main(self, program: Block) -> None:
        self.begun = self.names.now()
        self.share()
        try:
            await self.block(program, Place())
            self.seen.result = "ok"
        except BaseException as exc:
            self.seen.result = tree(exc)
        self.seen.end = self.time()
        self.seen.tasks = {path: handle.status.name for path, handle in self.handles.items()}
        self.seen.left = self.put_away()

    def share(self) -> None:
        """Make what the tasks of the program share."""
        names = self.names
        self.lock, self.semaphore, self.limiter = names.lock(), names.semaphore(2), names.limiter(2)
        self.locks = {
            "lock": self.lock,
            "semaphore": self.semaphore,
            "limiter": self.limiter,
            "other lock": names.lock(),
        }
        self.events = [names.event(), names.event()]
        self.condition = names.condition()
        self.senders: dict[str, list[Any]] = {}
        self.receivers: dict[str, list[Any]] = {}
        for stream, room in (("handover", 0), ("buffered", 2)):
            send, receive = names.channel(room)
            self.senders[stream] = [send, send.clone()]
            self.receivers[stream] = [receive, receive.clone()]

    def put_away(self) -> Any:
        """Close the streams; return what is left of all that was shared."""
        streams = [self.names.fill(sender.statistics()) for sender, _ in self.senders.values()]
        for end in [*self.senders.values(), *self.receivers.values()]:
            for clone in end:
                clone.close()
        return (
            [lock.locked() for lock in (self.lock, self.locks["other lock"], self.condition)],
            self.semaphore.value,
            (self.limiter.borrowed_tokens, self.limiter.total_tokens),
            [event.is_set() for event in self.events],
            streams,
        )

    # Time and notes

    def time(self) -> Any:
        return finite(self.names.now() - self.begun)

    def note(self, place: Place, *what: Any) -> None:
        self.seen.log.setdefault(place.path, []).append((*what, self.time()))

    def seconds(self, whole: int, place: Place, what: str) -> float:
        """Return a time that no other statement has."""
        return whole + crc32(repr((what, place.path)).encode()) / 2**32

    def cleanup(self, whole: int | None, place: Place) -> dict[str, float]:
        """Return what gives a scope time for clean-ups, if the program says so."""
        if not whole:
            return {} if whole is None else {"cleanup": 0}
        return {"cleanup": self.seconds(whole, place, "cleanup")}

    async def pause(self, place: Place, whole: int = 0, what: str = "before") -> None:
        if place.at_once:
            return
        try:
            await self.names.sleep(self.seconds(whole, place, what))
        except self.names.cancelled():
            self.note(place, what, "cancelled")
            raise

    async def with_patience(
        self, place: Place, patience: int, wait: Callable[[], Awaitable[Any]]
    ) -> bool:
        """Wait for something for a while; note what came of it, and return whether it came."""
        await self.pause(place)
        deadline = self.names.now() + self.seconds(patience, place, "patience")
        scope = self.names.scope(deadline=deadline)
        came: Any = "gave up"
        try:
            with scope:
                came = ("came", await wait())
        except self.names.cancelled():
            came = "was cancelled"
            raise
        except Exception as exc:
            came = tree(exc)
        finally:
            self.note(place, came, scope.cancel_called, scope.cancelled_caught)
        return type(came) is tuple

    async def block(self, statements: Block, place: Place) -> None:
        for number, statement in enumerate(statements):
            await self.step(statement, place.at(number, type(statement).__name__))

    async def step(self, statement: Statement, place: Place) -> None:
        await getattr(self, f"do_{type(statement).__name__}")(statement, place)

    # Time, errors, scopes

    async def do_Sleep(self, the: Sleep, place: Place) -> None:
        await self.pause(place, the.seconds, "slept")
        self.note(place, "slept")

    async def do_Look(self, the: Look, place: Place) -> None:
        for _ in range(2):
            deadline = self.names.deadline()
            self.note(place, finite(deadline if abs(deadline) == inf else deadline - self.begun))
            await self.pause(place)

    async def do_Raise(self, the: Raise, place: Place) -> None:
        await self.pause(place)
        raise ERRORS[the.name](str(place.path))

    async def do_RaiseGroup(self, the: RaiseGroup, place: Place) -> None:
        await self.pause(place)
        group = ExceptionGroup("by hand", [ERRORS[name](str(place.path)) for name in the.names])
        raise BaseExceptionGroup("around", [group]) if the.nested else group

    async def do_AtOnce(self, the: AtOnce, place: Place) -> None:
        await self.step(the.what, replace(place, at_once=True))

    async def do_Instant(self, the: Instant, place: Place) -> None:
        await self.pause(place)
        for number, what in enumerate(the.what):
            await self.step(what, replace(place.at(number), at_once=True))

    async def do_Cancel(self, the: Cancel, place: Place) -> None:
        await self.pause(place)
        if (scope := picked(place.scopes, the.scope)) is not None:
            scope.cancel()

    async def do_SetShield(self, the: SetShield, place: Place) -> None:
        await self.pause(place)
        if (scope := picked(place.scopes, the.scope)) is not None:
            scope.shield = the.shield

    async def do_SetDeadline(self, the: SetDeadline, place: Place) -> None:
        await self.pause(place)
        if (scope := picked(place.scopes, the.scope)) is not None:
            after = inf if the.after < 0 else self.seconds(the.after, place, "after")
            scope.deadline = self.names.now() + after

    async def do_Scope(self, the: Scope, place: Place) -> None:
        now = self.names.now()
        deadline = inf if the.after is None else now + self.seconds(the.after, place, "deadline")
        given = self.cleanup(the.cleanup, place)
        scope = self.names.scope(deadline=deadline, shield=the.shield, **given)
        try:
            with scope:
                await self.block(the.body, place.inside(scope))
        finally:
            self.left(scope, place)
        self.note(place, "left")

    async def do_FailAfter(self, the: FailAfter, place: Place) -> None:
        scope = None
        try:
            given = self.cleanup(the.cleanup, place)
            with self.names.fail_after(
                self.seconds(the.after, place, "deadline"), **given
            ) as scope:
                await self.block(the.body, place.inside(scope))
        finally:
            if scope is not None:
                self.left(scope, place)
        self.note(place, "left")

    def left(self, scope: Any, place: Place) -> None:
        self.seen.scopes[place.path] = (scope.cancel_called, scope.cancelled_caught)

    async def do_Try(self, the: Try, place: Place) -> None:
        try:
            await self.block(the.body, place)
        except* ERRORS[the.name] as caught:
            self.note(place, "caught", tree(caught))

    async def do_Finally(self, the: Finally, place: Place) -> None:
        try:
            await self.block(the.body, place.at("try"))
        finally:
            await self.block(the.last, place.at("finally"))

    async def do_Swallow(self, the: Swallow, place: Place) -> None:
        try:
            await self.block(the.body, place)
        except BaseException as exc:
            if not interrupted(exc, self.names.cancelled()):
                raise
            self.note(place, "swallowed")

    async def do_Convert(self, the: Convert, place: Place) -> None:
        try:
            await self.block(the.body, place)
        except BaseException as exc:
            if not interrupted(exc, self.names.cancelled()):
                raise
            self.note(place, "converted")
            raise ERRORS[the.name](str(place.path)) from None

    # Groups and their tasks

    async def do_Group(self, the: Group, place: Place) -> None:
        scope = None
        try:
            async with self.names.group(**self.cleanup(the.cleanup, place)) as group:
                scope = group.cancel_scope
                within = replace(place.inside(scope), groups=(*place.groups, group))
                for number, child in enumerate(the.children):
                    within = self.spawn(group, child, within, within.at("child", number))
                await self.block(the.body, within.at("body"))
        finally:
            if scope is not None:
                self.left(scope, place)
        self.note(place, "left")

    def spawn(self, group: Any, body: Block, place: Place, where: Place) -> Place:
        """Start a child; return the place where its handle is known."""
        handle = self.handles[where.path] = group.start_soon(self.child, body, where)
        return replace(place, handles=(*place.handles, handle))

    async def child(self, body: Block, place: Place) -> str:
        await self.block(body, place)
        return f"the value of {place.path}"

    async def do_Spawn(self, the: Spawn, place: Place) -> None:
        if (group := picked(place.groups, the.group)) is not None:
            await self.pause(place)
            self.spawn(group, the.body, place, place)

    async def do_Start(self, the: Start, place: Place) -> None:
        async def service(*, task_status: Any) -> None:
            await self.block(the.before, place.at("before"))
            if not the.says_so:
                await self.block(the.after, place.at("after"))
                try:  # An error comes at a moment of its own; or at once, where all is cancelled.
                    await self.pause(place, what="before it returns")
                except self.names.cancelled():
                    pass
                return
            if the.by_helper:
                async with self.names.group() as own:
                    own.start_soon(self.help, task_status, place)
                    await self.block(the.after, place.at("after"))
                return
            self.say_so(task_status, place, twice=the.twice)
            await self.block(the.after, place.at("after"))

        if (group := picked(place.groups, the.group)) is not None:
            self.note(place, await group.start(service))

    def say_so(self, task_status: Any, place: Place, *, twice: bool) -> None:
        task_status.started(str(place.path))
        if twice:
            try:
                task_status.started("again")
            except RuntimeError:
                self.note(place, "only once")

    async def help(self, task_status: Any, place: Place) -> None:
        where = place.at("helper")
        await self.pause(where)
        self.say_so(task_status, where, twice=False)
        await self.pause(where, 1, "after")

    async def do_CancelChild(self, the: CancelChild, place: Place) -> None:
        await self.pause(place)
        if (handle := picked(place.handles, the.handle)) is not None:
            handle.cancel()
            self.note(place, handle.status.name)

    async def do_AwaitChild(self, the: AwaitChild, place: Place) -> None:
        handle = picked(place.handles, the.handle)
        if handle is not None and await self.with_patience(place, the.patience, handle.wait):
            status = handle.status.name
            self.note(place, status, handle.return_value if status == "FINISHED" else None)

    # What tasks share

    async def do_Hold(self, the: Hold, place: Place) -> None:
        lock = self.locks[the.lock]
        if await self.with_patience(place, the.patience, lock.acquire):
            try:
                await self.block(the.body, place)
                await self.pause(place, the.after, "after")
            finally:
                lock.release()

    async def do_SetTotal(self, the: SetTotal, place: Place) -> None:
        await self.pause(place)
        self.limiter.total_tokens = the.tokens

    async def do_WaitEvent(self, the: WaitEvent, place: Place) -> None:
        await self.with_patience(place, the.patience, self.events[the.event].wait)

    async def do_SetEvent(self, the: SetEvent, place: Place) -> None:
        await self.pause(place)
        self.events[the.event].set()

    async def do_WaitNews(self, the: WaitNews, place: Place) -> None:
        async def news() -> None:
            async with self.condition:
                await self.condition.wait()

        await self.with_patience(place, the.patience, news)

    async def do_Notify(self, the: Notify, place: Place) -> None:
        await self.pause(place)
        async with self.condition:
            self.condition.notify(the.number)

    async def do_Send(self, the: Send, place: Place) -> None:
        async def send() -> None:
            await self.senders[the.stream][the.end].send(place.path)

        await self.with_patience(place, the.patience, send)

    async def do_Receive(self, the: Receive, place: Place) -> None:
        async def receive() -> Any:
            return await self.receivers[the.stream][the.end].receive()

        await self.with_patience(place, the.patience, receive)

    async def do_Close(self, the: Close, place: Place) -> None:
        await self.pause(place)
        side = self.senders if the.side == "send" else self.receivers
        side[the.stream][the.end].close()


def tree(exc: BaseException) -> Any:
    """Describe an exception, a group by what is in it in any order."""
    if isinstance(exc, BaseExceptionGroup):
        inner = sorted((tree(inner) for inner in exc.exceptions), key=repr)
        return ("group", *inner) if any(part != "cancelled" for part in inner) else "cancelled"
    name = type(exc).__name__
    if "Cancel" in name:
        return "cancelled"
    return f"{name}: {exc}" if name in ERRORS else SAME.get(name, name)

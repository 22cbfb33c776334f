"""Structured programs as plain data, and the strategy by which Hypothesis makes and shrinks them.

Owns what a program can say. Does not know what it does: `_interpreter.py` carries it out.

The rules
---------
* What a statement refers to (a scope around it, a group, a handle) is a number counted from the
  inside out, modulo how many there are. So each part of a program can be taken away, and what is
  left is still a program: that makes the shrunk ones short.
* Times are whole numbers; the interpreter adds a fraction that no other statement has. So no two things
  happen at one time, for then the order is nobody's promise.
* Every wait has its patience, so that no program hangs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hypothesis import strategies as st

ERRORS = ("A", "B", "C")
LOCKS = ("lock", "semaphore", "limiter", "other lock")
STREAMS = ("handover", "buffered")


@dataclass(frozen=True)
class Statement:
    """One line of a program, with the blocks inside it."""


Block: TypeAlias = list[Statement]


# Time, errors, scopes


@dataclass(frozen=True)
class Sleep(Statement):
    seconds: int


@dataclass(frozen=True)
class Look(Statement):
    """Note the effective deadline, after a sleep and before any."""


@dataclass(frozen=True)
class Raise(Statement):
    name: str


@dataclass(frozen=True)
class RaiseGroup(Statement):
    """Raise a group that the program has made by hand, of one level or two."""

    names: list[str]
    nested: bool


@dataclass(frozen=True)
class AtOnce(Statement):
    """Do a statement without the moment of its own before it: also in a clean-up that is cancelled."""

    what: Statement


@dataclass(frozen=True)
class Instant(Statement):
    """Do several things in one instant, one after the other, before anybody else has stepped."""

    what: Block


@dataclass(frozen=True)
class Cancel(Statement):
    """Cancel a scope or group around the statement."""

    scope: int


@dataclass(frozen=True)
class SetShield(Statement):
    scope: int
    shield: bool


@dataclass(frozen=True)
class SetDeadline(Statement):
    """Set the deadline of a scope or group to so many seconds from now, -1 for never."""

    scope: int
    after: int


@dataclass(frozen=True)
class Scope(Statement):
    """A cancel scope. A deadline before its time is one that has passed at entry; None is never."""

    after: int | None
    shield: bool
    body: Block
    cleanup: int | None = None


@dataclass(frozen=True)
class FailAfter(Statement):
    after: int
    body: Block
    cleanup: int | None = None


@dataclass(frozen=True)
class Try(Statement):
    """`try: body except* name: note it`."""

    body: Block
    name: str


@dataclass(frozen=True)
class Finally(Statement):
    body: Block
    last: Block


@dataclass(frozen=True)
class Swallow(Statement):
    """`try: body except Cancelled: note it`, which nobody should do."""

    body: Block


@dataclass(frozen=True)
class Convert(Statement):
    """`try: body except Cancelled: raise name`."""

    body: Block
    name: str


# Groups and their tasks


@dataclass(frozen=True)
class Group(Statement):
    """A task group whose children are started before its body runs."""

    children: list[Block]
    body: Block
    cleanup: int | None = None


@dataclass(frozen=True)
class Spawn(Statement):
    """Start one more child of a group around the statement."""

    group: int
    body: Block


@dataclass(frozen=True)
class Start(Statement):
    """`start()` in a group around the statement; `says_so` is whether `started()` is called.

    `by_helper` has a task of the child's own call it, and wait before it ends; `twice` calls it again.
    """

    group: int
    before: Block
    says_so: bool
    after: Block
    by_helper: bool = False
    twice: bool = False


@dataclass(frozen=True)
class CancelChild(Statement):
    handle: int


@dataclass(frozen=True)
class AwaitChild(Statement):
    handle: int
    patience: int


# What tasks share


@dataclass(frozen=True)
class Hold(Statement):
    """Acquire one of the locks, run the body, wait a while, release the lock."""

    lock: str
    patience: int
    body: Block
    after: int


@dataclass(frozen=True)
class SetTotal(Statement):
    """Change the number of tokens of the limiter."""

    tokens: int


@dataclass(frozen=True)
class WaitEvent(Statement):
    event: int
    patience: int


@dataclass(frozen=True)
class SetEvent(Statement):
    event: int


@dataclass(frozen=True)
class WaitNews(Statement):
    """Wait on the condition."""

    patience: int


@dataclass(frozen=True)
class Notify(Statement):
    number: int


@dataclass(frozen=True)
class Send(Statement):
    stream: str
    end: int
    patience: int


@dataclass(frozen=True)
class Receive(Statement):
    stream: str
    end: int
    patience: int


@dataclass(frozen=True)
class Close(Statement):
    stream: str
    side: str
    end: int


# How they are made

numbers = st.integers(0, 2)
seconds = st.integers(0, 8)
patience = st.integers(2, 12)
errors = st.sampled_from(ERRORS)
ends = st.integers(0, 1)
NONE: st.SearchStrategy[int | None] = st.none()
Statements: TypeAlias = st.SearchStrategy[Statement]


def acts() -> list[Statements]:
    """What can be done at once."""
    return [
        st.builds(Raise, errors),
        st.builds(RaiseGroup, st.lists(errors, min_size=1, max_size=2), st.booleans()),
        st.builds(Cancel, numbers),
        st.builds(CancelChild, numbers),
        st.builds(SetShield, numbers, st.booleans()),
        st.builds(SetDeadline, numbers, st.integers(-1, 8)),
    ]


def instants(acts: list[Statements]) -> Statements:
    """Two or three of these acts in one instant."""
    return st.builds(Instant, st.lists(st.one_of(acts), min_size=2, max_size=3))


def simple() -> list[Statements]:
    """The statements about time, errors and scopes that hold no others."""
    return [
        st.builds(AtOnce, st.one_of(acts())),
        instants(acts()),
        st.builds(RaiseGroup, st.lists(errors, min_size=1, max_size=2), st.booleans()),
        st.builds(Sleep, seconds),
        st.builds(Raise, errors),
        st.builds(Cancel, numbers),
        st.builds(Sleep, seconds),
        st.builds(CancelChild, numbers),
        st.builds(AwaitChild, numbers, patience),
        st.builds(SetShield, numbers, st.booleans()),
        st.builds(SetDeadline, numbers, st.integers(-1, 8)),
        st.builds(Look),
    ]


def holds(inner: Statements, locks: Sequence[str]) -> list[Statements]:
    """The statements that hold one of these locks."""
    block = st.lists(inner, max_size=3)
    return [st.builds(Hold, st.just(lock), patience, block, seconds) for lock in locks]


def exchanges(stream: str) -> list[Statements]:
    """The statements about a stream; closing it is one in five."""
    name = st.just(stream)
    twice = [st.builds(kind, name, ends, patience) for kind in (Send, Receive) for _ in range(2)]
    return [*twice, closes(stream)]


def closes(stream: str) -> Statements:
    return st.builds(Close, st.just(stream), st.sampled_from(("send", "receive")), ends)


sets: Statements = st.builds(SetEvent, ends)
events: list[Statements] = [st.builds(WaitEvent, ends, patience), sets]
news: list[Statements] = [st.builds(WaitNews, patience), st.builds(Notify, st.integers(1, 3))]
totals: list[Statements] = [st.builds(SetTotal, st.integers(1, 3))]


def compound(inner: Statements, cleanups: st.SearchStrategy[int | None]) -> list[Statements]:
    """The statements that hold others."""
    block = st.lists(inner, max_size=4)
    children = st.lists(block, max_size=3)
    return [
        st.builds(Group, children, block, cleanups),
        st.builds(Scope, st.none() | st.integers(-1, 8), st.booleans(), block, cleanups),
        st.builds(
            Start,
            numbers,
            block,
            st.sampled_from((True, True, True, False)),
            block,
            by_helper=st.sampled_from((False, False, True)),
            twice=st.sampled_from((False, False, True)),
        ),
        st.builds(Group, children, block, cleanups),
        st.builds(Spawn, numbers, block),
        st.builds(Try, block, errors),
        st.builds(Finally, block, block),
        st.builds(FailAfter, seconds, block, cleanups),
        st.builds(Swallow, block),
        st.builds(Convert, block, errors),
    ]


def blocks(
    leaves: list[Statements],
    *,
    locks: Sequence[str] = (),
    depth: int,
    cleanups: st.SearchStrategy[int | None] = NONE,
) -> st.SearchStrategy[Block]:
    """Blocks whose statements hold blocks, `depth` levels deep at most."""
    leaves = [*leaves, *holds(st.builds(Sleep, seconds), locks)]
    statement = st.one_of(leaves)
    for _ in range(depth):
        inner = [*compound(statement, cleanups), *holds(statement, locks)]
        statement = st.one_of(st.one_of(leaves), st.one_of(inner))
    return st.lists(statement, min_size=1, max_size=4)


def crowd(
    leaves: list[Statements], *locks: str, depth: int = 1, now: list[Statements] | None = None
) -> st.SearchStrategy[Block]:
    """Programs of several tasks from the first, for what is shared needs them.

    :param now: what of the leaves needs no moment, and may come in one instant with a cancel
    """
    cancels = [st.builds(CancelChild, numbers), st.builds(Cancel, numbers)]
    around = [st.builds(Sleep, seconds), cancels[0], instants([*cancels, *(now or cancels)])]
    block = blocks([*around, *leaves], locks=locks, depth=depth)

    def together(children: list[Block], body: Block) -> Block:
        return [Group(children, body)]

    return st.builds(together, st.lists(block, min_size=2, max_size=5), block)


def programs() -> st.SearchStrategy[Block]:
    """Programs about time, errors and scopes alone, about one thing that tasks share, about all."""
    alone = [blocks(simple(), depth=depth) for depth in (2, 3, 4, 5)]
    of_one = [
        crowd([], "lock", "other lock"),
        crowd([], "semaphore"),
        crowd(totals, "limiter", now=totals),
        crowd(events, now=[sets]),
        crowd(news),
        *(crowd(exchanges(stream), now=[closes(stream)]) for stream in STREAMS),
    ]
    everything = [*events, *news, *totals, *exchanges("handover"), *exchanges("buffered")]
    now = [*acts(), sets, *totals, *map(closes, STREAMS)]
    return st.one_of(*alone, *of_one, crowd(everything + simple(), *LOCKS, depth=3, now=now))


def cleanups() -> st.SearchStrategy[Block]:
    """Programs about time, errors and scopes that are interrupted, and may have time for their clean-ups."""
    times = st.none() | st.integers(0, 6)
    last = blocks(simple(), depth=2, cleanups=times)

    def tidy(body: Block, last: Block) -> Block:
        return [Finally([*body, Sleep(20)], [Sleep(1), *last, Sleep(1)])]

    def within(body: Block, after: int, time: int | None) -> Block:
        return [Scope(after, False, body, time)]

    def together(children: list[Block], after: int, time: int | None) -> Block:
        return [Group(children, [Sleep(after), Cancel(0)], time)]

    block = blocks(simple(), depth=1, cleanups=times)
    for depth in (1, 2):
        tidied = st.builds(tidy, block, last)
        scoped = st.builds(within, tidied, st.integers(1, 5), times)
        grouped = st.builds(together, st.lists(tidied, min_size=1, max_size=3), seconds, times)
        block = st.one_of(scoped, grouped, *([tidied] if depth == 1 else []))
    return block


def size(program: Any) -> int:
    """Count the statements of a program."""
    if isinstance(program, list):
        return sum(map(size, program))
    if isinstance(program, Statement):
        return 1 + sum(map(size, vars(program).values()))
    return 0

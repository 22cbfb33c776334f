"""A model of programs that select: every order in which their operations can happen.

Owns the states of such a program and the moves between them. Knows nothing of Creche. A program is a
list of tasks, a task a list of steps, and a step a tuple of offers, of which one is done:

    ("send", stream, item)    ("receive", stream)    ("wait", event)    ("set", event)

What a program has come to is, for each task, the offers that were done, as numbers, and what was received.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

Offer: TypeAlias = tuple[Any, ...]
Step: TypeAlias = tuple[Offer, ...]
Done: TypeAlias = tuple[int, Any]
Outcome: TypeAlias = tuple[tuple[Done, ...], ...]


class Program(NamedTuple):
    sizes: tuple[int, ...]
    """How many items each stream has room for."""
    tasks: tuple[tuple[Step, ...], ...]


class State(NamedTuple):
    done: Outcome
    buffers: tuple[tuple[Any, ...], ...]
    events: frozenset[int]


def outcomes(program: Program) -> set[Outcome]:
    """Return all that a program can have come to when nothing more can happen."""
    start = State(((),) * len(program.tasks), ((),) * len(program.sizes), frozenset())
    seen, left, ends = {start}, [start], set[Outcome]()
    while left:
        state = left.pop()
        following = set(_moves(program, state))
        if not following:
            ends.add(state.done)
        left += following - seen
        seen |= following
    return ends


def _offers(program: Program, state: State) -> Iterator[tuple[int, int, Offer]]:
    """Give the offers of every task that has a step left: whose, which, what."""
    for task, steps in enumerate(program.tasks):
        step = len(state.done[task])
        if step < len(steps):
            for number, offer in enumerate(steps[step]):
                yield task, number, offer


def _moves(program: Program, state: State) -> Iterator[State]:
    offers = list(_offers(program, state))
    for task, number, offer in offers:
        kind, place = offer[0], offer[1]
        if kind == "set":
            yield _after(state._replace(events=state.events | {place}), (task, number, None))
        elif kind == "wait" and place in state.events:
            yield _after(state, (task, number, None))
        elif kind == "receive" and state.buffers[place]:
            first, *rest = state.buffers[place]
            yield _after(_with_buffer(state, place, tuple(rest)), (task, number, first))
        elif kind == "send" and len(state.buffers[place]) < program.sizes[place]:
            kept = (*state.buffers[place], offer[2])
            yield _after(_with_buffer(state, place, kept), (task, number, None))
        elif kind == "send" and not state.buffers[place]:
            for other, their_number, their_offer in offers:
                if other != task and their_offer == ("receive", place):
                    yield _after(state, (task, number, None), (other, their_number, offer[2]))


def _with_buffer(state: State, place: int, kept: tuple[Any, ...]) -> State:
    return state._replace(buffers=(*state.buffers[:place], kept, *state.buffers[place + 1 :]))


def _after(state: State, *ends: tuple[int, int, Any]) -> State:
    done = list(state.done)
    for task, number, value in ends:
        done[task] = (*done[task], (number, value))
    return state._replace(done=tuple(done))

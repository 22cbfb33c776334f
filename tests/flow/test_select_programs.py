"""Random programs that select, held to a model that tries every order.

Whatever a program comes to, under whatever schedule, has to be one of the ends that the model finds. An end
is a state in which nothing more can happen; so a wake-up that was missed shows as well as an item that
was lost or came twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _select_model import Offer, Outcome, Program, Step, outcomes
from hypothesis import given, settings
from hypothesis import strategies as st

from creche import (
    Event,
    TaskHandle,
    create_memory_object_stream,
    create_task_group,
)
from creche.flow import Operation, select
from creche.lowlevel import checkpoint
from creche.testing import settle
from creche.testing._run import simulate
from creche.testing._schedules import strategy

STREAMS = EVENTS = 2
SCHEDULES = 8


@st.composite
def programs(draw: Callable[..., Any]) -> Program:
    """Up to four tasks, of up to three steps, with up to three offers each."""
    items = iter(range(1000))

    def offer() -> Offer:
        kind = draw(st.sampled_from(["send", "send", "receive", "receive", "wait"]))
        place = draw(st.integers(0, STREAMS - 1))
        return (kind, place, next(items)) if kind == "send" else (kind, place)

    def step() -> Step:
        if draw(st.integers(0, 9)) == 0:
            return (("set", draw(st.integers(0, EVENTS - 1))),)
        return tuple(offer() for _ in range(draw(st.integers(1, 3))))

    tasks = [
        tuple(step() for _ in range(draw(st.integers(1, 3))))
        for _ in range(draw(st.integers(2, 4)))
    ]
    sizes = tuple(draw(st.integers(0, 1)) for _ in range(STREAMS))
    return Program(sizes, tuple(tasks))


async def run(program: Program) -> Outcome:
    """Run a program until nobody can go on; return what it has come to."""
    pairs = [create_memory_object_stream[int](size) for size in program.sizes]
    events = [Event() for _ in range(EVENTS)]
    done: list[list[tuple[int, Any]]] = [[] for _ in program.tasks]

    def operation(offer: Offer) -> Operation[Any]:
        kind, place = offer[0], offer[1]
        if kind == "send":
            return pairs[place][0].sending(offer[2])
        return pairs[place][1].receiving() if kind == "receive" else events[place].waiting()

    async def work(number: int) -> None:
        for step in program.tasks[number]:
            if step[0][0] == "set":
                await checkpoint()
                events[step[0][1]].set()
                done[number].append((0, None))
            else:
                offers = [operation(offer) for offer in step]
                chosen, value = await select(*offers)
                done[number].append((offers.index(chosen), value))

    async with create_task_group() as group:
        handles = [group.start_soon(work, number) for number in range(len(program.tasks))]
        await settle()
        for handle in handles:
            waits = handle.status is TaskHandle.Status.PENDING
            assert waits == (
                len(done[handles.index(handle)]) < len(program.tasks[handles.index(handle)])
            )
        group.cancel()
    for send, receive in pairs:
        assert send.statistics()[4:] == (0, 0), "one waits still"
        send.close()
        receive.close()
    return tuple(map(tuple, done))


def check(program: Program, schedules: int) -> None:
    possible = outcomes(program)
    for backend in ("asyncio", "trio"):
        plan = strategy("auto", 0)
        for number in range(schedules):
            schedule = plan.schedule(number)
            assert schedule is not None
            outcome = simulate(run, (program,), backend, schedule)
            plan.learn(outcome.choices)
            assert outcome.unwrap() in possible, (backend, outcome.choices)


@settings(max_examples=60, deadline=None)
@given(programs())
def test_a_program_comes_to_one_of_the_ends_that_the_model_finds(program: Program) -> None:
    check(program, SCHEDULES)


@pytest.mark.soak
@pytest.mark.time_limit(3600)
@settings(max_examples=3000, deadline=None)
@given(programs())
def test_many_programs_come_to_one_of_the_ends(program: Program) -> None:
    check(program, 20)


def test_the_model_knows_every_end_of_a_small_program() -> None:
    meet = Program((0,), (((("send", 0, "a"),),), ((("receive", 0),),)))
    assert outcomes(meet) == {(((0, None),), ((0, "a"),))}
    alone = Program((0,), (((("receive", 0), ("wait", 0)),),))
    assert outcomes(alone) == {((),)}
    either = Program((1, 1), (((("send", 0, "a"), ("send", 1, "b")),),))
    assert outcomes(either) == {(((0, None),),), (((1, None),),)}
    full = Program((1,), (((("send", 0, "a"),), (("send", 0, "b"),)), ((("receive", 0),),)))
    assert outcomes(full) == {(((0, None), (0, None)), ((0, "a"),))}


def test_a_wrong_end_is_found_out() -> None:
    race = Program((0, 0), (((("receive", 0), ("receive", 1)),), ((("send", 0, "a"),),)))
    assert (((0, "a"),), ((0, None),)) in outcomes(race)
    assert ((), ()) not in outcomes(race), "both wait, and could meet"
    assert (((1, "a"),), ((0, None),)) not in outcomes(race)

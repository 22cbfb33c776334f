"""`CRECHE_BUDGET`: programs that count on every operation to give way can have it so."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from textwrap import dedent

import pytest

from _harness import Backend
from creche._kernel.contract import BUDGET, budget_of

PROGRAM = """
import asyncio, sys
import creche
from creche.lowlevel import checkpoint

async def operations():
    lock, limiter, semaphore = creche.Lock(), creche.CapacityLimiter(10), creche.Semaphore(10)
    event, future = creche.Event(), creche.Future()
    event.set()
    send, receive = creche.create_memory_object_stream(100)
    listener = await creche.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(creche.abc.SocketAttribute.local_port)
    client = await creche.connect_tcp("127.0.0.1", port)

    async def take_lock():
        async with lock:
            pass
    async def take_token():
        async with limiter:
            pass
    async def take_semaphore():
        async with semaphore:
            pass
    for name, operation in {
        "lock": take_lock, "limiter": take_token, "semaphore": take_semaphore, "event": event.wait,
        "send": lambda: send.send(1), "receive": receive.receive, "tcp": lambda: client.send(b"x"),
    }.items():
        yield name, operation
    await client.aclose()
    await listener.aclose()
    send.close()
    receive.close()

async def main():
    async for name, operation in operations():
        order = []
        async def work(who):
            for _ in range(20):
                await operation()
                order.append(who)
        async with creche.create_task_group() as group:
            for who in "ab":
                group.start_soon(work, who)
        print(name, "".join(order))

options = {"use_uvloop": True} if sys.argv[2] == "uvloop" else {}
creche.run(main, backend=sys.argv[1], backend_options=options)
"""


def run(backend: Backend, **variables: str) -> dict[str, str]:
    command = [sys.executable, "-c", dedent(PROGRAM), backend.kernel, backend.name]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    rows = ((name, order) for name, order in map(str.split, done.stdout.splitlines()))
    return dict(rows)


def turns(order: str) -> int:
    return sum(one != other for one, other in pairwise(order))


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_with_a_budget_of_one_every_operation_gives_way(backend: Backend) -> None:
    orders = run(backend, CRECHE_BUDGET="1")
    assert len(orders) == 7
    # Trio takes the tasks that are ready in an order of its own.
    least = 39 if backend.kernel == "asyncio" else 15
    assert {name: order for name, order in orders.items() if turns(order) < least} == {}
    assert {len(order) for order in orders.values()} == {40}


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_without_it_operations_that_are_ready_do_not(backend: Backend) -> None:
    orders = run(backend, CRECHE_BUDGET="")
    assert {name: turns(order) for name, order in orders.items()} == dict.fromkeys(orders, 1)


def test_the_variable_counts_the_operation_that_gives_way() -> None:
    assert budget_of({}) == budget_of({"CRECHE_BUDGET": " "}) == 128
    assert budget_of({"CRECHE_BUDGET": "1"}) == 0
    assert budget_of({"CRECHE_BUDGET": "129"}) == 128
    assert budget_of(os.environ) == BUDGET


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "1e3"])
def test_another_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=f"CRECHE_BUDGET must be .*, not '{value}'"):
        budget_of({"CRECHE_BUDGET": value})

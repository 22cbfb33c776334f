"""`CRECHE_BUDGET`: programs that count on every operation to give way can have it so."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from textwrap import dedent
from typing import Any

import pytest

from _harness import Backend
from creche import Lock, create_task_group, get_current_task, sleep
from creche import run as run_here
from creche._kernel.contract import BUDGET, budget_of
from creche.from_thread import start_blocking_portal

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
if len(sys.argv) > 3:
    options["budget"] = int(sys.argv[3])
creche.run(main, backend=sys.argv[1], backend_options=options)
"""


def run(backend: Backend, *option: str, **variables: str) -> dict[str, str]:
    command = [sys.executable, "-c", dedent(PROGRAM), backend.kernel, backend.name, *option]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    rows = ((name, order) for name, order in map(str.split, done.stdout.splitlines()))
    return dict(rows)


def turns(order: str) -> int:
    return sum(one != other for one, other in pairwise(order))


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_with_a_budget_of_one_every_operation_gives_way(backend: Backend) -> None:
    assert_all_give_way(backend, run(backend, CRECHE_BUDGET="1"))


def assert_all_give_way(backend: Backend, orders: dict[str, str]) -> None:
    assert len(orders) == 7
    # Trio takes the tasks that are ready in an order of its own.
    least = 39 if backend.kernel == "asyncio" else 15
    assert {name: order for name, order in orders.items() if turns(order) < least} == {}
    assert {len(order) for order in orders.values()} == {40}


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_without_it_operations_that_are_ready_do_not(backend: Backend) -> None:
    orders = run(backend, CRECHE_BUDGET="")
    assert {name: turns(order) for name, order in orders.items()} == dict.fromkeys(orders, 1)


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_the_option_of_a_run_goes_before_the_variable(backend: Backend) -> None:
    assert_all_give_way(backend, run(backend, "1", CRECHE_BUDGET=""))
    orders = run(backend, "129", CRECHE_BUDGET="1")
    assert {name: turns(order) for name, order in orders.items()} == dict.fromkeys(orders, 1)


def options_of(backend: Backend, budget: object) -> dict[str, Any]:
    return {**backend.options, "budget": budget}


def test_the_option_holds_for_its_loop_alone_and_from_the_first_operation_on(
    backend: Backend,
) -> None:
    async def operate() -> int:
        """Return after how many operations others have run."""
        ran = False

        async def other() -> None:
            nonlocal ran
            ran = True

        async with create_task_group() as group:
            group.start_soon(other)
            done = 0
            lock = Lock()
            while not ran:
                await lock.acquire()
                lock.release()
                done += 1
        return done

    def operations(**options: Any) -> int:
        options = {**backend.options, **options}
        return run_here(operate, backend=backend.kernel, backend_options=options)

    # Loops that run their own tasks first may need a pass more.
    assert operations(budget=1) <= 2
    assert 5 <= operations(budget=5) <= 10
    assert operations() >= BUDGET
    with start_blocking_portal(backend.kernel, options_of(backend, 1)) as portal:
        assert portal.call(operate) <= 2


def test_the_main_task_keeps_its_name(backend: Backend) -> None:
    async def main() -> str:
        return str(get_current_task().name)

    name = run_here(main, backend=backend.kernel, backend_options=options_of(backend, 1))
    assert name.endswith(".test_the_main_task_keeps_its_name.<locals>.main")


def test_a_main_function_that_is_none_is_named(backend: Backend) -> None:
    def main() -> int:
        return 1

    with pytest.raises(TypeError, match=r"Expected .*main\(\) to return an awaitable"):
        run_here(
            main,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            backend=backend.kernel,
            backend_options=options_of(backend, 1),
        )


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True])
def test_another_value_of_the_option_is_refused(backend: Backend, value: object) -> None:
    options = options_of(backend, value)
    with pytest.raises(ValueError, match="backend option 'budget' must be a whole number"):
        run_here(sleep, 0, backend=backend.kernel, backend_options=options)


def test_the_variable_counts_the_operation_that_gives_way() -> None:
    assert budget_of({}) == budget_of({"CRECHE_BUDGET": " "}) == 128
    assert budget_of({"CRECHE_BUDGET": "1"}) == 0
    assert budget_of({"CRECHE_BUDGET": "129"}) == 128
    assert budget_of(os.environ) == BUDGET


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "1e3"])
def test_another_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=f"CRECHE_BUDGET must be .*, not '?{value}'?"):
        budget_of({"CRECHE_BUDGET": value})

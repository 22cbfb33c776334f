"""Tokens and replays: exact, in other processes too, or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import creche
from _harness import on_each_simulated_loop
from creche import testing
from creche.testing._tokens import Token

# Functions have the names of these modules.
explore = import_module("creche.testing._explore")
replay_module = import_module("creche.testing._replay")

PROGRAM = """
import creche
from creche import testing

async def main():
    count = 0
    async def add(number):
        nonlocal count
        seen = count
        with creche.move_on_after(number % 2):
            await creche.sleep(2)
        count = seen + 1
    async with creche.create_task_group() as group:
        for number in range(5):
            group.start_soon(add, number)
        await creche.sleep(0)
        group.start_soon(add, 7)
    assert count == 6, count

if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        try:
            testing.explore(strategy="random", backends=[backend])(main)()
        except AssertionError as exc:
            print(exc, exc.__notes__)
"""


def test_runs_are_the_same_in_fresh_processes_with_any_hash_seed() -> None:
    outputs = set()
    for seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment,
            check=True,
        )  # fmt: skip
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert outputs.pop().count("replay with") == 2


FOUND = """
def story(exc):
    return repr((str(exc), exc.__notes__[-1]))

if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        try:
            testing.explore(strategy="pct:3", backends=[backend])(main)()
        except AssertionError as exc:
            print(exc.__notes__[0].rpartition("'")[0].rpartition("'")[2], story(exc))
"""
REPLAYED = """
def story(exc):
    return repr((str(exc), exc.__notes__[-1]))

import sys
for token in sys.argv[1:]:
    try:
        testing.replay(main, token)
    except AssertionError as exc:
        print(token, story(exc))
"""


def output(path: Path, program: str, seed: int, *arguments: str) -> list[str]:
    """Run a program in a process of its own, and return its lines."""
    path.write_text(PROGRAM.partition("if __name__")[0] + program)
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.splitlines()


def replays_are_exact(path: Path, times: int) -> None:
    """Find a failure on each backend; have it again, word for word, in fresh processes."""
    found = output(path / "program.py", FOUND, 0)
    tokens = [line.partition(" ")[0] for line in found]
    assert [token[0] for token in tokens] == ["a", "t"]
    for seed in range(1, times + 1):
        assert output(path / "program.py", REPLAYED, seed, *tokens) == found


def test_a_replay_is_exact_in_fresh_processes(tmp_path: Path) -> None:
    replays_are_exact(tmp_path, 3)


@pytest.mark.soak
@pytest.mark.time_limit(600)
def test_a_replay_is_exact_a_hundred_times_of_a_hundred(tmp_path: Path) -> None:
    replays_are_exact(tmp_path, 100)


@on_each_simulated_loop
def test_a_run_that_never_ends_is_had_again(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (explore, replay_module):
        monkeypatch.setattr(module, "EXPLORED_LIMIT", 500)

    async def main() -> None:
        async def spin() -> None:
            while True:
                await creche.sleep(0)

        async with creche.create_task_group() as group:
            group.start_soon(spin)
            group.start_soon(spin)

    with pytest.raises(testing.SpinningError) as caught:
        testing.explore(backends=[loop], strategy="random")(main)()
    *_, last = caught.value.__notes__[1].splitlines()
    assert last.endswith("gives way")
    with pytest.raises(testing.SpinningError):
        testing.replay(main, caught.value.__notes__[0].rpartition("'")[0].rpartition("'")[2])


def test_a_run_with_a_seed_prints_a_token_for_its_failure() -> None:
    async def main() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 0)
            group.start_soon(creche.sleep, 0)
        raise KeyError(3)

    with pytest.raises(KeyError) as caught:
        testing.run(main, seed=5)
    token = caught.value.__notes__[0].rpartition("'")[0].rpartition("'")[2]
    with pytest.raises(KeyError):
        testing.replay(main, token)


@on_each_simulated_loop
def test_a_replay_that_diverges_is_an_error(loop: str) -> None:
    tasks = 3

    @testing.explore(backends=[loop], strategy="random")
    async def test() -> None:
        order: list[int] = []

        async def step(number: int) -> None:
            await creche.lowlevel.checkpoint()
            order.append(number)

        async with creche.create_task_group() as group:
            for number in range(tasks):
                group.start_soon(step, number)
        assert order == sorted(order)

    with pytest.raises(AssertionError) as caught:
        test()
    token = caught.value.__notes__[0].rpartition("'")[0].rpartition("'")[2]
    with pytest.raises(AssertionError):
        testing.replay(test, token)
    for other in (1, 2, 4):
        tasks = other
        with pytest.raises(testing.ReplayDivergedError, match="was not the run of"):
            testing.replay(test, token)


@pytest.mark.parametrize(
    "choices", [(), (0,), (1, 2, 3), (0,) * 500, (0,) * 300 + (200,), (0, 5, 0)]
)
def test_a_token_says_what_it_was_made_of(choices: tuple[int, ...]) -> None:
    token = Token("trio", choices, 0xAB)
    assert Token.parse(str(token)) == token


@pytest.mark.parametrize(
    "text", ["", "a", "a-AA-", "b-AA-00000000", "a-gA-00000000", "a-AAAA-0000000g"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a token"):
        testing.replay(test_what_is_no_token_is_refused, text)


async def groups_in_a_row() -> None:
    """Tasks end before others begin, and then it fails."""

    async def child() -> None:
        await creche.lowlevel.checkpoint()

    for _ in range(3):
        async with creche.create_task_group() as group:
            for _ in range(3):
                group.start_soon(child)
    raise LookupError("at the end")


@on_each_simulated_loop
def test_the_token_of_a_run_that_nobody_traced_is_replayed(loop: str) -> None:
    with pytest.raises(LookupError) as raised:
        testing.run(groups_in_a_row, backend=loop, seed=3)
    token = raised.value.__notes__[0].split("'")[1]
    with pytest.raises(LookupError, match="at the end"):
        testing.replay(groups_in_a_row, token)

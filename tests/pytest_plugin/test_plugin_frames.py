"""What a failure shows: the frames of the user's program, the names of tasks, and the error behind it first."""

from __future__ import annotations

import pytest
from _inner import Inner

from _harness import Backend

OURS = "creche/_"
"""In the path of each private file, however a failure shortens it."""
FAILING = """
import creche
import pytest

pytestmark = pytest.mark.creche

async def fetch(page):
    await creche.sleep(0)
    raise ValueError(f"bad page {page}")

async def test_group():
    async with creche.create_task_group() as outer:
        async with creche.create_task_group() as inner:
            inner.start_soon(fetch, 1, name="fetch page 1")
            outer.start_soon(creche.sleep_forever)

async def test_call():
    send, receive = creche.create_memory_object_stream(0)
    receive.close()
    with send:
        await send.send(1)

async def test_timeout():
    with creche.fail_after(0.01):
        await creche.sleep_forever()

async def test_gather():
    await creche.gather(fetch(3), creche.sleep_forever())

def test_run():
    creche.run(test_group)

@pytest.fixture
async def group():
    async with creche.create_task_group() as tasks:
        yield tasks

async def test_fixture(group):
    group.start_soon(fetch, 4, name="fetch page 4")
    await creche.sleep_forever()
"""


def failures(inner: Inner, *options: str) -> dict[str, str]:
    told = inner.run(*options, test=FAILING)
    return {name.partition("[")[0]: told.text(name) for name in told.names()}


def test_it_shows_the_frames_of_the_program_alone(inner: Inner, backend: Backend) -> None:
    inner.on(backend)
    shown = failures(inner)
    assert len(shown) == 6
    for name, text in shown.items():
        assert "test_inner.py" in text, name
        assert OURS not in text, text
        assert "hidden" not in text, text
    assert "in task 'fetch page 1', started at test_inner.py:14" in shown["test_group"]
    assert "in task 'fetch page 1'" in shown["test_run"]
    assert "await send.send(1)" in shown["test_call"]
    timeout = shown["test_timeout"]
    assert timeout.rstrip().endswith("TimeoutError")
    assert timeout.index("await creche.sleep_forever()") < timeout.index("timed out")


def test_the_error_behind_a_cancelled_test_comes_first(inner: Inner, backend: Backend) -> None:
    inner.on(backend)
    shown = failures(inner)["test_fixture"]
    assert shown.index("bad page 4") < shown.index("cancelled from outside")
    assert ">       await creche.sleep_forever()" in shown
    assert shown.count("direct cause") == 1


def test_an_error_without_a_frame_of_the_program_shows_no_frames_of_pytest(inner: Inner) -> None:
    told = inner.run(
        test="""
        import creche

        @creche.testing.explore(runs=2)
        async def test_stuck():
            await creche.Event().wait()
        """
    )
    shown = told.text("test_stuck")
    assert "1 task can never proceed" in shown
    assert "pluggy" not in shown and "_pytest/" not in shown, shown


@pytest.mark.parametrize("option", ["--creche-frames", "--full-trace"])
def test_an_option_shows_all_frames(inner: Inner, option: str) -> None:
    shown = failures(inner, option)
    assert OURS in shown["test_group"] and OURS in shown["test_timeout"]

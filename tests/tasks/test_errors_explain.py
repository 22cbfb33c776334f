"""Errors that explain: what groups say, where errors come from, why something was cancelled."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import creche
from creche import (
    CancelScope,
    TaskFailed,
    _labels,
    create_task_group,
    fail_after,
    fail_at,
    get_cancelled_exc_class,
    root_cause,
    sleep,
    sleep_forever,
)
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint

HERE = Path(__file__).name


async def fail(error: BaseException) -> None:
    raise error


async def group_error(*errors: BaseException, **options: Any) -> BaseException:
    """Return what leaves a group whose tasks raise these."""
    with pytest.raises(BaseException) as caught:
        async with create_task_group(**options) as group:
            for error in errors:
                group.start_soon(fail, error)
    return caught.value


# What groups say

REFUSED = "unhandled errors in a TaskGroup (1 sub-exception: ConnectionRefusedError: no server)"


async def test_a_group_with_one_error_says_it() -> None:
    error = await group_error(ConnectionRefusedError("no server"))
    assert str(error) == REFUSED
    assert isinstance(error, ExceptionGroup)
    assert error.message == "unhandled errors in a TaskGroup"
    assert repr(error).startswith("ExceptionGroup('unhandled errors in a TaskGroup', ")


async def test_a_group_with_several_errors_says_how_many() -> None:
    error = await group_error(KeyError(1), ValueError(2))
    assert str(error) == "unhandled errors in a TaskGroup (2 sub-exceptions)"


async def test_groups_in_groups_say_the_error_at_their_end() -> None:
    inner = await group_error(ConnectionRefusedError("no server"))
    assert str(await group_error(inner)) == REFUSED


async def test_what_is_said_survives_pickling_copying_splitting_and_deriving() -> None:
    error = await group_error(ConnectionRefusedError("no server"), KeyError())
    assert isinstance(error, ExceptionGroup)
    one, rest = error.split(ConnectionRefusedError)
    assert rest is not None
    for group in (
        one,
        error.subgroup(ConnectionRefusedError),
        error.derive([ConnectionRefusedError("no server")]),
        copy.copy(one),
        pickle.loads(pickle.dumps(one)),
    ):
        assert str(group) == REFUSED
        assert isinstance(group, ExceptionGroup)
    back = pickle.loads(pickle.dumps(error))
    # Trio runs the tasks of a batch in either order, so the errors are in either order too.
    assert [type(exc) for exc in back.exceptions] == [type(exc) for exc in error.exceptions]
    assert {type(exc) for exc in back.exceptions} == {ConnectionRefusedError, KeyError}


async def test_a_group_of_other_exceptions_is_a_base_exception_group() -> None:
    class Stop(BaseException):
        pass

    error = await group_error(Stop("now"))
    assert type(error).__name__ == "BaseExceptionGroup" and not isinstance(error, Exception)
    assert str(error).endswith("(1 sub-exception: " + Stop.__qualname__ + ": now)")


async def test_an_error_that_cannot_be_told_is_no_error_of_its_own() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    assert "Mute: <str() of it failed>" in str(await group_error(Mute()))


async def test_a_long_error_is_shortened() -> None:
    assert len(str(await group_error(ValueError("x" * 10_000)))) < 400


# Collapsing


async def test_a_collapsing_group_lets_one_error_leave_bare() -> None:
    error = ValueError("bad row")
    assert await group_error(error, collapse=True) is error


async def test_the_only_error_of_the_block_is_left_alone() -> None:
    cause, error = KeyError(), ValueError()
    with pytest.raises(ValueError) as caught:
        async with create_task_group(collapse=True) as group:
            group.start_soon(sleep_forever)
            raise error from cause
    assert caught.value is error and error.__cause__ is cause


async def test_cause_context_and_traceback_are_as_they_were() -> None:
    cause = KeyError("cause")
    error = ValueError("bad row")

    async def work() -> None:
        try:
            raise IndexError("context")
        except IndexError:
            raise error from cause

    with pytest.raises(ValueError) as caught:
        async with create_task_group(collapse=True) as group:
            group.start_soon(work)
    assert caught.value is error and error.__cause__ is cause
    assert isinstance(error.__context__, IndexError)
    names = [entry.name for entry in traceback.extract_tb(error.__traceback__)]
    assert names[-1] == "work"


async def test_one_error_in_groups_of_groups_leaves_bare() -> None:
    error = ValueError()
    inner = await group_error(error)
    assert await group_error(inner, collapse=True) is error


async def test_several_errors_stay_a_group() -> None:
    error = await group_error(KeyError(), ValueError(), collapse=True)
    assert isinstance(error, ExceptionGroup) and len(error.exceptions) == 2


async def test_cancellations_beside_an_error_do_not_count() -> None:
    error = ValueError()

    async def both() -> None:
        async with create_task_group() as inner:
            inner.start_soon(sleep_forever)
            inner.start_soon(fail, error)

    with pytest.raises(ValueError), CancelScope() as scope:
        async with create_task_group(collapse=True) as group:
            group.start_soon(sleep_forever)
            group.start_soon(both)
            await checkpoint()
            scope.cancel()
            await sleep_forever()


async def test_groups_that_stop_in_order_collapse_too() -> None:
    error = ValueError()
    assert await group_error(error, collapse=True, stop_order="reverse") is error


# The root cause


async def test_root_cause_finds_the_first_error_that_is_no_cancellation() -> None:
    cancelled = await cancellation()
    error = ValueError()
    tree = BaseExceptionGroup(
        "", [cancelled, BaseExceptionGroup("", [cancelled, error]), KeyError()]
    )
    assert root_cause(tree) is error
    assert root_cause(error) is error
    assert root_cause(BaseExceptionGroup("", [cancelled])) is cancelled


async def test_root_cause_is_found_after_the_loop_has_ended(backend: Any) -> None:
    from creche import to_thread

    cancelled = await cancellation()

    def outside() -> None:
        assert isinstance(root_cause(BaseExceptionGroup("", [cancelled, KeyError()])), KeyError)

    await to_thread.run_sync(outside)


# Where an error comes from


def line_of(text: str) -> int:
    """Return the line of the calling test that has this text."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    lines, first = inspect.getsourcelines(frame.f_back.f_code)
    return first + next(number for number, line in enumerate(lines) if text in line)


async def test_an_error_that_leaves_a_task_is_noted_once() -> None:
    error = ValueError()
    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as outer:

            async def middle() -> None:
                async with create_task_group(collapse=True) as inner:
                    inner.start_soon(fail, error, name="fetch-3")  # here

            outer.start_soon(middle, name="middle")
    [note] = error.__notes__
    assert note == f"in task 'fetch-3', started at tests/tasks/{HERE}:{line_of('# here')}"
    assert caught.value.exceptions == (error,)


async def test_no_error_is_noted_while_the_drop_in_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_labels, "library", "anyio")
    error = ValueError("no")
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="^no$")):
        async with create_task_group() as group:
            group.start_soon(fail, error)
    assert not hasattr(error, "__notes__")


async def test_each_way_to_start_a_task_is_noted() -> None:
    async def service(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        raise first

    async def refuses(*, task_status: TaskStatus[None]) -> None:
        raise third

    first, second, third = ValueError(1), ValueError(2), ValueError(3)
    with pytest.raises(ExceptionGroup):
        async with create_task_group() as group:
            await group.start(service, name="service")  # start
            group.create_task(fail(second), name="created")  # create
            with pytest.raises(ValueError):
                await group.start(refuses, name="refuses")
    assert first.__notes__[0].endswith(f"{HERE}:{line_of('# start')}")
    assert second.__notes__[0].endswith(f"{HERE}:{line_of('# create')}")
    assert third.__notes__[0].startswith("in task 'refuses', started at")


async def test_an_error_that_takes_no_notes_is_still_an_error() -> None:
    class Closed(Exception):
        def add_note(self, note: str, /) -> None:
            raise AttributeError

    assert isinstance(root_cause(await group_error(Closed())), Closed)


async def test_task_failed_says_the_task_and_the_error() -> None:
    with pytest.raises(ExceptionGroup):
        async with create_task_group() as group:
            handle = group.start_soon(fail, ValueError("bad row"), name="fetch-3")
            with CancelScope(shield=True), pytest.raises(TaskFailed) as caught:
                await handle
    assert str(caught.value) == "the task raised an exception: 'fetch-3', ValueError: bad row"


# Why something was cancelled


async def cancellation(
    action: Callable[[CancelScope], object] = CancelScope.cancel,
) -> BaseException:
    """Return the cancellation that ends a scope after `action(scope)`."""
    found: list[BaseException] = []
    with CancelScope() as scope:
        action(scope)
        try:
            await sleep_forever()
        except get_cancelled_exc_class() as exc:
            found.append(exc)
            raise
    return found[0]


async def why(task: Callable[[Any], Coroutine[Any, Any, object]]) -> str:
    """Return what the cancellation of a sleeping task says, in a group where `task(group)` runs."""
    said: list[str] = []

    async def sleeper() -> None:
        try:
            await sleep_forever()
        except get_cancelled_exc_class() as exc:
            said.append(str(exc))
            raise

    try:
        async with create_task_group() as group:
            group.start_soon(sleeper)
            await checkpoint()
            group.start_soon(task, group, name="fetch-3")
    except ExceptionGroup:
        pass
    return said[0]


async def test_a_cancellation_says_which_task_has_failed() -> None:
    said = await why(lambda group: fail(ValueError("bad row")))
    assert "by the failure of task 'fetch-3': ValueError('bad row')" in said


async def test_a_cancellation_says_the_error_of_the_block() -> None:
    said: list[str] = []

    async def sleeper() -> None:
        try:
            await sleep_forever()
        except get_cancelled_exc_class() as exc:
            said.append(str(exc))
            raise

    with pytest.raises(ExceptionGroup):
        async with create_task_group() as group:
            group.start_soon(sleeper)
            await checkpoint()
            await checkpoint()
            raise KeyError("no such row")
    assert "by an error in the group's block: KeyError('no such row')" in said[0]


async def test_a_cancellation_says_that_the_grace_of_a_stop_was_none() -> None:
    error = await cancellation(lambda scope: scope.stop("SIGTERM", grace=0))
    assert "by stop (SIGTERM)" in str(error)


async def test_a_cancellation_says_that_a_grace_is_over() -> None:
    error = await cancellation(lambda scope: scope.stop("SIGTERM", grace=0.01))
    assert "by stop, grace over (SIGTERM)" in str(error)


async def test_a_cancellation_says_which_timeout_it_was() -> None:
    said = ""
    with pytest.raises(TimeoutError), fail_after(0.01):  # limit
        try:
            await sleep_forever()
        except get_cancelled_exc_class() as exc:
            said = str(exc)
            raise
    assert f"by fail_after(0.01) at tests/tasks/{HERE}:{line_of('# limit')}" in said


async def test_a_timeout_says_its_seconds_and_its_place() -> None:
    with pytest.raises(TimeoutError) as caught, fail_after(0.01):  # limit
        await sleep_forever()
    place = f"tests/tasks/{HERE}:{line_of('# limit')}"
    assert str(caught.value) == f"fail_after(0.01) at {place} timed out"
    with pytest.raises(TimeoutError, match=r"^fail_at\(\.\.\.\) at .* timed out$"):
        with fail_at(creche.current_time()):
            await sleep(1)
    with pytest.raises(TimeoutError, match=r"^no answer$"), fail_after(0.01, reason="no answer"):
        await sleep_forever()


# Tracebacks

NESTED = """
import {library} as lib
{imports}

async def fail():
    raise ValueError("bad row")

async def inner():
    async with {group}() as tg:
        tg.start_soon(fail)

async def middle():
    async with {group}() as tg:
        tg.start_soon(inner)

async def main():
    async with {group}() as tg:
        tg.start_soon(middle)

if __name__ == "__main__":
    lib.run(main)
"""


def printed(tmp_path: Path, *command: str, **parts: str) -> str:
    script = tmp_path / "app.py"
    script.write_text(NESTED.format(**parts))
    return subprocess.run(
        [sys.executable, *command, str(script)], capture_output=True, text=True, check=False
    ).stderr


def test_a_traceback_of_nested_groups_is_no_longer_than_trios(tmp_path: Path) -> None:
    ours = {"library": "creche", "imports": "", "group": "lib.create_task_group"}
    trios = printed(tmp_path, library="trio", imports="", group="lib.open_nursery")
    plain = printed(tmp_path, **ours)
    shown = printed(tmp_path, "-m", "creche", "run", **ours)
    assert "ValueError: bad row" in plain and "ValueError: bad row" in shown
    assert len(plain.splitlines()) <= len(trios.splitlines())
    assert len(shown.splitlines()) <= len(plain.splitlines())
    package = str(Path(creche.__file__).parent)
    assert package not in shown
    assert plain.count(package) <= 1, "the call of run() that the program has made"

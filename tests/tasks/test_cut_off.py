"""A loop in debug mode says which clean-up was cut off, at which line; and nothing else is accused."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
import subprocess
import sys
import types
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import creche
from _harness import BACKENDS, FAMILIES, Backend
from creche import (
    CancelScope,
    Event,
    aclose_forcefully,
    create_memory_object_stream,
    create_task_group,
    create_tcp_listener,
    fail_after,
    get_cancelled_exc_class,
    lowlevel,
    move_on_after,
    shielded,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche._kernel import cut_off

Func = Callable[[], Coroutine[Any, Any, object]]
Run = Callable[[Func], list[str]]

EVERY = [backend for backend in BACKENDS.values() if backend.installed]
ON_ASYNCIO = [backend for backend in EVERY if backend.name in FAMILIES["asyncio"]]
every_loop = pytest.mark.parametrize("loop", EVERY, ids=lambda loop: loop.name)
asyncio_loops = pytest.mark.parametrize("loop", ON_ASYNCIO, ids=lambda loop: loop.name)


def in_debug_mode(loop: Backend, func: Func) -> None:
    options = dict(loop.options)
    if loop in ON_ASYNCIO:
        options["debug"] = True
    creche.run(func, backend=loop.kernel, backend_options=options)


@pytest.fixture
def warned(loop: Backend, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a function on a loop in debug mode; returns the places where a clean-up was cut off."""
    monkeypatch.setattr(cut_off, "in_dev_mode", lambda: True)  # all that Trio can go by

    def run(func: Func) -> list[str]:
        with caplog.at_level(logging.WARNING, "creche"):
            in_debug_mode(loop, func)
        return places(record.getMessage() for record in caplog.records)

    return run


def places(messages: Any) -> list[str]:
    found = []
    for text in messages:
        match = re.fullmatch(
            r"a clean-up of task '.+' was cut off at (.+): "
            r"shield it, or give the scope cleanup=",
            text,
        )
        if match is not None:
            found.append(match[1])
    return found


def line(func: Callable[..., object], text: str) -> str:
    """Return the place of the one line of a function that has `text` in it."""
    code: types.CodeType = func.__code__
    lines = Path(__file__).read_text().splitlines()[code.co_firstlineno - 1 :]
    number = next(number for number, each in enumerate(lines) if text in each)
    return f"{Path(__file__).name}:{code.co_firstlineno + number}"


def ends_with(found: list[str], *expected: str) -> bool:
    return len(found) == len(expected) and all(
        place.endswith(end) for place, end in zip(found, expected, strict=True)
    )


def cancelled(task: Callable[[], Coroutine[Any, Any, object]]) -> Func:
    """Return a function that runs `task` in a group, and cancels it when it waits."""

    async def main() -> None:
        async with create_task_group() as tg:
            tg.start_soon(task)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()

    return main


# What is told


@every_loop
def test_a_finally_that_waits(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(0.01)  # here

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_an_except_that_waits(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        except get_cancelled_exc_class():
            await Event().wait()  # here
            raise

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_the_exit_of_a_context_manager_that_waits(warned: Run) -> None:
    class Borrowed:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *exc: object) -> None:
            await sleep(0.01)

    async def task() -> None:
        async with Borrowed():  # here
            await sleep_forever()

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_a_finally_of_an_asynccontextmanager(warned: Run) -> None:
    @contextlib.asynccontextmanager
    async def borrowed() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await sleep(0.01)  # here

    async def task() -> None:
        async with borrowed():
            await sleep_forever()

    assert ends_with(warned(cancelled(task)), line(borrowed.__wrapped__, "# here"))  # type: ignore[attr-defined]


@every_loop
def test_what_an_exit_stack_closes(warned: Run) -> None:
    async def give_back() -> None:
        await sleep(0.01)

    async def task() -> None:
        async with contextlib.AsyncExitStack() as stack:  # here
            stack.push_async_callback(give_back)
            await sleep_forever()

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_a_clean_up_that_swallows_what_cut_it_off(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            with contextlib.suppress(BaseException):
                await sleep(0.01)  # here

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_each_clean_up_on_the_way_out(warned: Run) -> None:
    async def inner() -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(0.01)  # first

    async def outer() -> None:
        try:
            await inner()
        finally:
            await sleep(0.01)  # second

    found = warned(cancelled(outer))
    assert ends_with(found, line(inner, "# first"), line(outer, "# second"))


@every_loop
def test_an_error_on_the_way_is_still_a_clean_up(warned: Run) -> None:
    async def task() -> None:
        try:
            try:
                await sleep_forever()
            finally:
                raise LookupError
        except LookupError:
            await sleep(0.01)  # here

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_a_ready_operation(warned: Run) -> None:
    send, receive = create_memory_object_stream[None](1)

    async def task() -> None:
        with send, receive:
            try:
                await sleep_forever()
            finally:
                await send.send(None)  # here

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_a_timeout_without_a_shield(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            with move_on_after(1):
                await sleep(0.01)  # here

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@every_loop
def test_a_clean_up_whose_time_is_over(warned: Run) -> None:
    async def task() -> None:
        with CancelScope(cleanup=0.01) as scope:
            try:
                scope.cancel()
                await sleep_forever()
            finally:
                await sleep_forever()  # here

    assert ends_with(warned(task), line(task, "# here"))


@every_loop
def test_a_handle_that_is_cancelled(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(0.01)  # here

    async def main() -> None:
        async with create_task_group() as tg:
            handle = tg.start_soon(task)
            await wait_all_tasks_blocked()
            handle.cancel()

    assert ends_with(warned(main), line(task, "# here"))


@every_loop
def test_the_deadline_of_a_scope(warned: Run) -> None:
    async def main() -> None:
        with contextlib.suppress(TimeoutError), fail_after(0.01):
            try:
                await sleep_forever()
            finally:
                await sleep(0.01)  # here

    assert ends_with(warned(main), line(main, "# here"))


@every_loop
def test_one_line_is_told_once(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(0.01)  # here

    async def main() -> None:
        async with create_task_group() as tg:
            for _ in range(5):
                tg.start_soon(task)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()

    assert ends_with(warned(main), line(task, "# here"))


@asyncio_loops
def test_waits_of_asyncio(warned: Run) -> None:
    async def task() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.01)  # here

    assert ends_with(warned(cancelled(task)), line(task, "# here"))


@asyncio_loops
def test_waits_of_asyncio_in_a_generator(warned: Run) -> None:
    @contextlib.asynccontextmanager
    async def borrowed() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await asyncio.sleep(0.01)  # here

    async def task() -> None:
        async with borrowed():
            await asyncio.sleep(100)

    assert ends_with(warned(cancelled(task)), line(borrowed.__wrapped__, "# here"))  # type: ignore[attr-defined]


@asyncio_loops
def test_a_task_that_asyncio_made(warned: Run) -> None:
    async def task() -> None:
        with CancelScope() as scope:
            scope.cancel()
            try:
                await asyncio.sleep(100)
            finally:
                await Waits()  # here

    class Waits:
        def __await__(self) -> Any:
            return self.wait().__await__()

        async def wait(self) -> None:
            await asyncio.sleep(0.01)

    async def main() -> None:
        await asyncio.create_task(task())

    assert ends_with(warned(main), line(task, "# here"))


@every_loop
def test_a_library_is_told_with_the_line_that_called_it(warned: Run, tmp_path: Path) -> None:
    file = tmp_path / "site-packages" / "pool" / "connections.py"
    source = (
        "async def borrow(wait):\n"
        "    try:\n"
        "        await wait(100)\n"
        "    finally:\n"
        "        await wait(0.01)\n"
    )
    namespace: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), namespace)

    async def task() -> None:
        await namespace["borrow"](sleep)  # here

    (place,) = warned(cancelled(task))
    inside, _, outside = place.partition(", called from ")
    assert inside == "pool/connections.py:5"
    assert outside.endswith(line(task, "# here"))


# What is not


@every_loop
def test_a_clean_up_that_is_shielded(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await sleep(0.001)
            async with shielded(contextlib.nullcontext(), grace=1):
                pass

    assert warned(cancelled(task)) == []


@every_loop
def test_a_clean_up_that_has_time(warned: Run) -> None:
    async def task() -> None:
        with CancelScope(cleanup=5) as scope:
            scope.cancel()
            try:
                await sleep_forever()
            finally:
                await sleep(0.001)

    assert warned(task) == []


@every_loop
def test_a_limit_that_the_clean_up_has_set_itself(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            with move_on_after(0.001, shield=True):
                await sleep_forever()

    assert warned(cancelled(task)) == []


@every_loop
def test_a_resource_that_is_closed(warned: Run) -> None:
    async def task() -> None:
        listener = await create_tcp_listener(local_host="127.0.0.1")
        other = await create_tcp_listener(local_host="127.0.0.1")
        async with listener:
            try:
                await sleep_forever()
            finally:
                try:
                    await other.aclose()
                finally:
                    await aclose_forcefully(listener)

    assert warned(cancelled(task)) == []


@every_loop
def test_a_resource_of_the_program_that_is_closed_forcefully(warned: Run) -> None:
    class Resource(creche.abc.AsyncResource):
        async def aclose(self) -> None:
            await sleep(1)

    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            with contextlib.suppress(BaseException):
                await aclose_forcefully(Resource())

    assert warned(cancelled(task)) == []


@every_loop
def test_checkpoints_by_name(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            try:
                await lowlevel.checkpoint()
            finally:
                await lowlevel.checkpoint_if_cancelled()

    assert warned(cancelled(task)) == []


@every_loop
def test_a_cancellation_that_the_program_raises(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        except get_cancelled_exc_class() as exc:
            raise exc from None

    assert warned(cancelled(task)) == []


@every_loop
def test_one_that_is_swallowed_is_no_clean_up(warned: Run) -> None:
    async def task() -> None:
        with contextlib.suppress(get_cancelled_exc_class()):
            await sleep_forever()
        await sleep(1)

    assert warned(cancelled(task)) == []


@every_loop
def test_a_group_that_waits_for_its_children(warned: Run) -> None:
    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await sleep(0.001)

    async def task() -> None:
        async with create_task_group() as tg:
            tg.start_soon(child)
            await sleep_forever()

    assert warned(cancelled(task)) == []


@every_loop
def test_the_next_cancellation_is_a_first_one(warned: Run) -> None:
    async def task() -> None:
        for _ in range(3):
            with CancelScope() as scope:
                scope.cancel()
                await sleep_forever()
        try:
            await sleep_forever()
        finally:
            with CancelScope() as scope:
                scope.cancel()

    assert warned(cancelled(task)) == []


@asyncio_loops
def test_groups_and_conditions_of_asyncio(warned: Run) -> None:
    condition = asyncio.Condition()

    async def cleans_up() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.001)

    async def groups() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(cleans_up())
            await asyncio.sleep(30)

    async def waits() -> None:
        async with condition:
            await condition.wait()

    async def holds(scope: CancelScope) -> None:
        async with condition:
            scope.cancel()
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with create_task_group() as outer:
            with CancelScope() as scope:
                async with create_task_group() as tg:
                    tg.start_soon(groups)
                    tg.start_soon(waits)
                    await wait_all_tasks_blocked()
                    outer.start_soon(holds, scope)

    assert warned(main) == []


@asyncio_loops
def test_a_native_cancel_after_another(warned: Run) -> None:
    async def task() -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(1)

    async def main() -> None:
        native = asyncio.ensure_future(task())
        for _ in range(2):
            await asyncio.sleep(0.001)
            native.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await native

    assert warned(main) == []


# When it is


CUT_OFF = """
import logging, sys
import creche

async def main():
    with creche.CancelScope() as scope:
        scope.cancel()
        try:
            await creche.sleep(1)
        finally:
            await creche.sleep(1)

creche.run(main, backend=sys.argv[1])
"""


@every_loop
@pytest.mark.parametrize("flags", [(), ("-X", "dev")], ids=["plain", "dev"])
def test_it_is_told_in_development_mode_and_not_otherwise(
    loop: Backend, flags: tuple[str, ...]
) -> None:
    command = [sys.executable, *flags, "-c", CUT_OFF, loop.kernel]
    modes = ("PYTHONDEVMODE", "PYTHONASYNCIODEBUG")
    environment = {name: value for name, value in os.environ.items() if name not in modes}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    assert len(places(done.stderr.splitlines())) == (1 if flags else 0), done.stderr


@every_loop
def test_nothing_is_kept_of_a_task_that_has_ended(loop: Backend, warned: Run) -> None:
    class Held:
        pass

    alive: list[Held] = []

    async def task() -> None:
        held = Held()
        try:
            await sleep_forever()
        finally:
            await sleep(0.01)
            del held

    async def main() -> None:
        await cancelled(task)()
        gc.collect()
        alive.extend(each for each in gc.get_objects() if type(each) is Held)

    warned(main)
    assert alive == []

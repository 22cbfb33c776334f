"""``creche.run``: what goes in, what comes out, what it refuses, and that it leaves nothing behind.

What works without an event loop is in ``test_no_loop.py``.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncGenerator

import pytest

import creche
from _harness import Backend, on_asyncio
from creche import (
    create_task_group,
    get_all_backends,
    get_available_backends,
    run,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche._registry import names
from creche.lowlevel import checkpoint

asyncio_only = on_asyncio


async def nothing() -> None:
    pass


# Results and exceptions


def test_run_passes_arguments_and_returns_the_result(backend: Backend) -> None:
    result = object()

    async def main(*args: object) -> tuple[object, ...]:
        await checkpoint()
        return (*args, result)

    assert backend.run(main, 1, "two") == (1, "two", result)


class OwnBaseException(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        ExceptionGroup("mine", [ValueError("no")]),
        SystemExit(3),
        KeyboardInterrupt(),
        OwnBaseException(),
        asyncio.CancelledError("mine"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_run_raises_the_exception_itself(backend: Backend, error: BaseException) -> None:
    async def main() -> None:
        await checkpoint()
        raise error

    with pytest.raises(type(error)) as caught:
        backend.run(main)
    assert caught.value is error


def test_run_waits_for_all_children_before_it_returns(backend: Backend) -> None:
    log = []

    async def child() -> None:
        await sleep(0.01)
        log.append("child")

    async def main() -> None:
        async with create_task_group() as tg:
            tg.start_soon(child)

    backend.run(main)
    assert log == ["child"]


def test_run_can_be_called_again_and_again(backend: Backend) -> None:
    async def main(number: int) -> int:
        await checkpoint()
        return number

    assert [backend.run(main, number) for number in range(3)] == [0, 1, 2]


def test_run_works_in_a_thread(backend: Backend) -> None:
    results = []

    async def main() -> int:
        await checkpoint()
        return 5

    thread = threading.Thread(target=lambda: results.append(backend.run(main)))
    thread.start()
    thread.join(20)
    assert results == [5]


def test_run_starts_from_the_context_of_its_caller(backend: Backend) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def main() -> str:
        await checkpoint()
        return variable.get()

    context = contextvars.copy_context()
    context.run(variable.set, "caller")
    assert context.run(backend.run, main) == "caller"


# What it refuses


def test_an_unknown_backend_is_named(backend: Backend) -> None:
    with pytest.raises(LookupError, match="No such backend: nonesuch"):
        run(nothing, backend="nonesuch")


@pytest.mark.parametrize("inner", names())
def test_a_run_in_a_run_is_a_clear_error(backend: Backend, inner: str) -> None:
    async def main() -> str:
        with pytest.raises(RuntimeError) as caught:
            run(nothing, backend=inner)
        await checkpoint()
        return str(caught.value)

    assert "already running" in backend.run(main).lower()


def test_what_is_no_coroutine_function_is_refused(backend: Backend) -> None:
    def main() -> int:
        return 5

    with pytest.raises(TypeError):
        backend.run(main)  # type: ignore[arg-type]
    backend.run(nothing)


def test_an_option_that_trio_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        run(nothing, backend="trio", backend_options={"no_such_option": 1})


def in_a_fresh_process(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_backend_that_is_not_installed_says_how_to_install_it() -> None:
    out = in_a_fresh_process(
        "import sys; sys.modules['trio'] = None\n"
        "import creche\n"
        "async def main(): pass\n"
        "try: creche.run(main, backend='trio')\n"
        "except LookupError as exc: print(exc)\n"
        "print(creche.get_all_backends(), creche.get_available_backends())\n"
        "creche.run(main)\n"
    )
    message, backends = out.splitlines()
    assert "trio" in message
    assert "pip install" in message
    assert backends == "('asyncio', 'trio') ('asyncio',)"


@pytest.mark.skipif(sys.platform == "win32", reason="winloop takes uvloop's place there")
def test_uvloop_that_is_not_installed_says_how_to_install_it() -> None:
    out = in_a_fresh_process(
        "import sys; sys.modules['uvloop'] = None\n"
        "import creche\n"
        "async def main(): pass\n"
        "try: creche.run(main, backend_options={'use_uvloop': True})\n"
        "except (LookupError, ImportError) as exc: print(exc)\n"
    )
    assert "uvloop" in out
    assert "pip install" in out


def test_the_backends_are_listed() -> None:
    assert get_all_backends() == ("asyncio", "trio")
    assert get_available_backends() == ("asyncio", "trio")


def test_run_needs_no_backend_and_takes_asyncio() -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(main).startswith("asyncio.")


# Options


@pytest.mark.parametrize("debug", [False, True])
def test_debug_is_passed_to_the_loop(debug: bool) -> None:
    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert run(main, backend_options={"debug": debug}) is debug


@pytest.mark.backends("uvloop")
def test_use_uvloop_runs_on_uvloop(backend: Backend) -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert backend.run(main) in ("uvloop", "winloop")


def test_the_loop_factory_makes_the_loop() -> None:
    made: list[asyncio.AbstractEventLoop] = []

    def factory() -> asyncio.AbstractEventLoop:
        made.append(asyncio.new_event_loop())
        return made[-1]

    async def main() -> bool:
        return asyncio.get_running_loop() is made[0]

    assert run(main, backend_options={"loop_factory": factory})
    assert len(made) == 1
    assert made[0].is_closed()


def test_trios_options_are_passed_on() -> None:
    import trio.testing

    async def main() -> float:
        start = creche.current_time()
        await sleep(1000)
        return creche.current_time() - start

    options = {"clock": trio.testing.MockClock(autojump_threshold=0)}
    assert run(main, backend="trio", backend_options=options) == 1000


# What is left behind


def test_run_leaves_no_thread(backend: Backend) -> None:
    before = set(threading.enumerate())

    async def main() -> None:
        await creche.getaddrinfo("127.0.0.1", 80)

    backend.run(main)
    left = set(threading.enumerate()) - before
    assert [thread for thread in left if not thread.name.startswith("Trio thread")] == []


@asyncio_only
def test_run_shuts_the_default_executor_down(backend: Backend) -> None:
    before = set(threading.enumerate())
    threads = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        threads.append(await loop.run_in_executor(None, threading.current_thread))

    backend.run(main)
    assert not threads[0].is_alive()
    assert set(threading.enumerate()) == before


@asyncio_only
def test_run_leaves_no_loop(backend: Backend) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()

    def in_a_thread() -> None:
        backend.run(main)
        with pytest.raises(RuntimeError):
            asyncio.get_event_loop()
        assert loops[0].is_closed()
        alive.append(weakref.ref(loops.pop()))

    alive: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join(20)
    gc.collect()
    assert alive[0]() is None


@asyncio_only
def test_run_cancels_the_foreign_tasks_that_are_left(backend: Backend) -> None:
    log = []

    async def foreign() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    async def main() -> None:
        tasks.append(asyncio.create_task(foreign()))
        await wait_all_tasks_blocked()

    tasks: list[asyncio.Task[None]] = []
    backend.run(main)
    assert log == ["cleaned up"]
    assert tasks[0].cancelled()


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # Trio, which is right
@pytest.mark.parametrize("abandoned", ["held", "dropped"])
def test_run_closes_asynchronous_generators(backend: Backend, abandoned: str) -> None:
    log = []
    held = []

    async def generator() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            log.append("closed")

    async def main() -> None:
        numbers = generator()
        assert await anext(numbers) == 1
        if abandoned == "held":
            held.append(numbers)

    backend.run(main)
    assert log == ["closed"]


@asyncio_only
def test_run_leaves_the_current_loop_of_the_thread_alone(backend: Backend) -> None:
    kept = []

    def in_a_thread() -> None:
        mine = asyncio.new_event_loop()
        try:
            backend.run(nothing)
            kept.append(mine.run_until_complete(asyncio.sleep(0, "still usable")))
        finally:
            mine.close()

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join(20)
    assert kept == ["still usable"]

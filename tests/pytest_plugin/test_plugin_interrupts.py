"""Ctrl-C, `pytest.exit` and the like: the run ends, and what was set up is torn down."""

from __future__ import annotations

import signal
import subprocess
import threading

import pytest
from _inner import Inner

from _harness import Backend, on_each_kernel

TESTS = """
    import signal
    import creche, pytest

    def tell(text):
        print(text, flush=True)

    @pytest.fixture(scope="session")
    async def higher():
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep_forever)
            yield
            await creche.sleep(0)
            group.cancel_scope.cancel()
            tell("higher torn down")

    @pytest.fixture
    async def fixture(higher):
        yield
        await creche.sleep(0)
        tell("fixture torn down")

    @pytest.mark.creche
    async def test_waits(fixture):
        try:
            async with creche.create_task_group() as group:
                group.start_soon(creche.sleep_forever)
                tell("ready")
                await creche.sleep_forever()
        finally:
            tell("test cleaned up")

    @pytest.mark.creche
    async def test_steps(fixture):
        async def interrupt():
            signal.raise_signal(signal.SIGINT)
            await creche.sleep_forever()

        async with creche.create_task_group() as group:
            group.start_soon(interrupt)
            while True:
                await creche.sleep(0)

    @pytest.mark.creche
    async def test_raises(fixture):
        async def interrupt():
            raise KeyboardInterrupt

        async with creche.create_task_group() as group:
            group.start_soon(interrupt)

    @pytest.mark.creche
    async def test_insists(fixture, creche_backend):
        # The second one comes at once, in whatever runs then: here in a callback of the loop.
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        await creche.sleep_forever()

    @pytest.mark.creche
    async def test_exits(fixture):
        async def leave():
            pytest.exit("enough of it", returncode=2)

        async with creche.create_task_group() as group:
            group.start_soon(leave)

    @pytest.mark.creche
    async def test_after_it():
        tell("went on")

    async def test_virtual(virtual_clock, own):
        tell("ready")
        while True:
            await creche.sleep(1)

    @pytest.fixture
    async def own():
        yield
        tell("own torn down")
    """


def run(inner: Inner, test: str) -> tuple[int, str]:
    """Run one test in a process of its own, sent SIGINT when it is ready."""
    inner.write("test_inner.py", TESTS)
    process = subprocess.Popen(
        inner.command("-s", "-p", "creche.pytest_plugin", "-k", f"{test} or after"),
        env=inner.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    guard = threading.Timer(40, process.kill)
    guard.start()
    output = ""
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            output += line
            if line.strip().endswith("ready"):
                process.send_signal(signal.SIGINT)
    guard.cancel()
    guard.join()
    return process.returncode, output


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_ctrl_c_ends_a_test_that_waits_and_the_run(inner: Inner, backend: Backend) -> None:
    inner.on(backend)
    code, output = run(inner, "waits")
    assert code == pytest.ExitCode.INTERRUPTED
    order = ["ready", "test cleaned up", "fixture torn down", "higher torn down"]
    assert [line for line in output.splitlines() if line in order] == order
    assert "KeyboardInterrupt" in output
    assert "Traceback" not in output
    assert "went on" not in output


@pytest.mark.parametrize("test", ["steps", "raises", "insists", "exits"])
def test_what_ends_a_run_leaves_it_in_order(
    inner: Inner, backend: Backend, capsys: pytest.CaptureFixture[str], test: str
) -> None:
    inner.on(backend)
    told = inner.run("-k", f"{test} or after", test=TESTS)
    output = capsys.readouterr().out
    assert told.exit_code == pytest.ExitCode.INTERRUPTED
    assert "fixture torn down" in output
    assert "higher torn down" in output
    assert ("Exit: enough of it" if test == "exits" else "KeyboardInterrupt") in output
    assert "Traceback" not in output
    assert "went on" not in output


@on_each_kernel
def test_ctrl_c_ends_a_test_in_virtual_time(inner: Inner, backend: Backend) -> None:
    inner.on(backend)
    code, output = run(inner, "virtual")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert "Traceback" not in output
    assert "own torn down" in output


@on_each_kernel
def test_what_a_signal_handler_raises_fails_the_test_that_waits(
    inner: Inner, backend: Backend
) -> None:
    inner.on(backend)
    told = inner.run(
        test="""
        import signal
        import creche, pytest

        def ring(number, frame):
            pytest.fail("time is up")

        @pytest.fixture
        def alarm():
            before = signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            yield
            signal.signal(signal.SIGALRM, before)

        @pytest.mark.creche
        async def test_waits(alarm):
            await creche.sleep_forever()

        @pytest.mark.creche
        async def test_next():
            await creche.sleep(0)
        """
    )
    assert told.of("test_waits") == "failed in call"
    assert "time is up" in told.text("test_waits")
    assert told.of("test_next") == "passed"

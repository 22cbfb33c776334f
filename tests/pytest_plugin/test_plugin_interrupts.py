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
    sent = False
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            output += line
            # Once: a signal that comes between the write and its end may have the text written again.
            if line.strip().endswith("ready") and not sent:
                sent = True
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


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that send signals")
def test_what_a_signal_handler_raises_fails_one_test_and_no_other(
    inner: Inner, backend: Backend
) -> None:
    inner.on(backend)
    told = inner.run(
        test="""
        import signal
        import creche, pytest

        class Late(Exception):
            pass

        def ring(number, frame):
            raise Late

        @pytest.fixture
        def limit():
            before = signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            yield
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

        @pytest.fixture(scope="module")
        async def server():
            async def serve():
                while True:
                    (await receive.receive()).set()

            async with creche.create_task_group() as group:
                send, receive = creche.create_memory_object_stream()
                group.start_soon(serve)
                yield send
                group.cancel_scope.cancel()
            send.close()
            receive.close()

        async def ask(server):
            done = creche.Event()
            await server.send(done)
            with creche.fail_after(5):
                await done.wait()

        pytestmark = pytest.mark.creche

        async def test_before(server):
            await ask(server)

        async def test_hangs(server, limit):
            async with creche.create_task_group() as group:
                group.start_soon(creche.sleep_forever)
                with creche.CancelScope():
                    await creche.sleep_forever()

        async def test_after(server):
            await ask(server)

        async def test_hangs_again(server, limit):
            await creche.sleep(3600)

        async def test_after_that(server):
            await ask(server)
            await creche.sleep(0.01)
        """
    )
    assert {name: told.of(name) for name in told.names()} == {
        "test_before": "passed",
        "test_hangs": "failed in call",
        "test_after": "passed",
        "test_hangs_again": "failed in call",
        "test_after_that": "passed",
    }
    assert "Late" in told.text("test_hangs")


CHILDREN = """
    import signal
    import creche, pytest

    class Late(Exception):
        pass

    def ring(number, frame):
        raise Late

    @pytest.fixture
    def limit():
        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    @pytest.fixture
    async def group():
        async with creche.create_task_group() as group:
            yield group
            assert not group.cancel_scope.cancel_called
            group.cancel_scope.cancel()

    async def hang(task_status=None):
        await creche.sleep_forever()

    async def in_a_group():
        async with creche.create_task_group() as group:
            group.start_soon(hang)

    async def in_groups():
        with creche.move_on_after(60):
            async with creche.create_task_group() as outer:
                outer.start_soon(in_a_group)
                with creche.CancelScope():
                    async with creche.create_task_group() as inner:
                        inner.start_soon(in_a_group)

    async def in_start():
        async with creche.create_task_group() as group:
            await group.start(hang)

    async def in_a_shield():
        with creche.CancelScope(shield=True):
            await in_a_group()

    pytestmark = pytest.mark.creche

    @pytest.mark.parametrize("wait", [in_a_group, in_groups, in_start, in_a_shield])
    async def test_hangs(group, limit, wait):
        group.start_soon(hang)
        await wait()

    async def test_after_it(group):
        event = creche.Event()
        group.start_soon(event.wait)
        await creche.sleep(0.01)
        event.set()

    @pytest.fixture
    async def never_ends(limit):
        async with creche.create_task_group() as group:
            yield
            group.start_soon(hang)

    async def test_of_a_fixture(never_ends):
        pass

    async def test_after_that(group):
        await creche.sleep(0.01)
    """


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that send signals")
def test_what_a_signal_handler_raises_ends_a_wait_for_children(
    inner: Inner, backend: Backend
) -> None:
    inner.on(backend)
    told = inner.run(test=CHILDREN)
    waits = ("in_a_group", "in_groups", "in_start", "in_a_shield")
    assert {name: told.of(name) for name in told.names()} == {
        **{f"test_hangs[{wait}]": "failed in call" for wait in waits},
        "test_after_it": "passed",
        "test_of_a_fixture": "failed in teardown",
        "test_after_that": "passed",
    }
    assert "Late" in told.text("test_hangs[in_a_group]")

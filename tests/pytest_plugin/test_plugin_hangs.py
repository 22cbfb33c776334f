"""A test that hangs: `creche_timeout`, Ctrl-C and the timeouts of others show what its tasks do."""

from __future__ import annotations

import signal
import subprocess
import threading

import pytest
from _inner import Inner

from _harness import Backend

HANGS = """
    import creche, pytest

    async def transfer(first, second):
        async with first:
            await creche.sleep(0.01)
            async with second:
                pass

    @pytest.mark.creche
    async def test_before_it():  # so that the next one is not charged for importing the loop
        await creche.sleep(0)

    {mark}
    @pytest.mark.creche
    async def test_hangs({fixtures}):
        accounts, ledger = creche.Lock(), creche.Lock()
        async with creche.create_task_group() as group:
            group.start_soon(transfer, accounts, ledger, name="forth")
            group.start_soon(transfer, ledger, accounts, name="back")
            await creche.sleep(0.05)
            print("ready", flush=True)

    @pytest.mark.creche
    async def test_after_it():
        await creche.sleep(0)
    """


def hangs(mark: str = "", fixtures: str = "") -> str:
    return HANGS.format(mark=mark, fixtures=fixtures)


def check_shown(text: str) -> None:
    """See that a text names the test, its tasks, and what they wait for, and nothing of ours."""
    assert "test_hangs" in text
    assert "waiting for Lock 'ledger', held by back" in text
    assert "waiting for Lock 'accounts', held by forth" in text
    assert "Deadlock: 2 tasks wait for each other" in text
    assert "test_inner.py:" in text
    assert "src/creche/" not in text and "site-packages" not in text


@pytest.mark.parametrize("how", ["ini", "mark"])
def test_creche_timeout_fails_the_test_and_shows_its_tasks(
    inner: Inner, backend: Backend, how: str
) -> None:
    inner.on(backend)
    if how == "ini":
        inner.ini("creche_timeout = 0.3")
        told = inner.run(test=hangs())
    else:
        told = inner.run(test=hangs("@pytest.mark.creche_timeout(0.3)"))
    assert told.of("test_hangs") == "failed in call"
    assert told.of("test_after_it") == "passed"
    assert "test_hangs took longer than creche_timeout = 0.3 s" in told.text("test_hangs")
    check_shown(told.text("test_hangs"))


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_creche_timeout_counts_virtual_time(inner: Inner, loop: str) -> None:
    test = f"""
        import creche, pytest

        @pytest.mark.parametrize("creche_backend", [{loop!r}])
        @pytest.mark.creche_timeout(3600)
        async def test_long(virtual_clock, creche_backend):
            await creche.sleep(3599)

        @pytest.mark.parametrize("creche_backend", [{loop!r}])
        @pytest.mark.creche_timeout(3600)
        async def test_too_long(virtual_clock, creche_backend):
            await creche.sleep(3601)
        """
    told = inner.run(test=test)
    assert told.of(f"test_long[{loop}]") == "passed"
    assert "creche_timeout = 3600 s" in told.text(f"test_too_long[{loop}]")


@pytest.mark.parametrize(
    ("mark", "wrong"),
    [
        ("@pytest.mark.creche_timeout(0)", "above 0, not 0"),
        ("@pytest.mark.creche_timeout('soon')", "above 0, not 'soon'"),
        ("@pytest.mark.creche_timeout()", "takes one number of seconds, on test_hangs"),
    ],
)
def test_a_limit_that_makes_no_sense_is_told(inner: Inner, mark: str, wrong: str) -> None:
    assert wrong in inner.run(test=hangs(mark)).text("test_hangs[asyncio]")


def test_an_ini_file_that_makes_no_sense_is_told(inner: Inner) -> None:
    inner.ini("creche_timeout = never")
    result = inner.run_apart(test=hangs())
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "creche_timeout must be a number of seconds above 0, not 'never'" in result.stderr


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_ctrl_c_shows_the_tasks_before_they_are_cancelled(inner: Inner, backend: Backend) -> None:
    inner.on(backend)
    inner.write("test_inner.py", hangs())
    process = subprocess.Popen(
        inner.command("-s", "-p", "creche.pytest_plugin"),
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
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    shown = output[output.index("Tasks of") : output.index("!!!")]
    check_shown(shown)
    assert "cancelling" not in shown


@pytest.mark.backends("asyncio", "uvloop", "trio")
@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout_shows_the_tasks(inner: Inner, backend: Backend, method: str) -> None:
    inner.on(backend)
    options = ("-p", "pytest_timeout", "--timeout=2", f"--timeout-method={method}")
    result = inner.run_apart(*options, test=hangs())
    assert result.returncode != 0
    whole = result.stderr + result.stdout
    assert "Timeout" in whole
    check_shown(whole[: whole.index("Timeout")] if method == "thread" else result.stderr)


def test_faulthandler_timeout_shows_the_tasks_first(inner: Inner) -> None:
    inner.ini("faulthandler_timeout = 2", "faulthandler_exit_on_timeout = true")
    inner.write("test_inner.py", hangs())
    command = inner.command("-p", "creche.pytest_plugin")
    place = command.index("no:faulthandler")
    del command[place - 1 : place + 1]
    result = subprocess.run(
        command, env=inner.environment(), capture_output=True, text=True, check=False, timeout=40
    )
    tasks, _, threads = result.stderr.partition("Timeout (0:00:02)!")
    check_shown(tasks)
    assert "most recent call first" in threads

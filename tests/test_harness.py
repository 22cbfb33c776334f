"""The harness itself: a test that leaves something behind fails, whatever it left.

Each probe below is a test that must fail, and one that must not; they run in a pytest of their own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from _harness import BACKENDS

TESTS = Path(__file__).parent

PROBES = """
import asyncio, os, socket, threading
import creche
import pytest
from _harness import on_asyncio, on_each_kernel
from hypothesis import given, strategies as st

kept = []
never = threading.Event()

async def test_ok_async():
    await creche.sleep(0)

async def test_ok_async_with_fixture(tmp_path, backend):
    await creche.sleep(0)
    assert tmp_path.exists() and backend.kernel in ("asyncio", "trio")

def test_ok_sync():
    pass

def test_ok_sync_on_backends(backend):
    async def main():
        return 5
    assert backend.run(main) == 5

@given(st.integers())
async def test_ok_examples(number):
    await creche.sleep(0)

@given(st.integers())
async def test_bad_examples(number):
    await creche.sleep(0)
    assert number < 10

async def test_bad_assertion():
    await creche.sleep(0)
    assert False

async def test_bad_descriptor():
    kept.append(os.open(os.devnull, os.O_RDONLY))

@on_each_kernel
async def test_bad_thread():
    kept.append(threading.Thread(target=never.wait, daemon=True))
    kept[-1].start()

async def test_bad_coroutine_not_awaited():
    creche.sleep(1)

async def test_bad_coroutine_not_awaited_in_a_cycle():
    cycle = [creche.sleep(1)]
    cycle.append(cycle)

async def test_bad_resource_warning():
    socket.socket()

async def test_bad_unraisable():
    class Bad:
        def __del__(self):
            raise ValueError
    bad = Bad()
    bad.cycle = bad

@on_asyncio
async def test_bad_task_left():
    kept.append(asyncio.create_task(asyncio.sleep(60)))

@on_asyncio
async def test_bad_exception_never_retrieved():
    async def fails():
        raise ValueError
    asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

async def test_bad_result():
    return 5

@on_asyncio
async def test_ok_reports_expected(loop_reports):
    asyncio.get_running_loop().call_exception_handler({"message": "expected"})
    assert "expected" in loop_reports.take()[0]

@pytest.mark.backends("asyncio")
async def test_ok_only_on_asyncio():
    await asyncio.sleep(0)

@pytest.mark.backends("trio")
async def test_ok_only_on_trio():
    import trio
    await trio.lowlevel.checkpoint()
"""

HANGS = """
import creche
import pytest

@pytest.mark.time_limit(0.5)
@pytest.mark.backends("asyncio")
async def test_hangs_for_ever():
    await creche.sleep_forever()
"""


def run_probes(path: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as a test module beside a conftest that is ours."""
    (path / "conftest.py").write_text("from tests_conftest import *\n")
    (path / "tests_conftest.py").write_bytes((TESTS / "conftest.py").read_bytes())
    (path / "test_probe.py").write_text(code)
    (path / "pytest.ini").write_text(f"[pytest]\npythonpath = . {TESTS}\n")
    plugins = ("-p", "no:anyio", "-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=short", *plugins, *options, "."],
        cwd=path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def outcomes(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The summary lines of pytest: test id to outcome."""
    summary = re.findall(r"^([A-Z]+) test_probe\.py::(\S+)", result.stdout, re.MULTILINE)
    assert summary, result.stdout + result.stderr
    return {name: outcome for outcome, name in summary}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outcomes(run_probes(tmp_path_factory.mktemp("probes"), PROBES))


def test_what_is_left_behind_fails_the_test_that_left_it(probed: dict[str, str]) -> None:
    expected = {name: "PASSED" if name.startswith("test_ok") else "FAILED" for name in probed}
    assert probed == expected
    assert {name.partition("[")[0] for name in probed} == set(re.findall(r"test_\w+", PROBES))


def test_each_test_runs_on_the_backends_it_is_for(probed: dict[str, str]) -> None:
    installed = {name for name, backend in BACKENDS.items() if backend.installed}

    def backends_of(test: str) -> set[str]:
        ids = (name.partition("[") for name in probed)
        return {backend.removesuffix("]") for name, _, backend in ids if name == test}

    assert backends_of("test_ok_async") == installed
    assert backends_of("test_ok_examples") == installed
    assert backends_of("test_ok_sync_on_backends") == installed
    assert backends_of("test_ok_sync") == {""}
    assert backends_of("test_ok_reports_expected") == installed - {"trio"}
    assert backends_of("test_ok_only_on_trio") == {"trio"}


def test_one_backend_can_be_chosen(tmp_path: Path) -> None:
    options = ("-k", "ok_async or ok_only", "--backend=trio")
    assert set(outcomes(run_probes(tmp_path, PROBES, *options))) == {
        "test_ok_async[trio]",
        "test_ok_async_with_fixture[trio]",
        "test_ok_only_on_trio[trio]",
    }


def test_a_test_that_hangs_ends_the_run_and_shows_where(tmp_path: Path) -> None:
    result = run_probes(tmp_path, HANGS)
    assert result.returncode != 0
    assert "Timeout (0:00:00.500000)" in result.stderr
    assert "conftest.py" in result.stderr

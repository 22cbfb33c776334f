"""Creche's pytest plugin beside pytest-asyncio and pytest-trio, in the modes of each.

Runs small projects in processes of their own, which load these plugins and no other: under Creche's
names, and under AnyIO's, which the drop-in has for the same plugin.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

THEIRS = ("pytest_asyncio.plugin", "pytest_trio.plugin")
OURS = {
    "creche": ("creche.pytest_plugin",),
    "anyio": ("creche.pytest_plugin", "anyio.pytest_plugin"),
}
LOOP_SCOPE = "asyncio_default_fixture_loop_scope = function"

OWN = """
import creche
import pytest
from hypothesis import given, settings, strategies as st

@pytest.fixture
async def ours():
    yield creche.lowlevel.current_token()
    await creche.sleep(0)

@pytest.mark.creche
async def test_ours(ours):
    assert ours == creche.lowlevel.current_token()

@pytest.mark.creche
class TestMethods:
    async def test_method(self, ours):
        assert ours == creche.lowlevel.current_token()

@pytest.mark.creche
@given(st.integers())
@settings(max_examples=3, database=None)
async def test_given(number):
    await creche.sleep(0)
"""
ASYNCIO = """
import asyncio
import pytest_asyncio

@pytest_asyncio.fixture
async def theirs():
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)

@pytest.mark.asyncio
async def test_asyncio(theirs):
    assert theirs is asyncio.get_running_loop()
    await creche.sleep(0)
"""
TRIO = """
import trio

@pytest.mark.trio
async def test_trio(nursery):
    nursery.start_soon(trio.sleep, 0)
    await creche.sleep(0)
"""
UNMARKED = """
async def test_unmarked():
    await creche.sleep(0)
"""


def run(folder: Path, prefix: str, test: str, *lines: str) -> dict[str, str]:
    """Run a test file with all plugins; return what came of each test."""
    test = test.replace("mark.creche", f"mark.{prefix}")
    (folder / "test_beside.py").write_text(test)
    ini = ["[pytest]", LOOP_SCOPE, *[line.replace("creche_", f"{prefix}_") for line in lines]]
    (folder / "pytest.ini").write_text("\n".join(ini))
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if prefix == "creche":
        environment.pop("CRECHE_AS_ANYIO", None)
    else:
        environment["CRECHE_AS_ANYIO"] = "1"
    plugins = [option for name in (*OURS[prefix], *THEIRS) for option in ("-p", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-W", "error", "-p", "no:cacheprovider", *plugins],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line.split() for line in done.stdout.splitlines() if "test_beside.py::" in line]
    outcomes = ("PASSED", "FAILED", "ERROR")
    found = {w[1].partition("::")[2]: w[0] for w in told if w and w[0] in outcomes}
    assert found, done.stdout + done.stderr
    return found


def on_both(*tests: str) -> dict[str, str]:
    return {f"{test}[{backend}]": "PASSED" for test in tests for backend in ("asyncio", "trio")}


EACH = on_both("test_ours", "TestMethods::test_method", "test_given")
each_name = pytest.mark.parametrize("prefix", ["creche", "anyio"])


@each_name
def test_all_in_strict_mode(tmp_path: Path, prefix: str) -> None:
    found = run(tmp_path, prefix, OWN + ASYNCIO + TRIO)
    assert found == {**EACH, "test_asyncio": "PASSED", "test_trio": "PASSED"}


@each_name
def test_with_pytest_asyncio_in_auto_mode(tmp_path: Path, prefix: str) -> None:
    # In this mode it takes pytest-trio's tests as well, so there are none.
    found = run(tmp_path, prefix, OWN + ASYNCIO + UNMARKED, "asyncio_mode = auto")
    assert found == {**EACH, "test_asyncio": "PASSED", "test_unmarked": "PASSED"}


@each_name
def test_with_pytest_trio_in_its_own_mode(tmp_path: Path, prefix: str) -> None:
    found = run(tmp_path, prefix, OWN + UNMARKED, "trio_mode = true")
    assert found == {**EACH, "test_unmarked": "PASSED"}


@each_name
def test_with_creche_in_auto_mode(tmp_path: Path, prefix: str) -> None:
    found = run(tmp_path, prefix, OWN + ASYNCIO + TRIO + UNMARKED, "creche_mode = auto")
    unmarked = on_both("test_unmarked")
    assert found == {**EACH, **unmarked, "test_asyncio": "PASSED", "test_trio": "PASSED"}

"""Beside itself under AnyIO's names, and in whatever state pytest finds it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

from _inner import Inner


def test_both_sets_of_names_at_once(inner: Inner) -> None:
    inner.ini("creche_mode = auto", "anyio_mode = auto")
    told = inner.run(
        "-p",
        "creche._pytest.anyio_plugin",
        test="""
        import creche, pytest

        @pytest.fixture
        async def fixture():
            yield creche.lowlevel.current_token()

        @pytest.mark.creche
        async def test_creche(fixture, creche_backend_name):
            assert fixture == creche.lowlevel.current_token()

        @pytest.mark.anyio
        async def test_anyio(fixture, anyio_backend_name):
            assert fixture == creche.lowlevel.current_token()

        async def test_none(fixture):
            assert fixture == creche.lowlevel.current_token()

        async def test_by_its_fixture(fixture, anyio_backend):
            assert fixture == creche.lowlevel.current_token()

        def test_port(free_tcp_port_factory):
            assert free_tcp_port_factory() != free_tcp_port_factory()
        """,
    )
    tests = ("creche", "anyio", "none", "by_its_fixture")
    assert {*told.names()} == {
        "test_port",
        *[f"test_{test}[{backend}]" for test in tests for backend in ("asyncio", "trio")],
    }
    assert told.counts() == {"passed": 9}


def test_a_test_with_both_marks_runs_once_for_each_pair(inner: Inner) -> None:
    told = inner.run(
        "-p",
        "creche._pytest.anyio_plugin",
        test="""
        import creche, pytest

        @pytest.mark.anyio
        @pytest.mark.creche
        async def test_both():
            await creche.sleep(0)
        """,
    )
    assert told.counts() == {"passed": 4}


def test_pytest_finds_the_plugin_of_an_installed_creche(inner: Inner) -> None:
    [found] = [point for point in entry_points(group="pytest11") if point.name == "creche"]
    assert found.value == "creche.pytest_plugin"
    result = inner.run_apart(
        "-p",
        "no:asyncio",
        autoload=True,
        test="""
        import pytest

        @pytest.mark.creche
        async def test_it():
            pass
        """,
    )
    assert "2 passed" in result.stdout, result.stdout


def test_pytest_warns_of_nothing_when_creche_was_imported_before(inner: Inner) -> None:
    # As in an installed wheel, whose files pytest marks for the rewriting of assertions.
    installed = inner.folder / "installed" / "creche_here-1.dist-info"
    installed.mkdir(parents=True)
    files = ["creche/__init__.py", "creche/pytest_plugin.py", "creche/_pytest/anyio_plugin.py"]
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: creche-here\nVersion: 1\n")
    (installed / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    (installed / "entry_points.txt").write_text(
        "[pytest11]\ncreche = creche.pytest_plugin\nanyio = creche._pytest.anyio_plugin\n"
    )
    inner.write(
        "test_inner.py",
        """
        import pytest

        @pytest.mark.anyio
        async def test_it():
            one = 1
            assert one == 2, "shown"
        """,
    )
    inner.write(
        "begin.py",
        f"""
        import sys
        sys.path.insert(0, {str(installed.parent)!r})
        import creche, creche.abc, creche.pytest_plugin, creche._pytest.anyio_plugin
        import pytest
        sys.exit(pytest.main(["-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio"]))
        """,
    )
    result = subprocess.run(
        [sys.executable, "begin.py"],
        cwd=inner.folder,
        env=inner.environment(autoload=True),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 failed" in result.stdout, result.stdout + result.stderr
    assert "assert 1 == 2" in result.stdout
    assert "Warning" not in result.stdout + result.stderr


def test_the_plugin_costs_no_event_loop_until_a_test_needs_one(inner: Inner) -> None:
    result = inner.run_apart(
        test="""
        import sys

        def test_it():
            loaded = {name.partition(".")[0] for name in sys.modules}
            if sys.version_info < (3, 14):  # there pdb imports asyncio, and pytest imports pdb
                assert "asyncio" not in loaded
            assert not loaded & {"trio", "uvloop"}
            assert "creche._kernel" not in sys.modules
            assert "creche.testing" not in sys.modules
        """
    )
    assert "1 passed" in result.stdout, result.stdout

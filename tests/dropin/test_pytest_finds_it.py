"""How pytest comes to the plugin with AnyIO's names, whichever way it is asked for.

The plugin itself has tests of its own; here a few lines stand in for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from _dropin_pythons import Python, make_python

PLUGIN = '''"""Stands in for the plugin."""
import pytest

class FreePortFactory: pass

@pytest.fixture
def plugin(request):
    """The module itself."""
    import sys
    return sys.modules[__name__]

def pytest_configure(config):
    assert not hasattr(config, "of_the_plugin"), "registered twice"
    config.of_the_plugin = True
'''
TEST = """
import sys
import anyio
import anyio.abc
import creche
from anyio.pytest_plugin import FreePortFactory


def test_it(plugin, pytestconfig):
    assert pytestconfig.of_the_plugin
    assert plugin is sys.modules["anyio.pytest_plugin"]
    assert plugin is sys.modules["creche._pytest.anyio_plugin"]
    assert plugin.FreePortFactory is FreePortFactory
    assert anyio is creche
    assert anyio.abc is sys.modules["creche.abc"]
    from anyio import testing
    assert testing is creche.testing
    for module in (anyio.abc, testing, plugin):
        others = [m for m in {*sys.modules.values()} if getattr(m, "__file__", 0) == module.__file__]
        assert others == [module]
"""
WAYS = {
    "variable": ([], {"CRECHE_AS_ANYIO": "1"}),
    "-p creche.as_anyio": (["-p", "creche.as_anyio"], {}),
    "-p anyio": (["-p", "anyio"], {"CRECHE_AS_ANYIO": "1"}),
    "-p anyio alone": (
        ["-p", "anyio"],
        {"CRECHE_AS_ANYIO": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    ),
    "-p by its module": (
        ["-p", "anyio.pytest_plugin"],
        {"CRECHE_AS_ANYIO": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    ),
}


@pytest.fixture(scope="session")
def with_plugin(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Python:
    """A Python with the packages of the tests, no AnyIO, and a plugin of a few lines."""
    made = make_python(tmp_path_factory.mktemp("plugin") / "env", wheel, shared=True)
    room = made.packages / "creche" / "_pytest"
    room.mkdir(exist_ok=True)
    (room / "__init__.py").write_text('"""The room of the plugins."""\n')
    (room / "anyio_plugin.py").write_text(PLUGIN)
    (made.packages / "creche" / "pytest_plugin.py").write_text('"""Creche\'s own."""\n')
    (made.folder / "test_it.py").write_text(TEST)
    (made.folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return made


@pytest.mark.parametrize("installed", [False, True], ids=["without AnyIO", "with AnyIO"])
@pytest.mark.parametrize("way", WAYS)
def test_pytest_finds_the_plugin_once_and_rewrites_nothing_twice(
    with_plugin: Python, anyio_folder: str, way: str, installed: bool
) -> None:
    arguments, variables = WAYS[way]
    path = {"PYTHONPATH": anyio_folder} if installed else {}
    done = run_pytest(with_plugin, *arguments, **variables, **path)
    assert "1 passed" in done, done


def test_the_plugin_can_be_kept_out(with_plugin: Python) -> None:
    said = run_pytest(with_plugin, "-p", "no:anyio", CRECHE_AS_ANYIO="1")
    assert "fixture 'plugin' not found" in said


def test_an_anyio_that_pytest_has_loaded_is_an_error_that_says_how_to_run_it(
    with_plugin: Python, anyio_folder: str
) -> None:
    said = run_pytest(with_plugin, "-p", "anyio", "-p", "creche.as_anyio", PYTHONPATH=anyio_folder)
    assert "by pytest, which has loaded the plugin anyio.pytest_plugin" in said
    assert "Run 'CRECHE_AS_ANYIO=1 pytest'" in said


def test_no_program_gets_pytest_from_it_before_it_asks(with_plugin: Python) -> None:
    program = """
        import sys, anyio
        assert "pytest" not in sys.modules and "_pytest" not in sys.modules
        assert "anyio.pytest_plugin" not in sys.modules
        import pytest
        assert "creche._pytest.anyio_plugin" in sys.modules
        assert "FreePortFactory" not in vars(sys.modules["anyio.pytest_plugin"]), "it waits"
        from anyio.pytest_plugin import FreePortFactory
        assert FreePortFactory.__module__ == "creche._pytest.anyio_plugin"
    """
    with_plugin.run(program, CRECHE_AS_ANYIO="1")


def test_the_plugin_can_be_imported_by_those_who_have_not_imported_pytest(
    with_plugin: Python,
) -> None:
    program = """
        from anyio.pytest_plugin import FreePortFactory
        import importlib, sys
        importlib.reload(sys.modules["anyio.pytest_plugin"])
        assert sys.modules["anyio.pytest_plugin"] is sys.modules["creche._pytest.anyio_plugin"]
    """
    with_plugin.run(program, CRECHE_AS_ANYIO="1")


def test_without_pytest_importing_the_plugin_says_so(bare: Python) -> None:
    done = bare.start("-c", "import anyio.pytest_plugin", CRECHE_AS_ANYIO="1")
    last = done.stderr.splitlines()[-1]  # It may go on with what was perhaps meant.
    assert last.startswith("ModuleNotFoundError: No module named 'pytest'")


ASYNC_TEST = """
import anyio
import creche
import pytest


@pytest.fixture
async def group():
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_it(group, anyio_backend_name):
    group.start_soon(anyio.sleep_forever)
    await anyio.wait_all_tasks_blocked()
    assert anyio is creche
    assert creche.lowlevel.current_token().backend_name == anyio_backend_name
"""


def test_tests_that_were_written_for_anyio_run(python: Python, tmp_path: Path) -> None:
    test = tmp_path / "test_async.py"
    test.write_text(ASYNC_TEST)
    command = ["-m", "pytest", "-W", "error", "-p", "no:cacheprovider", str(test)]
    done = python.start(*command, CRECHE_AS_ANYIO="1")
    assert "2 passed" in done.stdout, done


def run_pytest(python: Python, *arguments: str, **variables: str) -> str:
    command = ["-m", "pytest", "-p", "no:cacheprovider", "test_it.py", *arguments]
    done = python.start(*command, **variables)
    return done.stdout + done.stderr

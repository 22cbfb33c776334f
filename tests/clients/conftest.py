"""Runs the tests of real clients, each async one on every backend, with `anyio` being Creche.

Owns: keeping this folder out of the ordinary run, the choice of the library (Creche under AnyIO's
name; ``--library=anyio`` is AnyIO itself, to see what a client does there), and the parametrisation
by backend. Knows nothing about any client.

An ``async def test_*`` runs in ``anyio.run`` on asyncio, uvloop and Trio; a test that asks for
`backend` gets the name.
"""

from __future__ import annotations

import sys
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lints import Lints

HERE = Path(__file__).resolve().parent
BACKENDS = ("asyncio", "uvloop", "trio")
VARIABLE = "CRECHE_AS_ANYIO"
SECONDS = 60.0  # the longest that an async test may take
LINTS: pytest.StashKey[Lints] = pytest.StashKey()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave everything here to runs with this folder's pytest.ini: others lack the clients."""
    if config.rootpath != HERE and collection_path.is_relative_to(HERE):
        return True
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    # An ordinary run that names this folder reads this file as well: no option that clashes.
    parser.addoption("--library", choices=("creche", "anyio"), default="creche")
    parser.addoption("--lints", action="store_true", help="tell what looks wrong in the clients")


def pytest_configure(config: pytest.Config) -> None:
    if config.rootpath != HERE:
        return
    import anyio

    wanted = config.getoption("--library")
    if library_in_use() != wanted:
        raise pytest.UsageError(
            f"`import anyio` gave {anyio.__file__}, not {wanted}: "
            f"set {VARIABLE}=1 for Creche, or ask for --library=anyio without it"
        )


def library_in_use() -> str:
    """What this process gets for `import anyio`: "creche" or "anyio"."""
    import anyio

    return "creche" if anyio is sys.modules.get("creche") else "anyio"


def pytest_report_header(config: pytest.Config) -> str:
    return f"anyio is {config.getoption('--library')}"


# ── Lints ─────────────────────────────────────────────────────────────────────────────────────────


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.rootpath == HERE and session.config.getoption("--lints"):
        from lints import Lints

        session.config.stash[LINTS] = Lints()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if (lints := item.config.stash.get(LINTS, None)) is not None:
        lints.test = item.name


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if (lints := config.stash.get(LINTS, None)) is not None:
        terminalreporter.section("lints")
        terminalreporter.write_line("\n".join(lints.stop()) or "none")
        terminalreporter.write_line(f"looked {lints.looks} times")


# ── Backends ──────────────────────────────────────────────────────────────────────────────────────


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    if not isinstance(collector, pytest.Module) or not collector.istestfunction(obj, name):
        return
    if iscoroutinefunction(obj):
        pytest.mark.usefixtures("backend")(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", BACKENDS)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {
        name: pyfuncitem.funcargs[name]
        for name in pyfuncitem._fixtureinfo.argnames
        if name in pyfuncitem.funcargs
    }
    run(str(pyfuncitem.callspec.params["backend"]), pyfuncitem.obj, arguments)
    return True


def run(backend: str, test: Any, arguments: dict[str, Any]) -> None:
    import anyio

    async def limited() -> None:
        with anyio.fail_after(SECONDS):
            await test(**arguments)

    options = {"use_uvloop": True} if backend == "uvloop" else {}
    name = "asyncio" if backend == "uvloop" else backend
    anyio.run(limited, backend=name, backend_options=options)


# ── The library ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def library(pytestconfig: pytest.Config) -> str:
    """The library that every process of a test has to run on."""
    return str(pytestconfig.getoption("--library"))

"""The pytest plugin: async tests and fixtures on every backend.

Owns the names that pytest finds; the work is done in `_pytest`. Loaded by pytest itself, through the
entry point that an installed Creche has.

PYTEST_DONT_REWRITE: there is nothing to rewrite here, and it may be imported before pytest begins.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from ._pytest import explored, frames, hangs, leases
from ._pytest.fixtures import backend_fixtures
from ._pytest.hooks import Hooks, check_virtual
from ._pytest.leases import get_runner as get_runner
from ._pytest.ports import FreePortFactory as FreePortFactory
from ._pytest.ports import free_tcp_port as free_tcp_port
from ._pytest.ports import free_tcp_port_factory as free_tcp_port_factory
from ._pytest.ports import free_udp_port as free_udp_port
from ._pytest.ports import free_udp_port_factory as free_udp_port_factory

_hooks = Hooks("creche")
pytest_pycollect_makeitem = _hooks.pytest_pycollect_makeitem
pytest_fixture_setup = _hooks.pytest_fixture_setup
pytest_pyfunc_call = _hooks.pytest_pyfunc_call

creche_backend, creche_backend_name, creche_backend_options = backend_fixtures("creche")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line and of the ini file."""
    _hooks.pytest_addoption(parser)
    explored.add_options(parser)
    frames.add_options(parser)
    hangs.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Take in the options; make the mark known."""
    _hooks.pytest_configure(config)
    explored.configure(config)
    hangs.configure(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take back what was set for the session."""
    explored.unconfigure(config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, Any, Any]:
    """Take marks that a project adds late; leave out what a token is not of."""
    result: Any = yield from _hooks.pytest_collection_modifyitems(items)
    explored.select(config, items)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tell an explored test what it is called here."""
    __tracebackhide__ = True  # pytest then begins with the test
    explored.name(item)
    try:
        return (yield)
    finally:
        explored.unname(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Show the user's frames of what went wrong."""
    if call.excinfo is not None:
        frames.hide(item.config, call.excinfo.value)
    return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Put the backend first among the fixtures of each test; see that there is what to replay."""
    _hooks.pytest_collection_finish(session)
    explored.check(session)


def extract_backend_and_options(backend: object) -> tuple[str, dict[str, Any]]:
    """Return the name and the options in a value of the `creche_backend` fixture.

    :param backend: the name of a backend, or a tuple of it and a dict of options
    :raises TypeError: it is neither
    """
    return leases.extract_backend_and_options(backend, "creche_backend")


@pytest.fixture
def virtual_clock(request: pytest.FixtureRequest) -> None:
    """Have the async test that asks for this, and its fixtures, run in virtual time."""
    __tracebackhide__ = True
    check_virtual(request)

"""The pytest plugin under AnyIO's names: `anyio_backend`, `@pytest.mark.anyio`, `anyio_mode`.

Owns the names, as `creche.pytest_plugin` does for Creche's own. Imported by the drop-in, which puts
it in the place of AnyIO's plugin; never by anything else.

PYTEST_DONT_REWRITE: there is nothing to rewrite here, and it may be imported before pytest begins.
"""

from __future__ import annotations

from typing import Any

from . import leases
from .failures import leaves as iterate_exceptions
from .fixtures import backend_fixtures
from .hooks import Hooks
from .leases import get_runner
from .ports import (
    FreePortFactory,
    free_tcp_port,
    free_tcp_port_factory,
    free_udp_port,
    free_udp_port_factory,
)

__all__ = [
    "FreePortFactory",
    "anyio_backend",
    "anyio_backend_name",
    "anyio_backend_options",
    "extract_backend_and_options",
    "free_tcp_port",
    "free_tcp_port_factory",
    "free_udp_port",
    "free_udp_port_factory",
    "get_runner",
    "iterate_exceptions",
]

_hooks = Hooks("anyio")
pytest_addoption = _hooks.pytest_addoption
pytest_configure = _hooks.pytest_configure
pytest_pycollect_makeitem = _hooks.pytest_pycollect_makeitem
pytest_collection_modifyitems = _hooks.pytest_collection_modifyitems
pytest_collection_finish = _hooks.pytest_collection_finish
pytest_fixture_setup = _hooks.pytest_fixture_setup
pytest_pyfunc_call = _hooks.pytest_pyfunc_call

anyio_backend, anyio_backend_name, anyio_backend_options = backend_fixtures("anyio")


def extract_backend_and_options(backend: object) -> tuple[str, dict[str, Any]]:
    """Return the name and the options in a value of the `anyio_backend` fixture.

    :param backend: the name of a backend, or a tuple of it and a dict of options
    :raises TypeError: it is neither
    """
    return leases.extract_backend_and_options(backend, "anyio_backend")

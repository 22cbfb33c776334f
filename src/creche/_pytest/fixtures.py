"""The fixtures that say which backend a test runs on, made for one set of names.

Owns their values. Knows no plugin: `creche.pytest_plugin` and `anyio_plugin.py` publish them under names
with their own prefix.
"""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any

import pytest

from .._registry import installed
from .leases import extract_backend_and_options


def backend_fixtures(prefix: str) -> tuple[Any, Any, Any]:
    """Make the fixtures `..._backend`, `..._backend_name` and `..._backend_options`."""
    fixture = f"{prefix}_backend"

    def backend(request: pytest.FixtureRequest) -> Any:
        """The backend that the test runs on: a name, or a tuple of a name and a dict of options.

        Override it to choose others, or to give it another scope.
        """
        return request.param

    def backend_name(**given: Any) -> str:
        """The name of the backend that the test runs on."""
        return extract_backend_and_options(given[fixture], fixture)[0]

    def backend_options(**given: Any) -> dict[str, Any]:
        """The options of the backend that the test runs on."""
        return extract_backend_and_options(given[fixture], fixture)[1]

    for function in (backend_name, backend_options):  # pytest reads there what they ask for
        vars(function)["__signature__"] = Signature([Parameter(fixture, Parameter.KEYWORD_ONLY)])
    return (
        pytest.fixture(scope="module", params=installed())(backend),
        pytest.fixture(backend_name),
        pytest.fixture(backend_options),
    )

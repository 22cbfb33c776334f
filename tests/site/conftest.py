"""What the tests of the built site share: the site, served to a browser, with Pyodide beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _serving import serving
from fetch_pyodide import fetch_pyodide

from _harness._chromium import Browser, started

SITE = Path(__file__).parents[2] / "site"


@pytest.fixture(scope="session")
def site() -> Path:
    if not (SITE / "assets" / "creche.zip").exists():
        pytest.fail("the site is not built: make docs")
    return SITE


@pytest.fixture(scope="session")
def pyodide() -> Path:
    return fetch_pyodide()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with serving(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser

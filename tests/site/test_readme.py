"""The README, as the repository has it and as a package index shows it: its links lead somewhere in both."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def hatch_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_links_are_files_of_the_repository() -> None:
    links = [link.partition("#")[0] for link in LINK.findall(README)]
    assert len(links) > 8
    assert [link for link in links if link and not (ROOT / link).is_file()] == []


def test_on_an_index_they_are_addresses(hatch_build: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = project["urls"]["Documentation"]
    shown = LINK.findall(hatch_build.absolute(README, site))
    assert [link for link in shown if not link.startswith((site, "#"))] == []
    assert f"{site}assets/benchmarks.svg" in shown and site in shown
    assert f"site_url: {site}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("[a](docs/tls.md)", "[a](https://x/tls/)"),
        ("[a](docs/api/creche.md#run)", "[a](https://x/api/creche/#run)"),
        ("[a](docs/how-to/index.md)", "[a](https://x/how-to/)"),
        ("![a](docs/assets/a.svg)", "![a](https://x/assets/a.svg)"),
        ("[a](https://y/z) [b](#c)", "[a](https://y/z) [b](#c)"),
    ],
)
def test_a_link_becomes_an_address(hatch_build: ModuleType, link: str, address: str) -> None:
    assert hatch_build.absolute(link, "https://x/") == address


def test_a_link_that_an_index_cannot_follow_is_an_error(hatch_build: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"links to CONTRIBUTING\.md"):
        hatch_build.absolute("[a](CONTRIBUTING.md)", "https://x/")

"""The reference is complete: a page for each public module, and a check of the built site that can fail."""

from __future__ import annotations

import importlib.util
import re
import zlib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
LISTING = (ROOT / "tests" / "api" / "public.txt").read_text(encoding="utf-8")


def inventory_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("inventory", ROOT / "scripts" / "inventory.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_module_has_a_page_and_the_page_is_in_the_navigation() -> None:
    pages = {
        match[1]: path.name
        for path in (ROOT / "docs" / "api").glob("*.md")
        if (match := re.search(r"^::: (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    }
    elsewhere = inventory_script().ELSEWHERE
    blocks = LISTING.split("\n\n")
    modules = {name for block in blocks for name, *rest in [block.splitlines()] if rest}
    assert pages.keys() == modules - elsewhere
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page for page in pages.values() if f"api/{page}\n" not in navigation] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = ROOT / "docs"
    pages = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")]
    assert [
        page for page in pages if not re.search(rf"[: -] {page}$", navigation, re.MULTILINE)
    ] == []


def test_the_check_of_the_inventory_finds_a_name_that_is_missing() -> None:
    script = inventory_script()
    names = list(script.public_names(LISTING))
    for known in (
        "creche.run",
        "creche.testing.explore",
        "creche.testing.replay",
        "creche.abc.TaskGroup.start",
    ):
        assert known in names
    entries = "".join(
        f"{name} py:function 1 page/#$ -\n" for name in names if name != "creche.testing.run"
    )
    body = zlib.compress(entries.encode())
    inventory = b"# Sphinx inventory version 2\n# Project: x\n# Version: 0\n# zlib\n" + body
    assert script.missing(LISTING, inventory) == ["creche.testing.run"]

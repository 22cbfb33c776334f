"""The state of the house: sizes, the style of imports, maps that are true, tests beside what they test.

Each rule is one that `CONTRIBUTING.md` or `docs/architecture.md` states; here it is held.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "creche"
FILES = sorted(SOURCE.rglob("*.py"))
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

MOST_LINES = 450
MOST_LINES_OF_A_FUNCTION = 50
"""Of code: what a public function promises in its docstring is as long as it has to be."""


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


# Sizes


def test_no_file_is_too_long() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {file: lines for file, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_function_is_too_long() -> None:
    long = {
        f"{name(path)}: {function.name}": lines
        for path in FILES
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := lines_of_code(function)) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def lines_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body
    if len(body) > 1 and ast.get_docstring(function) is not None:
        body = body[1:]
    assert function.end_lineno is not None
    return function.end_lineno - body[0].lineno + 1


# Imports


def test_the_package_imports_itself_by_relative_imports() -> None:
    absolute = [
        f"{name(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.ImportFrom) and not node.level and of_creche(node.module))
        or (isinstance(node, ast.Import) and any(of_creche(each.name) for each in node.names))
    ]
    assert absolute == []


def of_creche(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "creche"


# Maps: a docstring of a package may list its modules

ENTRY = re.compile(r"(?:^    |\S {2,})(\w+(?:\.py|/))(?= {2,}|$)")


def maps() -> Iterator[tuple[str, set[str], set[str]]]:
    """Yield each package with a map: its name, what the map lists, what is there."""
    for path in FILES:
        listed: set[str] = set()
        for line in (ast.get_docstring(tree(path), clean=False) or "").splitlines():
            listed |= set(ENTRY.findall(line))
        if path.name == "__init__.py" and listed:
            there = {each.name for each in path.parent.glob("*.py")}
            there |= {f"{each.parent.name}/" for each in path.parent.glob("*/__init__.py")}
            yield name(path.parent), listed, there - {"__init__.py", "__main__.py"}


MAPS = {package: (listed, there) for package, listed, there in maps()}


@pytest.mark.parametrize("package", MAPS)
def test_the_map_of_a_package_lists_its_modules(package: str) -> None:
    listed, there = MAPS[package]
    assert listed == there


FILE = re.compile(r"`((?:\w+/)*\w+\.py)`")


def test_files_that_the_code_and_the_pages_name_are_there() -> None:
    there = [path.as_posix() for path in ROOT.glob("[!.]*/**/*.py")]
    there += [path.as_posix() for path in ROOT.glob("*.py")]
    pages = [ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md"]
    missing = {
        f"{path.relative_to(ROOT)}: {named}"
        for path in [*FILES, *pages]
        for named in FILE.findall(path.read_text(encoding="utf-8"))
        if not any(each.endswith(f"/{named}") for each in there) and named not in EXAMPLES
    }
    assert missing == set()


EXAMPLES = ("app.py", "script.py")


# The architecture page


def rows(heading: str) -> list[tuple[str, str]]:
    """Return the first and the last cell of each row of the tables below a heading."""
    section = ARCHITECTURE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    return [(cells[0], cells[-1]) for cells in table if cells[0][:1] == "`"]


def backticked(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


def test_the_verbs_of_the_contract_are_those_of_the_architecture_page() -> None:
    written = {
        backticked(first)[0]: sorted(backticked(last))
        for first, last in rows("The contract")
        if backticked(first)
    }
    protocols = {
        node.name: sorted(
            each.name
            for each in node.body
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            and not each.name.startswith("_")
            and not any(ast.unparse(by) == "property" for by in each.decorator_list)
        )
        for path in (SOURCE / "_kernel").glob("*.py")
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b) == "Protocol" for b in node.bases)
    }
    assert written == {protocol: verbs for protocol, verbs in protocols.items() if verbs}


def test_the_floors_of_the_architecture_page_are_those_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (floors,) = (each for each in contracts if each.get("containers") == ["creche"])
    checked = [sorted(re.findall(r"\w+", layer)) for layer in floors["layers"]]
    written = [sorted(backticked(first)) for first, _ in rows("The floors")]
    assert written == checked


# Tests lie beside what they test

WHOLE = {
    "api": "the public surface",
    "clients": "other people's packages on Creche",
    "examples": "the programs of examples/",
    "explored": "explored schedules, of the whole package",
    "house": "this",
    "oracle": "the same programs on Trio",
    "site": "the built documentation",
    "stress": "many of everything",
    "typing": "what type checkers see",
}
"""Folders of tests that are about no single package."""


def test_the_folders_of_the_tests_are_the_packages_of_the_package() -> None:
    packages = {path.parent.name.lstrip("_") for path in SOURCE.glob("*/__init__.py")}
    packages |= {path.stem.lstrip("_") for path in SOURCE.glob("*.py")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    assert folders - packages - set(WHOLE) == set()


def test_a_test_file_at_the_root_is_about_a_module_at_the_root() -> None:
    modules = {path.stem.lstrip("_") for path in SOURCE.glob("*.py")} | {"harness"}
    files = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    assert files <= modules

"""The public API, held to `tests/api/public.txt`: a change of it is a line in a diff.

After a change on purpose, write the listing anew (`_listing.py` says how).
"""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from importlib import import_module

import pytest
from _listing import ALL_MODULES, LISTING, instance_names, listing, public_names, published, tree

import creche


def test_the_public_api_is_as_listed() -> None:
    assert listing().splitlines() == LISTING.read_text(encoding="utf-8").splitlines()


def test_what_users_are_given_shows_no_more_than_its_public_class() -> None:
    """`connect_tcp` returns a class of its own: to its user it is a `SocketStream`."""
    more: dict[str, list[str]] = {}
    for module in ALL_MODULES:
        if module.rpartition(".")[2] in RUN_WHEN_IMPORTED:
            continue
        for name, cls in vars(import_module(module)).items():
            if not inspect.isclass(cls) or cls.__module__ != module or cls in published():
                continue
            if any(cls in each.__mro__ for each in published()):
                continue  # a base of public classes: what it shows is listed with them
            public = [base for base in cls.__mro__ if base in published()]
            shown = {member for base in public for member in dir(base)}
            if public and (extra := {*instance_names(cls)} - shown):
                more[f"{module}.{name}"] = sorted(extra)
    assert more == {}


RUN_WHEN_IMPORTED = ("__main__", "as_anyio", "interpreter_main", "worker_main")


@pytest.mark.parametrize(
    ("module", "name", "public"),
    [
        ("creche._files.listing", "Listing", {"aclose"}),
        ("creche._files.listing", "PathWalk", {"aclose"}),
        ("creche._itertools.tee", "_TeeIterator", {"aclose"}),
        ("creche._signals", "SignalReceiver", set()),
    ],
)
def test_iterators_show_how_to_close_them_and_no_more(
    module: str, name: str, public: set[str]
) -> None:
    assert {*instance_names(getattr(import_module(module), name))} == public


def test_what_type_checkers_see_is_what_python_finds() -> None:
    source = tree("creche")
    checked = {
        (f"creche{'.' + node.module if node.module else ''}", alias.name)
        for block in source.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found = {(f"creche.{home}", name) for name, home in vars(creche)["_HOME"].items()}
    found |= {("creche", name) for name in vars(creche)["_SUBMODULES"]}
    assert checked == found


def test_every_public_name_can_be_imported_and_is_listed_by_dir() -> None:
    for name in public_names("creche"):
        assert getattr(creche, name) is getattr(creche, name)
        assert name in dir(creche)


def test_a_star_import_gives_the_public_names_and_no_others() -> None:
    program = "from creche import *; print(*[name for name in dir() if not name.startswith('__')])"
    assert set(_python(program).split()) == public_names("creche")


def test_help_greets_a_user() -> None:
    text = _python("import pydoc, creche; print(pydoc.plain(pydoc.render_doc(creche)))")
    opening = text.partition("PACKAGE CONTENTS")[0]
    assert "creche.run(main)" in opening
    assert "create_task_group" in opening
    assert "TYPE_CHECKING" not in text.partition("CLASSES")[0]


def test_an_unknown_name_is_an_attribute_error() -> None:
    missing = getattr(creche, "no_such_name", None)
    assert missing is None


def test_importing_creche_loads_nothing_else() -> None:
    loaded = "import sys; before = set(sys.modules); import creche; print(*{*sys.modules} - before)"
    assert set(_python(loaded).split()) <= {"creche", "typing", *_loaded_by("typing")}


def test_running_a_task_group_loads_no_sockets_room() -> None:
    program = (
        "import sys, creche\n"
        "async def main():\n"
        "    async with creche.create_task_group() as group:\n"
        "        group.start_soon(creche.sleep, 0)\n"
        "creche.run(main)\n"
        "print(*[name for name in sys.modules if name.startswith('creche._net')])"
    )
    assert _python(program).split() == []


def _loaded_by(module: str) -> set[str]:
    return set(_python(f"import sys, {module}; print(*sys.modules)").split())


def _python(program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout

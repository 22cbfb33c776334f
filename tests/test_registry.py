"""The registry of kernels: one record for each, and nobody beside it lists them."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import creche
from creche import _registry, testing
from creche._registry import KernelRecord, Option, Simulated, Variant

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "creche"
RECORDS = pytest.mark.parametrize("record", _registry.KERNELS.values(), ids=_registry.names())

NEW = KernelRecord(
    name="new",
    package="somewhere.new",
    library="newloop",
    entry="newloop.run()",
    variants=(Variant("new", "New", "new", packages=("newloop",), extra="new"),),
)


async def nothing() -> None:
    pass


# What the records say


@RECORDS
def test_the_package_of_a_kernel_offers_what_its_record_says(record: KernelRecord) -> None:
    if not record.plain.installed():
        pytest.skip(f"{record.name} is not installed")
    here, runner = (import_module(f"{record.package}.{name}") for name in ("here", "runner"))
    assert callable(runner.run)
    assert callable(runner.open_runner)
    assert here.task_here() is None
    assert here.kernel_here() is None
    has_simulation = find_spec(f"{record.package}.simulation") is not None
    assert has_simulation == (record.simulated is not None)


@RECORDS
def test_the_name_of_the_kernel_is_the_name_in_the_registry(record: KernelRecord) -> None:
    async def name() -> str:
        return creche.lowlevel.current_token().backend_name

    assert creche.run(name, backend=record.name) == record.name


def test_each_extra_is_declared_and_installs_what_the_loop_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    loops = [loop for loop in _registry.variants() if loop.extra is not None]
    for loop in loops:
        assert {line.partition(">")[0] for line in extras[loop.extra]} == {*loop.packages}
    (everything,) = extras["all"]
    assert {str(loop.extra) for loop in loops} <= {*everything[len("creche[") : -1].split(",")}


def test_a_loop_without_packages_needs_no_extra() -> None:
    for loop in _registry.variants():
        assert (loop.extra is None) == (not loop.packages)


def test_asyncio_comes_first_and_is_always_installed() -> None:
    assert _registry.names()[0] == _registry.default().name == "asyncio"
    assert _registry.installed()[0] == "asyncio"


# Who reads them


def test_the_registry_imports_no_event_loop() -> None:
    program = (
        "import sys, creche._registry\n"
        "print(*{'asyncio', 'trio', 'uvloop', 'creche._kernel'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "", done.stderr


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Find the string literals of a file that are code, without its docstrings."""
    tree = ast.parse(path.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


def test_no_other_module_names_a_kernel_or_a_loop() -> None:
    loops = {name for loop in _registry.variants() for name in (loop.name, *loop.packages)}
    names = loops - {_registry.default().name}  # which is the default of public functions
    own = [SOURCE / "_kernel" / record.name for record in _registry.KERNELS.values()]
    assert not [
        f"{path.relative_to(SOURCE)}:{line} names {text!r}"
        for path in SOURCE.rglob("*.py")
        if path.name != "_registry.py" and not any(map(path.is_relative_to, own))
        for line, text in literals(path)
        if text in names
    ]


# One more


def test_a_kernel_is_registered_for_a_block() -> None:
    with _registry.registered(NEW):
        assert creche.get_all_backends() == ("asyncio", "trio", "new")
        assert _registry.find("new") is NEW
        assert "newloop" in _registry.LIBRARIES
    assert creche.get_all_backends() == ("asyncio", "trio")
    assert "newloop" not in _registry.LIBRARIES


def test_a_registered_kernel_that_is_not_installed_says_how_to_install_it() -> None:
    with _registry.registered(NEW):
        assert "new" not in creche.get_available_backends()
        with pytest.raises(LookupError, match=r"new is not installed. .*creche\[new\]"):
            creche.run(nothing, backend="new")
        with pytest.raises(LookupError, match="new is not installed"):
            testing.run(nothing, backend="new")


def test_an_unknown_kernel_is_told_with_those_that_are_known() -> None:
    with _registry.registered(NEW):
        with pytest.raises(
            LookupError, match=r"curio\. Known backends: asyncio, uvloop, trio, new"
        ):
            creche.run(nothing, backend="curio")


def test_a_kernel_without_simulated_runs_says_so() -> None:
    with _registry.registered(NEW._replace(variants=(Variant("new", "New", "new"),))):
        with pytest.raises(ValueError, match="new cannot be simulated: its kernel has no loop"):
            testing.run(nothing, backend="new")
        assert "new" not in _registry.simulating()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (NEW._replace(variants=()), "the first variant of kernel 'new' must have its name"),
        (NEW._replace(name="newer"), "the first variant of kernel 'newer' must have its name"),
        (
            NEW._replace(variants=(Variant("new", "New", "new", options={"fast": True}),)),
            "the first variant of kernel 'new' must have its name and no options",
        ),
        (_registry.TRIO, "'trio' is the library of another kernel"),
        (
            NEW._replace(variants=(*NEW.variants, Variant("uvloop", "uvloop", "new"))),
            "a backend 'uvloop' already exists",
        ),
        (
            NEW._replace(variants=(*NEW.variants, Variant("newest", "Newest", "trio"))),
            "variant 'newest' names kernel 'trio', but it is in the record of 'new'",
        ),
        (
            NEW._replace(simulated=Simulated("t", steppers=frozenset())),
            "tokens that begin with 't' belong to kernel 'trio'",
        ),
    ],
)
def test_a_wrong_record_is_refused_and_not_registered(record: KernelRecord, words: str) -> None:
    before = dict(_registry.KERNELS)
    with pytest.raises(ValueError, match=words):
        with _registry.registered(record):
            pass
    assert before == _registry.KERNELS


def test_the_flags_of_a_kernel_are_flags_of_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from creche._cli import main

    option = Option("fast", "--fast", "as fast as can be")
    with _registry.registered(NEW._replace(options=(option,))):
        with pytest.raises(SystemExit):
            main(["run", "--help"])
        assert "as fast as can be" in capsys.readouterr().out
        assert main(["run", "--fast", "program:main"]) == 2
        assert "--fast only goes with the new backend" in capsys.readouterr().err

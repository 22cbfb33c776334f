"""The public API, held to `tests/api/public.txt`: a change of it is a line in a diff.

After a change on purpose, write the listing anew, from the root of the repository:

    PYTHONPATH=src python tests/api/test_public_api.py
"""

from __future__ import annotations

import ast
import enum
import inspect
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import creche
from creche._files.base import PathBase

LISTING = Path(__file__).with_name("public.txt")
MODULES = (
    "creche",
    "creche.abc",
    "creche.debug",
    "creche.functools",
    "creche.itertools",
    "creche.lowlevel",
    "creche.streams.memory",
    "creche.streams.stapled",
    "creche.testing",
    "creche.testing.contracts",
)


# Making the listing


def listing() -> str:
    """List the public names of every public module, with their signatures."""
    return (
        "\n".join(line for module in MODULES for line in ("", module, *_module(module)))[1:] + "\n"
    )


def _module(name: str) -> Iterator[str]:
    module = import_module(name)
    for public in sorted(_public_names(name)):
        value = getattr(module, public)
        if not isinstance(value, types.ModuleType):
            yield from _entry(public, value)


def _public_names(name: str) -> set[str]:
    """Return what a module publishes: `from ... import X as X`, and what it defines itself."""
    names: set[str] = set()
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names if alias.asname == alias.name}
    for node in _tree(name).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def _tree(name: str) -> ast.Module:
    path = import_module(name).__file__
    assert path is not None
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def _entry(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(name, value)
    elif inspect.isfunction(value):
        yield f"    {_function(name, value)}"
    elif get_args(value):
        yield f"    {name} = {_alias(value)}"
    else:
        yield f"    {name}: {type(value).__name__}"


def _class(name: str, cls: type) -> Iterator[str]:
    bases = [base.__name__ for base in cls.__bases__ if base is not object]
    made_by: Any = cls.__new__
    if not isinstance(made_by, types.FunctionType):
        made_by = inspect.getattr_static(cls, "__init__")
    init = f"  init{_signature(made_by)}" if isinstance(made_by, types.FunctionType) else ""
    yield f"    class {name}({', '.join(bases)}){init}"
    members = {member: value for part in _parts(cls) for member, value in vars(part).items()}
    for member, value in sorted(members.items()):
        if _shown(member, cls):
            yield from _member(member, value)


def _parts(cls: type) -> Iterator[type]:
    """The class, and before it those of its bases that nobody publishes: the last one counts.

    Not `PathBase`, whose methods differ by the version of Python and are compared with pathlib's, and
    nothing of the kernel's.
    """
    for base in reversed(cls.__mro__):
        room = base.__module__
        ours = room.startswith("creche.") and not room.startswith("creche._kernel.")
        if base is cls or (ours and base is not PathBase and base not in _published()):
            yield base


@cache
def _published() -> set[Any]:
    modules = [import_module(name) for name in MODULES]
    return {
        value
        for module in modules
        for name in _public_names(module.__name__)
        if inspect.isclass(value := getattr(module, name))
    }


PROTOCOL = re.compile(r"__(a?enter|a?exit|a?iter|anext|await|call|(async)?contextmanager)__")


def _shown(member: str, cls: type) -> bool:
    if not member.startswith("_"):
        return True
    return PROTOCOL.fullmatch(member) is not None and not issubclass(cls, Exception)


def _member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        assert value.fget is not None
        settable = " (settable)" if value.fset is not None else ""
        returns = _text(inspect.get_annotations(value.fget).get("return"))
        yield f"        property {name}{settable} -> {returns}"
    elif isinstance(value, classmethod | staticmethod):
        yield f"        {type(value).__name__} {_function(name, value.__func__)}"
    elif inspect.isfunction(value):
        yield f"        {_function(name, value)}"
    else:
        yield f"        {name} = {'class' if inspect.isclass(value) else 'attribute'}"


def _function(name: str, function: Any) -> str:
    kind = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{kind} {name}{_signature(function)}"


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    shown = [
        parameter.replace(
            annotation=_Shown(_text(parameter.annotation)), default=_default(parameter)
        )
        if parameter.annotation is not parameter.empty
        else parameter
        for parameter in signature.parameters.values()
    ]
    text = str(signature.replace(parameters=shown, return_annotation=signature.empty))
    if signature.return_annotation is not signature.empty:
        text += f" -> {_text(signature.return_annotation)}"
    return re.sub(r"^\((self|_?cls)(, )?", "(", text)


class _Shown:
    """Something whose repr is a given text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _default(parameter: inspect.Parameter) -> Any:
    default = parameter.default
    if isinstance(default, enum.Enum):
        return _Shown(default.name)
    if inspect.isfunction(default):
        return _Shown(default.__name__)
    return _Shown("...") if type(default) is object else default


def _text(annotation: Any) -> str:
    """Write an annotation as it is in the source, without the names of modules."""
    text = getattr(annotation, "__forward_arg__", annotation)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z]\w)", "", str(text))


def _alias(value: Any) -> str:
    """Write a type alias the same way on every version of Python."""
    parts = [_text(part) if get_args(part) else part.__name__ for part in get_args(value)]
    if get_origin(value) in (types.UnionType, Union):
        return " | ".join(parts)
    return f"{get_origin(value).__name__}[{', '.join(parts)}]"


# Holding the code to it


def test_the_public_api_is_as_listed() -> None:
    assert listing().splitlines() == LISTING.read_text(encoding="utf-8").splitlines()


def test_what_type_checkers_see_is_what_python_finds() -> None:
    tree = _tree("creche")
    checked = {
        (f"creche{'.' + node.module if node.module else ''}", alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found = {(f"creche.{home}", name) for name, home in vars(creche)["_HOME"].items()}
    found |= {("creche", name) for name in vars(creche)["_SUBMODULES"]}
    assert checked == found


def test_every_public_name_can_be_imported_and_is_listed_by_dir() -> None:
    for name in _public_names("creche"):
        assert getattr(creche, name) is getattr(creche, name)
        assert name in dir(creche)


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


if __name__ == "__main__":
    LISTING.write_text(listing(), encoding="utf-8")
    print(f"wrote {LISTING}")

"""How the listing of the public API is made: every public module, every public class, all of it.

A public class is shown with what it inherits from private ones, and with what its methods give to
`self`: what `dir()` shows of an object is in the listing. Nothing is left out.

Write the listing anew, from the root of the repository:

    PYTHONPATH=src python tests/api/_listing.py
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import types
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import creche

LISTING = Path(__file__).with_name("public.txt")
SOURCE = Path(creche.__file__).parent


def _modules(private: bool) -> tuple[str, ...]:
    """Return the names of the modules of Creche: the public ones, or all that can be imported."""
    found: list[str] = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if parts[:1] == ("_examples",):
            continue  # the programs that an installed Creche shows
        if private or not any(part.startswith("_") for part in parts):
            found.append(".".join(("creche", *parts)))
    return tuple(found)


MODULES = _modules(private=False)
ALL_MODULES = _modules(private=True)


def listing() -> str:
    """List the public names of every public module, with their signatures."""
    lines = [line for module in MODULES for line in ("", module, *_module(module))]
    return "\n".join(lines)[1:] + "\n"


def _module(name: str) -> Iterator[str]:
    names = public_names(name)
    if not names:  # perhaps one that is imported for what it does: creche.as_anyio
        return
    module = import_module(name)
    for public in sorted(names):
        value = getattr(module, public)
        if not isinstance(value, types.ModuleType):
            yield from _entry(public, value)


def public_names(name: str) -> set[str]:
    """Return what a module publishes: `from ... import X as X`, and what it defines itself."""
    names: set[str] = set()
    body = tree(name).body
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names if alias.asname == alias.name}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and not _is_type_variable(node.value):
            targets = (each for target in node.targets for each in ast.walk(target))
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def _is_type_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in (
        "TypeVar",
        "TypeVarTuple",
        "ParamSpec",
    )


def tree(name: str) -> ast.Module:
    """Return the source of a module, which is not imported for it."""
    return ast.parse(_file(name).read_text(encoding="utf-8"))


def _file(name: str) -> Path:
    path = SOURCE.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _entry(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(name, value)
    elif inspect.isfunction(value) or inspect.ismethod(value):
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
    members = {member: value for part in _parts(cls) for member, value in _members(part)}
    for part in _parts(cls):
        members |= _by_version(part)
    for member, value in sorted(members.items()):
        if _shown(member, cls):
            yield from _member(member, value)


def _parts(cls: type) -> Iterator[type]:
    """The class, and before it those of its bases that nobody publishes: the last one counts."""
    for base in reversed(cls.__mro__):
        ours = base.__module__.startswith("creche.")
        if base is cls or (ours and base not in published()):
            yield base


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """What the class has, and before it what its methods give to `self`: the last one counts."""
    for node in ast.walk(_class_tree(cls)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr, None
    yield from vars(cls).items()


def _by_version(cls: type) -> dict[str, Any]:
    """Return the members that only some versions of Python have, with the condition for each."""
    return {
        member.name: _Shown(ast.unparse(block.test).removeprefix("sys.version_info "))
        for block in getattr(_class_tree(cls), "body", ())
        if isinstance(block, ast.If) and "sys.version_info" in ast.unparse(block.test)
        for member in block.body
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def instance_names(cls: type) -> Iterator[str]:
    """Yield the names that an object of the class shows, those of private bases among them."""
    for base in cls.__mro__:
        if base.__module__.startswith("creche."):
            yield from (name for name, _ in _members(base) if not name.startswith("_"))


@cache
def _class_tree(cls: type) -> ast.AST:
    if not cls.__module__.startswith("creche."):
        return ast.Module([], [])
    for node in ast.walk(tree(cls.__module__)):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            return node
    return ast.Module([], [])


@cache
def published() -> set[Any]:
    """Return every class that a public module publishes."""
    modules = [import_module(name) for name in MODULES if public_names(name)]
    return {
        value
        for module in modules
        for name in public_names(module.__name__)
        if inspect.isclass(value := getattr(module, name))
    }


PROTOCOL = re.compile(r"__(a?enter|a?exit|a?iter|anext|await|call|(async)?contextmanager)__")


def _shown(member: str, cls: type) -> bool:
    if not member.startswith("_"):
        return True
    return PROTOCOL.fullmatch(member) is not None and not issubclass(cls, Exception)


def _member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, _Shown):
        yield f"        {name}, where Python is {value!r}"
    elif isinstance(value, property):
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


if __name__ == "__main__":
    LISTING.write_text(listing(), encoding="utf-8")
    print(f"wrote {LISTING}")

"""Finds what imported the real AnyIO, when it is too late to stand in for it.

Owns the search and its words. Knows only `sys.modules`: a module that holds AnyIO's, or a class or
function of it, imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType

from .modules import ALIAS, PACKAGE, PYTEST_PLUGIN, VARIABLE

SHOWN = 5


def real_modules() -> list[str]:
    """Return the names under which modules that are not Creche's are in `sys.modules` as AnyIO's."""
    return [
        name
        for name, module in loaded().items()
        if name.partition(".")[0] == ALIAS and comes_from_anyio(module)
    ]


def loaded() -> dict[str, object]:
    """Return what `sys.modules` holds, which may be other things than modules."""
    return dict(sys.modules)


def belongs_to(name: object, package: str) -> bool:
    return isinstance(name, str) and (name == package or name.startswith(f"{package}."))


def complaint() -> str:
    """Tell that AnyIO was imported, by whom, and what to do."""
    found = list(importers())
    advice = f"Import {PACKAGE}.as_anyio before them, or run the program with {VARIABLE}=1"
    if f"{ALIAS}.{PYTEST_PLUGIN}" in sys.modules and "_pytest" in sys.modules:
        found.insert(0, f"pytest, which has loaded the plugin {ALIAS}.{PYTEST_PLUGIN}")
        advice = f"Run '{VARIABLE}=1 pytest', or 'pytest -p {PACKAGE}.as_anyio' as the first -p"
    shown = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" * (len(found) > SHOWN))
    return (
        f"anyio is already imported, by {shown or 'code that is gone'}: Creche can no "
        f"longer stand in for it. {advice}"
    )


def importers() -> Iterator[str]:
    """Give the modules that hold something of AnyIO, with their files, in the order of import."""
    for name, module in loaded().items():
        if name.partition(".")[0] in (ALIAS, PACKAGE) or not isinstance(module, ModuleType):
            continue
        if any(comes_from_anyio(value) for value in list(vars(module).values())):
            file = vars(module).get("__file__")
            yield f"{name} ({file})" if file else name


def comes_from_anyio(value: object) -> bool:
    if isinstance(value, ModuleType):
        return belongs_to(vars(value).get("__name__"), ALIAS)
    if isinstance(value, type | FunctionType):
        return belongs_to(value.__module__, ALIAS)
    return False

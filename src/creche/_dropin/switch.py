"""Turns the drop-in on: from then on `anyio` and its modules are Creche's, the same objects.

Owns the moment. Everything is looked at before anything is changed, and nothing turns it off again:

    off --turn_on()--> on        a second time does nothing
     `--AnyIO is imported already--> ImportError, still off
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any
from warnings import warn

from .. import _labels
from . import private
from .finder import AliasFinder, put_pytest_plugin
from .importers import complaint, real_modules
from .lazy import completed, waiting
from .modules import (
    ALIAS,
    DEPRECATED,
    DO_NOT_REWRITE,
    LENT,
    MODULES,
    OFF,
    PACKAGE,
    REFUSED,
    VARIABLE,
)
from .refusals import refuse


def turn_on() -> None:
    """Let `import anyio` mean Creche, in this process and, by the variable, in its children.

    :raises ImportError: AnyIO is imported already
    """
    if is_on():
        return
    if real_modules():
        raise ImportError(complaint(), name=ALIAS)
    package = sys.modules[PACKAGE]
    for name in {*DEPRECATED, *LENT, *REFUSED}:
        completed[f"{PACKAGE}.{name}"] = partial(complete, name)
    modules = {ALIAS: package}
    for name in MODULES:
        alias = f"{ALIAS}.{name}"
        modules[alias] = waiting(f"{PACKAGE}.{name}", alias)
    modules.update(private.make_modules())
    sys.modules.update(modules)
    private.attach()
    sys.meta_path.insert(0, AliasFinder(modules))
    if "_pytest" in sys.modules:
        put_pytest_plugin(modules)
    spare_the_package(package)
    os.environ.setdefault(VARIABLE, "1")
    _labels.library = ALIAS


def is_on() -> bool:
    """Tell whether `import anyio` means Creche here."""
    return sys.modules.get(ALIAS) is sys.modules[PACKAGE]


def is_asked_for(value: str | None) -> bool:
    """Tell whether a value of the variable asks for the drop-in."""
    return value is not None and value.strip().lower() not in OFF


def spare_the_package(package: ModuleType) -> None:
    """Tell pytest not to warn that it cannot rewrite the assertions of what is imported already."""
    package.__doc__ = f"{package.__doc__}\n{DO_NOT_REWRITE}\n"


def complete(name: str, module: ModuleType) -> None:
    """Add to a module of Creche the names that only AnyIO has there."""
    moved, lent, refused = (table.get(name, {}) for table in (DEPRECATED, LENT, REFUSED))

    def find(attribute: str) -> Any:
        if attribute in moved:
            return follow(name, attribute, moved[attribute])
        if attribute in lent:
            return getattr(import_module(f"{PACKAGE}.{lent[attribute]}"), attribute)
        if attribute in refused:
            return refuse(f"{ALIAS}.{name}", attribute, refused[attribute])
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")

    vars(module).setdefault("__getattr__", find)


def follow(module: str, name: str, home: str) -> Any:
    """Return what was moved, and warn as AnyIO does."""
    warn(
        f"The {ALIAS}.{module}.{name} alias is deprecated, use {ALIAS}.{home} instead.",
        DeprecationWarning,
        stacklevel=3,
    )
    module_name, _, name = f"{PACKAGE}.{home}".rpartition(".")
    return getattr(import_module(module_name), name)

"""Answers the import system about `anyio` modules that are not in `sys.modules`.

Owns the finder on `sys.meta_path`. It is asked when a module is imported for the first time, or
when a module was taken out of `sys.modules`. Knows the modules by their names only.

    anyio.X, X was made by the drop-in     the same object again
    anyio.X, Creche has X                  Creche's module, under both names
    anyio.pytest_plugin                    the plugin with AnyIO's names, once pytest is imported
    anyio._X, anyio.X._Y                   refused, in words
    anyio.X                                None, as everybody knows it
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .lazy import Waiting, waiting
from .modules import ALIAS, DO_NOT_REWRITE, PACKAGE, PYTEST_PLUGIN, PYTEST_PLUGIN_HOME
from .private import ADVICE, is_private

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder

PREFIX = f"{ALIAS}."
PLUGIN = f"{PREFIX}{PYTEST_PLUGIN}"


class Alias:
    """Loads a module that exists, by returning it."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = vars(module).get("__spec__")

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the other name's into it. `reload` reads it.
        vars(module)["__spec__"] = self.spec


class AliasFinder:
    """Finds what is below `anyio`. Goes first, where nobody went ahead of it.

    It keeps the protocols by their methods: to import their base classes costs more than all the rest.
    """

    def __init__(self, modules: dict[str, ModuleType]) -> None:
        self.modules = modules

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(ALIAS):
            if fullname == "_pytest":
                put_pytest_plugin(self.modules)
            return None
        if fullname != ALIAS and not fullname.startswith(PREFIX):
            return None
        module = self.modules.get(fullname) or self._of_creche(fullname)
        if module is not None:
            return spec_of(fullname, module)
        if is_private(fullname):
            raise ModuleNotFoundError(f"No module named {fullname!r}: {ADVICE}", name=fullname)
        return None

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterable[Distribution]:
        from .metadata import distributions

        return distributions(context)

    def _of_creche(self, fullname: str) -> ModuleType | None:
        if fullname == PLUGIN:
            import_module("pytest")
            module = put_pytest_plugin(self.modules)
            # Found in there, it would be loaded again: the import system puts it there by itself.
            sys.modules.pop(PLUGIN, None)
            return module
        name = PACKAGE + fullname.removeprefix(ALIAS)
        if name == f"{PACKAGE}.__main__":  # to return None would leave it to the next finder
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        parent = sys.modules.get(name.rpartition(".")[0])
        path: Any = getattr(parent, "__path__", None)
        if name not in sys.modules and (path is None or PathFinder.find_spec(name, path) is None):
            return None
        return import_module(name)


def spec_of(fullname: str, module: ModuleType) -> ModuleSpec:
    path: list[str] | None = vars(module).get("__path__")
    loader: Any = Alias(module)
    spec = ModuleSpec(
        fullname, loader, origin=vars(module).get("__file__"), is_package=path is not None
    )
    if path is not None:
        spec.submodule_search_locations = path
    return spec


def put_pytest_plugin(modules: dict[str, ModuleType]) -> ModuleType | None:
    """Put AnyIO's plugin into `sys.modules`, not loaded yet, ahead of pytest's own finder.

    It imports pytest, so it is not there before pytest is, not even waiting.
    """
    if PLUGIN in modules:
        return modules[PLUGIN]
    name = f"{PACKAGE}.{PYTEST_PLUGIN_HOME}"
    try:
        import_module(name.rpartition(".")[0])
        module = waiting(name, PLUGIN)
    except ModuleNotFoundError:
        return None
    if type(module) is Waiting:  # pytest reads this, rather than warn that the module is there
        vars(module)["__doc__"] = DO_NOT_REWRITE
    modules[PLUGIN] = module
    sys.modules.setdefault(PLUGIN, module)
    return module

"""Modules that are in `sys.modules` from the start, and are loaded when somebody wants them.

Owns `Waiting`. Loading all of Creche in every Python process that inherits the variable would cost
each of them the time to import asyncio, ssl and more; leaving the modules out and finding them later
is not safe, because pytest's finder goes first and loads a second copy.

    waiting --a public attribute, or __spec__, is asked for--> loading --> loaded, an ordinary module
        ^                                                         |
        `------------------------------ the module raises --------'

Rules
-----
* An `import` statement asks for `__spec__`, so importing the module loads it. (If that
  fails, Python 3.11 passes over the error there, and it comes when the first name is asked for.)
* The other names with underscores are answered without loading: tools that search all modules
  (reloaders, `inspect`, `unittest`) ask for them.
* A module is loaded once, under the locks that the import system has for both of its names, so that
  threads that import it by either name and those that read an attribute here wait for each other.
* It is a `Waiting` until it is whole. So a thread that asks for a name meanwhile waits here, and does
  not find half a module. The thread that loads it, which holds the locks, does not wait.
* Any method here may still be running in one thread when another makes the module an ordinary one: so no
  method counts on what class the module has (`super()` would).
"""

from __future__ import annotations

import sys

# The import system's own lock of a module; nothing public gives it.
from _frozen_importlib import (  # type: ignore[attr-defined]  # typeshed leaves it out
    _DeadlockError,  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
    _ModuleLockManager,  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
)
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

LOADS = ("__spec__", "__path__")


class Waiting(ModuleType):
    """A module that is not loaded yet. Loading makes it an ordinary module."""

    def __getattribute__(self, name: str) -> Any:
        if name[:2] != "__" or name in LOADS:
            load(self)
        return ModuleType.__getattribute__(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name[:2] != "__":
            load(self)
        ModuleType.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        load(self)
        return list(ModuleType.__dir__(self))


known: dict[str, tuple[Any, str]] = {}
"""By the names of modules that wait or waited: how to load each, and the other name that it has."""

loading: set[str] = set()
"""The names of modules that are being loaded: each by the thread that holds its locks."""

completed: dict[str, Callable[[ModuleType], None]] = {}
"""What is done to modules that were loaded, by their names."""


def waiting(name: str, alias: str) -> ModuleType:
    """Return the module of that name, which is in `sys.modules` from now on, loaded or waiting.

    Putting it there under its other name, `alias`, is left to the caller.
    """
    module = sys.modules.get(name)
    if module is None:
        parent = sys.modules[name.rpartition(".")[0]]
        # The folder first, for pytest's finder would have its own ideas; the others for archives.
        spec = PathFinder.find_spec(name, vars(parent)["__path__"]) or find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}: reinstall creche", name=name)
        module = Waiting(name)
        known[name] = spec, alias
        vars(module).update(vars(module_from_spec(spec)))
        sys.modules[name] = module
    elif name in completed and type(module) is not Waiting:
        completed[name](module)
    return module


def load(module: ModuleType) -> None:
    """Load a module that waits. Does nothing to one that is loaded, or that this thread loads."""
    name: str = ModuleType.__getattribute__(module, "__name__")
    if parent := name.rpartition(".")[0]:
        import_module(parent)
    try:
        spec, alias = known[name]
        with _ModuleLockManager(name), _ModuleLockManager(alias):
            if type(module) is Waiting and name not in loading:
                loading.add(name)
                try:
                    _execute(module, spec)
                finally:
                    loading.discard(name)
    except _DeadlockError:
        # Two threads load two modules that import each other. As in any such import, this one goes
        # on with what the other thread has got so far.
        pass


def _execute(module: ModuleType, spec: Any) -> None:
    name = module.__name__
    vars(module)["__spec__"] = spec  # it may have that of an alias, which is being imported
    spec._initializing = True  # tells other threads' import statements to wait
    try:
        spec.loader.exec_module(module)
    finally:
        spec._initializing = False
    if name in completed:
        completed[name](module)
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, module)
    module.__class__ = ModuleType

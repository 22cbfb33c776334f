"""The private names of AnyIO that libraries use, each with the libraries that need it.

Owns the table and the modules that are made of it. If a library needs another name, add a
line; every other name is refused with an explanation. The names lead to Creche's public API, or to
`backend.py`. (Some private names are attributes of public objects and are there:
`_raw_socket` of sockets, for httpcore.)
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .._registry import KERNELS
from .modules import ALIAS, PACKAGE
from .refusals import refuse

TABLE: dict[str, dict[str, str]] = {
    "_core": {},
    "_core._eventloop": {
        "threadlocals": "_dropin.backend",  # asyncer
        "current_async_library": "_dropin.backend",  # libraries without sniffio
        "get_async_backend": "_dropin.backend",  # extensions that reached for their loop's class
    },
    "_backends": {},
    **{
        f"_backends.{record.alias}": {  # pydantic-ai imports the modules, for its sandbox
            "TaskGroup": "_dropin.backend",  # asyncer
        }
        for record in KERNELS.values()
        if record.alias is not None
    },
}
"""By module: the name, and the module of Creche that has it."""

ADVICE = (
    "it is private to AnyIO, and Creche, which stands in for AnyIO here, does not have it. Use the "
    "public names, or run this program without the drop-in. If a library needs it, report that to "
    "Creche: the name belongs in the table of creche._dropin.private"
)


def is_private(name: str) -> bool:
    """Tell whether a module's full name has a part that is private, and is not `__main__`."""
    return any(part[:1] == "_" != part[1:2] for part in name.split("."))


def make_modules() -> dict[str, ModuleType]:
    """Make the modules of the table, by the full names that AnyIO has for them."""
    modules = {f"{ALIAS}.{name}": _make(f"{ALIAS}.{name}", TABLE[name]) for name in TABLE}
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent in modules:
            setattr(modules[parent], child, module)
    return modules


def _make(name: str, places: dict[str, str]) -> ModuleType:
    module = ModuleType(name, "Private names of AnyIO, kept for the libraries that use them.")
    module.__spec__ = ModuleSpec(name, None, origin=__file__, is_package=not places)
    module.__file__ = __file__
    if not places:
        module.__path__ = []

    def find(attribute: str) -> Any:
        if attribute in places:
            return getattr(import_module(f"{PACKAGE}.{places[attribute]}"), attribute)
        if attribute[:2] == "__":
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        return refuse(name, attribute, ADVICE)

    vars(module)["__getattr__"] = find
    vars(module)["__dir__"] = lambda: sorted({*vars(module), *places})
    return module


def children_of_package() -> list[str]:
    """Return the names under which the package itself gets the private modules as attributes."""
    return [name for name in TABLE if "." not in name]


def attach() -> None:
    """Let `anyio._core._eventloop` be reached by attributes as well."""
    for name in children_of_package():
        setattr(sys.modules[PACKAGE], name, sys.modules[f"{ALIAS}.{name}"])

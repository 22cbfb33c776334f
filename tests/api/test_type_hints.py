"""`typing.get_type_hints` works on everything public, so frameworks that go by annotations do too."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from _listing import MODULES, public_names

from creche._hints import Later


def annotated() -> Iterator[tuple[str, Any]]:
    """Yield every public function and class, and every method of those, by its name."""
    for module in MODULES:
        for name in sorted(public_names(module)):
            value = getattr(import_module(module), name)
            if inspect.isfunction(value):
                yield f"{module}.{name}", value
            elif isinstance(value, type):
                yield f"{module}.{name}", value
                yield from methods(f"{module}.{name}", value)
            elif callable(value) and type(value).__module__.startswith("creche."):
                yield from methods(f"{module}.{name}", type(value))


def methods(name: str, cls: type) -> Iterator[tuple[str, Any]]:
    for base in cls.__mro__:
        if base.__module__.startswith("creche."):
            for member, value in vars(base).items():
                function = getattr(value, "fget", None) or getattr(value, "__func__", value)
                if inspect.isfunction(function) and function.__module__.startswith("creche."):
                    yield f"{name}.{member}", function


def is_public(name: str) -> bool:
    """Tell whether the last part of a name is one that users call, by itself or by syntax."""
    last = name.rpartition(".")[2]
    return not last.startswith("_") or last.endswith("__")


ANNOTATED = {name: value for name, value in annotated() if is_public(name)}


def test_there_are_some() -> None:
    assert {"creche.connect_tcp", "creche.Lock", "creche.Path.samefile"} <= set(ANNOTATED)
    assert "creche.itertools.chain.from_iterable" in ANNOTATED
    assert len(ANNOTATED) > 600


@pytest.mark.parametrize("name", ANNOTATED)
def test_hints_can_be_had(name: str) -> None:
    typing.get_type_hints(ANNOTATED[name])


def test_a_module_that_stands_for_one_is_loaded_when_the_hints_are_asked_for() -> None:
    program = """
import sys, typing, creche
creche.connect_tcp
assert "creche.streams.tls" not in sys.modules
hints = typing.get_type_hints(creche.connect_tcp)
assert creche.streams.tls.TLSStream in typing.get_args(hints["return"])
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_what_is_not_in_that_module_is_an_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'ssl' has no attribute 'Nothing'"):
        Later("ssl").Nothing

"""The modules of streams are attributes of their package, for programs that import only `creche`."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = ("buffered", "file", "memory", "stapled", "text", "tls")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_streams_is_there_without_an_import_of_its_own(name: str) -> None:
    program = f"import creche; print(creche.streams.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"creche.streams.{name}\n", "")


def test_any_other_attribute_of_streams_is_an_attribute_error() -> None:
    import creche.streams

    assert set(MODULES) <= set(dir(creche.streams))
    with pytest.raises(AttributeError, match=r"module 'creche\.streams' has no attribute 'udp'"):
        creche.streams.udp  # type: ignore[attr-defined]  # that is the point

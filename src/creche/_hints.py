"""Names for annotations that have no object at run time, so that `typing.get_type_hints` finds one.

Owns stand-ins alone: a type checker never sees them. The names of typeshed are in no module that can be
imported, and a module that is heavy or seldom needed is not imported for the sake of an annotation.

    a name of typeshed      what any Python knows of it
    `Later("ssl")`          the module, imported when somebody asks for the hints
"""

from __future__ import annotations

import collections.abc
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import OpenBinaryMode as OpenBinaryMode
    from _typeshed import OpenTextMode as OpenTextMode
    from _typeshed import ReadableBuffer as ReadableBuffer
    from _typeshed import StrOrBytesPath as StrOrBytesPath
    from _typeshed import WriteableBuffer as WriteableBuffer
else:
    # Python has a name for what lends its memory from 3.12 on.
    ReadableBuffer = getattr(collections.abc, "Buffer", bytes | bytearray | memoryview)
    WriteableBuffer = getattr(collections.abc, "Buffer", bytearray | memoryview)
    OpenBinaryMode = OpenTextMode = str
    StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class Later:
    """Stands for a module in annotations, and imports it when one of them is evaluated."""

    __slots__ = ("_module",)

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)

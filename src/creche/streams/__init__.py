"""Streams, one kind in each module.

The modules are imported when they are asked for, be it by an import or as attributes: programs that
import only the package write `streams.tls.TLSStream`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import buffered as buffered
    from . import file as file
    from . import memory as memory
    from . import stapled as stapled
    from . import text as text
    from . import tls as tls
else:
    _MODULES = ("buffered", "file", "memory", "stapled", "text", "tls")

    def __getattr__(name):
        from importlib import import_module

        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module(f"{__name__}.{name}")

    def __dir__():
        return sorted({*globals(), *_MODULES})

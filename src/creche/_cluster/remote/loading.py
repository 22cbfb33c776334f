"""Make modules out of source that came over a connection.

Owns the package that holds them, `_creche_` and a digest of the sources: two versions of Creche may
use one worker at the same time. Its own source is sent along and executed first, so it imports
nothing but the standard library, and nothing of this folder.
"""

from __future__ import annotations

import linecache
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load(package: str, sources: dict[str, str]) -> Any:
    """Return the package `package`, made of `sources` (in the order of their imports) if need be."""
    known = sys.modules.get(package)
    if known is not None:
        return known
    made: Any = types.ModuleType(package)
    made.__path__ = []
    sys.modules[package] = made
    try:
        for name, text in sources.items():
            setattr(made, name, _module(package, name, text))
    except BaseException:
        for name in [package, *(f"{package}.{name}" for name in sources)]:
            sys.modules.pop(name, None)
        raise
    made.sources = sources
    return made


def _module(package: str, name: str, text: str) -> types.ModuleType:
    module = types.ModuleType(f"{package}.{name}")
    module.__package__ = package
    file = f"<{package}.{name}>"
    # Tracebacks show the lines of a file that is not there.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[module.__name__] = module
    exec(compile(text, file, "exec"), vars(module))
    return module

"""Runs a file or a module as `python app.py` and `python -m app` do, in this process.

Owns what such a program can tell of its start: `sys.argv`, the first entry of `sys.path`, `__main__`
and its `__spec__`, the traceback and the exit status. Knows nothing of what the program is, nor of
what was done before it (`creche run --as-anyio` has turned the drop-in on).

`runpy` puts a module in the place of `__main__` for a while and takes it away again, which threads
and exit handlers of the program would notice; here `__main__` is the program's until the process ends.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from io import open_code
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from .screen import Mistake
from .traces import show, show_unloaded


def is_path(place: str) -> bool:
    return place.endswith(".py") or os.sep in place or "/" in place


def is_script(place: str) -> bool:
    """Tell whether Python would take this for a file, a folder or an archive to run."""
    return is_path(place) or place in (os.curdir, os.pardir) or os.path.isfile(place)


def run_script(place: str, arguments: Sequence[str]) -> int:
    """Run a file, or the `__main__.py` of a folder or an archive, and return the exit status."""
    sys.argv[:] = [place, *arguments]
    if not os.path.exists(place):
        raise Mistake(f"{place!r} does not exist")
    path = os.path.join(os.getcwd(), place)  # not made shorter: Python leaves it as it was typed
    inside = PathFinder.find_spec("__main__", [path])
    if inside is not None:
        put_first(path)
        return run_spec(inside)
    if os.path.isdir(place):
        raise Mistake(f"{place!r} has no __main__.py")
    put_first(str(Path(place).resolve().parent))
    try:
        with open_code(path) as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as exc:
        return show_unloaded(exc)
    loader: Any = SourceFileLoader("__main__", path)
    return become_main(code, __file__=path, __loader__=loader, __package__=None, __spec__=None)


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module, or the `__main__` of a package, and return the exit status."""
    put_first(os.getcwd())
    sys.argv[:] = ["-m", *arguments]
    try:
        spec = find_main(name)
    except Mistake:
        raise
    except Exception as exc:
        return show_unloaded(exc)
    sys.argv[0] = spec.origin or name
    return run_spec(spec)


def put_first(folder: str) -> None:
    """Put a folder where Python has that of the program, unless Python was told not to."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def find_main(name: str) -> ModuleSpec:
    if name.startswith(".") or name == "__main__":
        raise Mistake(f"{name!r} cannot be run: give the whole name of a module")
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise  # a package was found and needs something else
        spec = None
    except ValueError as exc:
        raise Mistake(f"{name!r} cannot be run: {exc}") from None
    if spec is None:
        package, _, last = name.rpartition(".")
        if last == "__main__" and package:
            raise Mistake(f"{package!r} is a package and has no __main__ to run")
        raise Mistake(f"there is no module {name!r} in this folder or on sys.path")
    if spec.submodule_search_locations is not None:
        return find_main(f"{name}.__main__")
    return spec


def run_spec(spec: ModuleSpec) -> int:
    loader: Any = spec.loader
    try:
        code = loader.get_code(spec.name)
    except Exception as exc:
        return show_unloaded(exc)
    if code is None:
        raise Mistake(f"{spec.name!r} has no code to run")
    return become_main(
        code,
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=loader,
        __package__=spec.parent,
        __spec__=spec,
    )


def become_main(code: CodeType, **attributes: Any) -> int:
    """Execute the code as `__main__`, which it stays, and return the exit status."""
    main = ModuleType("__main__")
    vars(main).update(attributes, __builtins__=builtins)
    sys.modules["__main__"] = main
    try:
        exec(code, vars(main))
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as exc:
        status = show(exc, lambda each: each is code)
        return 130 if isinstance(exc, KeyboardInterrupt) else status
    return 0

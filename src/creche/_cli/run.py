"""`creche run`: finds a coroutine function and runs it.

Owns the way from the typed text to a function. For what signals do to it, see
`interrupts.py`.

    loading ──▸ running ──▸ finished         status 0
       │           ├──a signal──▸ stopping or cleaning up ──▸ finished     130 or 143
       │           │                 ╰──one more than it takes──▸ killed   the same, in a shell
       ╰───────────┴──an exception──▸ shown   1, a SystemExit its own
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from .._loop.run import run
from .._registry import KERNELS, Option
from .._registry import chosen as chosen_backend
from .interrupts import Interrupter
from .python import is_path
from .screen import Mistake
from .traces import is_machinery, own_code, show

Program = Callable[[], Coroutine[Any, Any, object]]


def run_program(
    target: str,
    backend: str,
    arguments: Sequence[str],
    chosen: Sequence[Option],
    *,
    grace: float = 0,
) -> int:
    """Run the program that `target` names, and return the exit status."""
    options = backend_options(backend, chosen)
    place, name = split_target(target)
    try:
        module = load_script(place, arguments) if is_path(place) else load_module(place, arguments)
    except Mistake:
        raise
    except Exception as exc:
        return show(exc, lambda code: not is_machinery(code))
    function = find_function(module, name, target)
    return run_function(function, backend, options, grace)


def backend_options(backend: str, chosen: Sequence[Option]) -> dict[str, Any]:
    """Return the options whose flags were given.

    :raises Mistake: a flag is one of another backend
    """
    backend, options = chosen_backend(backend, {})
    for record in KERNELS.values():
        wrong = [option.flag for option in chosen if option in record.options]
        if wrong and record.name != backend:
            raise Mistake(
                f"{' and '.join(map(str, wrong))} only goes with the {record.name} backend, not "
                f"with {backend!r}"
            )
    return {**options, **{option.name: True for option in chosen}}


# ── From the text to a function ──────────────────────────────────────────────────────────────────


def split_target(target: str) -> tuple[str, str]:
    """Split `place:function`. Without a function it is `main`, and the colon may be a drive's."""
    place, colon, name = target.rpartition(":")
    if not colon or not place or "/" in name or "\\" in name:
        return target, "main"
    return place, name


def load_module(name: str, arguments: Sequence[str]) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise Mistake(f"{name!r} is neither the name of a module nor the path of a .py file")
    put_first(os.getcwd())
    sys.argv[:] = [name, *arguments]
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as exc:
        # Only if it is the module itself that is missing, not something that it imports.
        if exc.name is not None and f"{name}.".startswith(f"{exc.name}."):
            raise Mistake(
                f"there is no module {exc.name!r} in this folder or on sys.path"
            ) from None
        raise
    sys.argv[0] = getattr(module, "__file__", None) or name
    return module


def load_script(place: str, arguments: Sequence[str]) -> ModuleType:
    """Import a file under the name of the file, as `__main__` it would run itself."""
    path = Path(place)
    if not path.is_file():
        wrong = "is not a file" if path.exists() else "does not exist"
        raise Mistake(f"{place!r} {wrong}")
    put_first(os.getcwd())
    put_first(str(path.resolve().parent))
    sys.argv[:] = [place, *arguments]
    name = path.stem
    if not name.isidentifier() or name in sys.modules or name in sys.stdlib_module_names:
        name = "__creche_main__"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise Mistake(f"{place!r} is not a Python file: its name does not end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def put_first(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def find_function(module: ModuleType, name: str, target: str) -> Program:
    try:
        function = attrgetter(name)(module)
    except AttributeError:
        raise Mistake(
            f"{module.__name__!r} has no {name!r}; name a function with {target}:FUNCTION"
            if name == "main" and not target.endswith(":main")
            else f"{module.__name__!r} has no {name!r}"
        ) from None
    if not inspect.iscoroutinefunction(function):
        raise Mistake(
            f"{name!r} in {module.__name__!r} is not a coroutine function, one made by 'async def',"
            f" but {describe(function)}"
        )
    try:
        inspect.signature(function).bind()
    except TypeError as exc:
        raise Mistake(
            f"{name!r} in {module.__name__!r} cannot be called without arguments: {exc}"
        ) from None
    return function  # type: ignore[no-any-return]  # what was asked of it is checked above


def describe(thing: object) -> str:
    if inspect.isasyncgenfunction(thing):
        return "an async generator function, for it has a 'yield'"
    if inspect.isfunction(thing):
        return "an ordinary function"
    return f"of type {type(thing).__qualname__}"


# ── Running it ───────────────────────────────────────────────────────────────────────────────────


def run_function(function: Program, backend: str, options: dict[str, Any], grace: float = 0) -> int:
    interrupter = Interrupter(grace, debug=bool(options.get("debug")))
    interrupter.listen()

    async def main() -> None:
        await interrupter.run(function)

    # The main task goes by the program's name.
    main.__module__ = function.__module__
    main.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        run(main, backend=backend, backend_options=options)
    except Exception as exc:
        if not interrupter.started and isinstance(exc, LookupError | ImportError):
            raise Mistake(str(exc)) from None  # the backend is unknown, or is not installed
        return show(exc, own_code(function))
    except BaseExceptionGroup as exc:
        if exc.split(KeyboardInterrupt)[1] is None:
            raise KeyboardInterrupt from None
        return show(exc, own_code(function))
    finally:
        interrupter.end()
    return interrupter.status

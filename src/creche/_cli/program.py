"""The program of `creche run`: from what was typed to a coroutine function.

Owns how a program is named, found and loaded, and what is said when it is not. Knows no event loop.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import linecache
import os
import sys
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Callable, Coroutine, Sequence
from operator import attrgetter
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal, NamedTuple

from .python import is_path
from .screen import Mistake
from .suggest import names_of_modules, or_else
from .traces import own_code

Main = Callable[[], Coroutine[Any, Any, object]]


class Program(NamedTuple):
    """What was typed for a program."""

    kind: Literal["target", "module", "code", "stdin"]
    text: str


class Loaded(NamedTuple):
    """A function to run, and how to tell its program's frames from others."""

    main: Main
    is_own_code: Callable[[CodeType], bool]


def choose_program(options: argparse.Namespace) -> tuple[Program, list[str]]:
    """Return the program that the options name, and the arguments that are left to it."""
    # What is joined to its flag, as in -mapp, is all that argparse gives to it.
    if options.module is not None:
        name, rest = first_of(options.module, "-m needs the name of a module")
        return Program("module", name), rest + options.program
    if options.code is not None:
        code, rest = first_of(options.code, "-c needs the code to run")
        return Program("code", code), rest + options.program
    target, rest = first_of(options.program, "which program? Name a PROGRAM")
    if rest[:1] == ["--"]:
        del rest[0]
    return Program("stdin" if target == "-" else "target", target), rest


def first_of(words: list[str], missing: str) -> tuple[str, list[str]]:
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        raise Mistake(f"{missing} (see 'creche run --help')")
    return words[0], words[1:]


def load_program(program: Program, arguments: Sequence[str]) -> Loaded:
    """Import the program and find its function.

    :raises Mistake: there is no such program, or it has no function that can be run
    :raises Exception: what the program raised while it was imported
    """
    if program.kind == "code":
        return load_code(program.text, "-c", "<string>", arguments)
    if program.kind == "stdin":
        return load_code(sys.stdin.read(), "-", "<stdin>", arguments)
    if program.kind == "module":
        function = find_function(load_module(main_module(program.text), arguments), "main")
        return Loaded(function, own_code(function))
    place, name = split_target(program.text)
    module = load_script(place, arguments) if is_path(place) else load_module(place, arguments)
    function = find_function(module, name)
    return Loaded(function, own_code(function))


# ── Files and modules ────────────────────────────────────────────────────────────────────────────


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
            message = f"there is no module {exc.name!r} in this folder or on sys.path"
            known = names_of_modules(exc.name.rpartition(".")[0])
            raise Mistake(or_else(message, exc.name, known)) from None
        raise
    sys.argv[0] = getattr(module, "__file__", None) or name
    return module


def main_module(name: str) -> str:
    """Return the module that `-m` means: of a package its `__main__`, where it has one."""
    put_first(os.getcwd())
    try:
        inside = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError, AttributeError):
        return name  # which says what is wrong when it is imported
    return f"{name}.__main__" if inside is not None else name


def load_script(place: str, arguments: Sequence[str]) -> ModuleType:
    """Import a file under the name of the file, as `__main__` it would run itself."""
    path = Path(place)
    if not path.is_file():
        wrong = "is not a file" if path.exists() else "does not exist"
        beside = [each.name for each in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise Mistake(or_else(f"{place!r} {wrong}", path.name, beside))
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


def find_function(module: ModuleType, name: str) -> Main:
    try:
        function = attrgetter(name)(module)
    except AttributeError:
        raise Mistake(missing(module, name)) from None
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


def missing(module: ModuleType, name: str) -> str:
    """Say that a module lacks a function, and what it has."""
    has = [each for each, value in vars(module).items() if inspect.iscoroutinefunction(value)]
    message = f"{module.__name__!r} has no {name!r}"
    if name == "main":
        return f"{message}; name a function with {module.__name__}:FUNCTION" + (
            f", such as {has[0]}" if has else ""
        )
    return or_else(message, name, has)


def describe(thing: object) -> str:
    if inspect.isasyncgenfunction(thing):
        return "an async generator function, for it has a 'yield'"
    if inspect.isfunction(thing):
        return "an ordinary function"
    return f"of type {type(thing).__qualname__}"


# ── Code that was typed or piped ─────────────────────────────────────────────────────────────────


def load_code(text: str, flag: str, file: str, arguments: Sequence[str]) -> Loaded:
    """Compile code that may await at its top level, to be run in the main task.

    Code that does not await there, and defines a coroutine function `main`, has that run after it.
    """
    put_first(os.getcwd())
    sys.argv[:] = [flag, *arguments]
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    code = compile(text, file, "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    body: Callable[[], Any] = FunctionType(code, vars(module))

    async def main() -> None:
        if inspect.iscoroutinefunction(body):
            await body()
            return
        body()
        inner = vars(module).get("main")
        if inspect.iscoroutinefunction(inner):
            await inner()

    main.__module__ = "__main__"
    main.__qualname__ = file

    def is_own_code(each: CodeType) -> bool:
        return each.co_filename == file

    return Loaded(main, is_own_code)

r"""`creche run`: finds a coroutine function, runs it, and stands between it and Ctrl-C.

Owns the way from the text that was typed to a function, and SIGINT while the program runs. Knows
the kernel only for its way to be called from a signal handler.

The first Ctrl-C cancels a scope around the whole program, which is the same on every loop: its
`finally` blocks run, and may wait under a shield. From then on SIGINT has its default action, so
that a second Ctrl-C ends a program that will not go. The first one says so, and two seconds later
shows the tasks that are still there. Ctrl-\ (Ctrl-Break on Windows) shows all tasks at any time.

    loading ──▸ running ──▸ finished         status 0
       │           ├──Ctrl-C──▸ cleaning up ──▸ finished     130
       │           │                 ╰──Ctrl-C──▸ killed     130, as the shell sees it
       ╰───────────┴──an exception──▸ shown   1, a SystemExit its own
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from operator import attrgetter
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from .._kernel import current_kernel
from .._loop.run import run
from .._registry import KERNELS, Option
from .._tasks.scope import CancelScope
from .python import is_path
from .screen import Mistake
from .traces import is_machinery, own_code, show

Program = Callable[[], Coroutine[Any, Any, object]]


def run_program(
    target: str, backend: str, arguments: Sequence[str], chosen: Sequence[Option]
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
    return run_function(function, backend, options)


def backend_options(backend: str, chosen: Sequence[Option]) -> dict[str, Any]:
    """Return the options whose flags were given.

    :raises Mistake: a flag is one of another backend
    """
    for record in KERNELS.values():
        wrong = [option.flag for option in chosen if option in record.options]
        if wrong and record.name != backend:
            raise Mistake(
                f"{' and '.join(map(str, wrong))} only goes with the {record.name} backend, not "
                f"with {backend!r}"
            )
    return {option.name: True for option in chosen}


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


PATIENCE = 2.0
"""Seconds that a cancelled program has before the tasks that hold it up are shown."""


class Interrupter:
    """Turns the first SIGINT into a cancel of the program."""

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug
        self.pressed = False
        self.started = False
        self._cancel: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None

    async def run(self, function: Program) -> None:
        from .._insight.watch import watch_loop

        kernel = current_kernel()
        with CancelScope() as scope:
            # The handler may run anywhere in the loop's own code: only this call is safe there.
            self._cancel = lambda: kernel.call_soon_threadsafe(scope.cancel, "Ctrl-C was pressed")
            self.started = True
            watch = watch_loop() if self._debug else nullcontext()
            try:
                with watch:
                    await function()
            finally:
                self._cancel = None

    def handle(self, signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.pressed = True
        if self._cancel is not None:
            after_key = "\n" if sys.stderr.isatty() else ""  # the terminal has shown ^C
            tell(f"{after_key}cancelling; press again to stop at once\n")
            self._timer = threading.Timer(PATIENCE, show_tasks)
            self._timer.daemon = True
            self._timer.start()
            self._cancel()
        elif not self.started:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Forget the tasks: the program has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()


def named_like(function: Program, run: Callable[[Program], Coroutine[Any, Any, None]]) -> Program:
    """Return what runs the program, by the name of its function: the main task is called so."""

    def main() -> Coroutine[Any, Any, None]:
        return run(function)

    main.__module__, main.__qualname__ = function.__module__, function.__qualname__
    return main


def show_tasks() -> None:
    """Show what a program that was cancelled still does."""
    from .._insight.collect import snapshot
    from .._insight.text import text_of

    left = snapshot()
    if any(True for _ in left.tasks):
        tell(f"not finished {PATIENCE:g} s after it was cancelled:\n\n{text_of(left)}")


def tell(text: str) -> None:
    """Write to standard error, from wherever a signal finds the program."""
    from .._insight.signals import write_to_stderr

    write_to_stderr(text)


def show_on_signal() -> Callable[[], None]:
    r"""Have Ctrl-\ show all tasks, unless the program has a use for it; return what ends that."""
    from .._insight.signals import DEFAULT, dump_on_signal

    if DEFAULT is None or signal.getsignal(DEFAULT) is not signal.SIG_DFL:
        return lambda: None
    dump_on_signal()
    return forget_signal


def forget_signal() -> None:
    """Undo `show_on_signal`."""
    from .._insight.signals import DEFAULT

    if DEFAULT is not None:
        signal.signal(DEFAULT, signal.SIG_DFL)


def run_function(function: Program, backend: str, options: dict[str, Any]) -> int:
    interrupter = Interrupter(debug=bool(options.get("debug")))
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # who ignores SIGINT goes on to ignore it
        signal.signal(signal.SIGINT, interrupter.handle)
    shown_no_more = show_on_signal()
    try:
        main = named_like(function, interrupter.run)
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
        shown_no_more()
        signal.signal(signal.SIGINT, before)
    return 130 if interrupter.pressed else 0

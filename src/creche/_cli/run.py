"""`creche run`: runs a coroutine function as a program.

Owns the life of the program. For how it is found see `program.py`, for what signals do to it `interrupts.py`.

    loading ──▸ running ──▸ finished         status 0
       │           ├──a signal──▸ stopping or cleaning up ──▸ finished     130 or 143
       │           │                 ╰──one more than it takes──▸ killed   the same, in a shell
       ╰───────────┴──an exception──▸ shown   1, a SystemExit its own
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._loop.run import run
from .._registry import KERNELS, Option
from .._registry import chosen as chosen_backend
from .interrupts import Interrupter
from .program import Loaded, Program, load_program
from .screen import Mistake
from .traces import show, show_unloaded


def run_program(
    program: Program,
    backend: str,
    arguments: Sequence[str],
    chosen: Sequence[Option],
    *,
    grace: float = 0,
) -> int:
    """Run the program, and return the exit status."""
    options = backend_options(backend, chosen)
    try:
        loaded = load_program(program, arguments)
    except Mistake:
        raise
    except Exception as exc:
        return show_unloaded(exc)
    return run_loaded(loaded, backend, options, grace)


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


def run_loaded(loaded: Loaded, backend: str, options: dict[str, Any], grace: float = 0) -> int:
    function = loaded.main
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
        return show(exc, loaded.is_own_code)
    except BaseExceptionGroup as exc:
        if exc.split(KeyboardInterrupt)[1] is None:
            raise KeyboardInterrupt from None
        return show(exc, loaded.is_own_code)
    finally:
        interrupter.end()
    return interrupter.status

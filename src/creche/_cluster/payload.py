"""What travels: calls as opaque bytes, and answers opened again.

Owns the pickling at the caller's end and the errors about it. The other end is `remote/perform.py`.

Rules
-----
* What can be imported goes by reference; what cannot (lambdas, closures, the program's main module) goes
  by value, with cloudpickle. Code by value runs only on the same minor version of Python: bytecode differs.
* A payload is opened by the process that makes the call and by nobody else on the way.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from .._tasks.checkpoint import checkpoint_if_cancelled
from .._threads.calls import run_sync as run_in_thread
from .contract import Answer
from .errors import ClusterError, PayloadError
from .remote.perform import ERROR, MAIN, RESULT, UNOPENED, UNPICKLABLE, dump_by_value

LARGE = 1 << 20
"""Bytes from which on an answer is opened in a thread, so as not to keep the event loop."""


class Payload(NamedTuple):
    """A call, ready to be sent."""

    data: bytes
    by_value: bool


def pack(func: Callable[..., object], args: tuple[object, ...], name: str) -> Payload:
    """Pickle a call.

    :raises PayloadError: function or arguments cannot be pickled
    """
    module: str = getattr(getattr(func, "func", func), "__module__", None) or "builtins"
    try:
        if can_be_imported(module):
            data = pickle.dumps((func, args), pickle.HIGHEST_PROTOCOL)
            if MAIN not in data:
                return Payload(data, by_value=False)
    except Exception:
        pass
    try:
        return Payload(_dump_with_module((func, args), module), by_value=True)
    except Exception as exc:
        raise PayloadError(
            f"the call of {name}() cannot be sent to another process: {_culprit(func, args)} cannot be "
            f"pickled ({type(exc).__name__}: {exc}). Pass what can be, and open files, sockets and locks "
            "in the function"
        ) from exc


@lru_cache
def can_be_imported(module: str) -> bool:
    """Tell whether a fresh process finds a module by its name. One that was loaded from a file may not be."""
    top = module.partition(".")[0]
    for finder in sys.meta_path:
        try:
            if finder.find_spec(top, None) is not None:
                return True
        except (ImportError, AttributeError):
            continue
    return False


def _dump_with_module(value: object, module: str) -> bytes:
    """Pickle by value, with what is in a module that only this process knows."""
    known = sys.modules.get(module)
    if known is None or module == "__main__" or can_be_imported(module):
        return dump_by_value(value)
    cloudpickle: Any = importlib.import_module("cloudpickle")
    cloudpickle.register_pickle_by_value(known)
    try:
        return dump_by_value(value)
    finally:
        cloudpickle.unregister_pickle_by_value(known)


def _culprit(func: Callable[..., object], args: tuple[object, ...]) -> str:
    """Name the part that cannot be pickled."""
    for index, part in enumerate((func, *args)):
        try:
            dump_by_value(part)
        except Exception:
            kind = f"{type(part).__module__}.{type(part).__qualname__}"
            return f"argument {index} (of type {kind})" if index else "the function"
    return "it"


async def open_answer(answer: Answer, name: str, worker: str) -> Any:
    """Return or raise what the function did.

    :raises PayloadError: its result or its error could not be pickled
    """
    if answer.kind == UNPICKLABLE:
        raise PayloadError(f"{name}() on {worker}: {answer.data.decode()}")
    if len(answer.data) > LARGE:
        value = await run_in_thread(_load, answer.data, name, worker)
    else:
        value = _load(answer.data, name, worker)
    if answer.kind == RESULT:
        return value
    if answer.kind not in {ERROR, UNOPENED}:
        raise ClusterError(f"{name}() on {worker}: an answer of unknown kind {answer.kind!r}")
    await checkpoint_if_cancelled()
    error, text = value
    what = "Raised" if answer.kind == ERROR else "Raised when the call was opened, before it ran,"
    error.add_note(f"{what} on {worker} by {name}():\n\n{text}")
    try:
        raise error
    finally:
        del error, value


def _load(data: bytes, name: str, worker: str) -> Any:
    try:
        return pickle.loads(data)
    except Exception as exc:
        raise PayloadError(
            f"the answer of {name}() on {worker} cannot be opened here ({type(exc).__name__}: {exc}): "
            "have the function return what this program can import"
        ) from exc

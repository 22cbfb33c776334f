"""Open a call, make it, and pickle what came of it. In a child, or in a worker's own thread.

Owns the form of an answer, and where a running function finds out that it is cancelled. Knows
neither sockets nor processes.

An answer is a kind and bytes:

    R   the result, pickled
    E   an error, pickled together with its traceback as text
    U   text: the result or the error cannot be pickled
    O   the error that opening the call ended with, as E
    X   the function let the cancellation out

Rules
-----
* What a function does with `from_thread.check_cancelled()` is asked here. Creche finds it through the
  module `_creche_call` in `sys.modules`, so neither has to import the other.
* cloudpickle is used where it is installed and pickle is not enough.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import threading
import traceback
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

RESULT, ERROR, UNPICKLABLE, UNOPENED, CANCELLED = b"R", b"E", b"U", b"O", b"X"

MAIN = b"__main__"


class CallCancelled(BaseException):
    """Raised in the function by `check_cancelled()` when its caller is cancelled."""


def call_module() -> Any:
    """Return `_creche_call`: `check` is for the whole process, `here.check` for one thread."""
    module: Any = sys.modules.get("_creche_call")
    if module is None:
        module = types.ModuleType("_creche_call")
        module.check = None
        module.here = threading.local()
        module = sys.modules.setdefault("_creche_call", module)
    return module


def perform(data: Any, run: Callable[[Any, tuple[Any, ...]], Any]) -> tuple[bytes, bytes]:
    """Open the call in `data`, and return the answer of `run(func, args)`."""
    try:
        func, args = pickle.loads(data)
    except BaseException as exc:
        return UNOPENED, dump_error(exc)[1]
    del data
    try:
        result = run(func, args)
    except CallCancelled:
        return CANCELLED, b""
    except BaseException as exc:
        return dump_error(exc)
    return dump_result(result)


def call(func: Any, args: tuple[Any, ...]) -> Any:
    """Make the call of a plain function."""
    return func(*args)


def dump_result(result: Any) -> tuple[bytes, bytes]:
    try:
        return RESULT, dumps(result)
    except BaseException as exc:
        kind = f"{type(result).__module__}.{type(result).__qualname__}"
        text = f"the function returned an object of type {kind}, which cannot be pickled: {exc!r}"
        return UNPICKLABLE, text.encode(errors="replace")


def dump_error(exc: BaseException) -> tuple[bytes, bytes]:
    """Pickle an error with its traceback; `U` if it cannot be pickled, or not be read again."""
    text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    try:
        data = dumps((exc, text))
        pickle.loads(data)  # Many an exception can be written and then not be read.
        return ERROR, data
    except BaseException as trouble:
        said = f"the function raised an error that cannot be pickled ({trouble!r}):\n\n{text}"
        return UNPICKLABLE, said.encode(errors="replace")


def dumps(value: Any) -> bytes:
    """Pickle by reference where that is right at the other end, else by value."""
    try:
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        if MAIN not in data:
            return data
    except Exception:
        pass
    return dump_by_value(value)


def dump_by_value(value: Any) -> bytes:
    """Pickle a value together with the code that cannot be imported."""
    cloudpickle = importlib.import_module("cloudpickle")  # comes with Dask
    data: bytes = cloudpickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return data

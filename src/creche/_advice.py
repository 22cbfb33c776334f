"""What to write instead, as a note on errors that Python raises for a forgotten `await` and its relatives.

Owns the words of Python's errors that tell such a mistake, and the advice for each. Knows no loop and no
task: who sees an error leave a task or a run asks here, so nothing is paid for while all goes well.

Rules
-----
* Only errors of Python itself are advised on: their text is matched from its beginning.
* An error gets one such note, and none while the drop-in is on, as every note.
"""

from __future__ import annotations

import linecache
import re
from types import TracebackType
from typing import Any

from . import _labels

LONGEST = 60
"""Characters of a program that are quoted in a note."""

_UNAWAITED = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        (
            "'coroutine' object does not support the asynchronous context manager protocol",
            "Write 'async with await {call}'",
        ),
        (
            "'coroutine' object does not support the context manager protocol",
            "Write 'async with await {call}', or 'with await {call}' if what it returns is not async",
        ),
        (
            r"'async for' requires an object with __aiter__ method, got coroutine$",
            "Write 'async for ... in await {call}'",
        ),
        (
            (
                r"'coroutine' object (?:has no attribute|is not \w+$)"
                r"|cannot unpack non-iterable coroutine object$"
                r"|object of type 'coroutine' has no len\(\)$"
            ),
            "A coroutine is no result yet: write '(await f(...))'",
        ),
    )
)
_AWAITED = re.compile(
    r"(?:object (?P<old>\w+) can't be used in 'await' expression"
    r"|'(?P<new>\w+)' object can't be awaited)$"
)
_NO_AWAIT = {
    "TaskGroup": "Enter it with 'async with', without 'await'",
    "CancelScope": "Enter it with 'with', without 'await'",
    "NoneType": "What was called is not async: leave out 'await'",
}
_UNCALLED = re.compile(
    r"(?:object (?:function|method|type|builtin_function_or_method) can't be used in 'await' expression$"
    r"|'(?:function|method|type|builtin_function_or_method)' object (?:can't be awaited$"
    r"|does not support the (?:asynchronous )?context manager protocol)"
    r"|'async for' requires an object with __aiter__ method, got (?:function|method)$)"
)
_KEYWORD = re.compile(
    r"(?P<name>TaskGroup\.start_soon|TaskGroup\.start|BlockingPortal\.call|BlockingPortal\.start_task_soon"
    r"|BlockingPortal\.start_task|run_sync)\(\) got an unexpected keyword argument '(?P<key>\w+)'"
)


def note_advice(exc: BaseException) -> None:
    """Note on an error of Python's what was probably meant, if its words tell that."""
    if type(exc) not in (TypeError, AttributeError) or _labels.library != "creche":
        return
    advice = _advice(exc)
    if advice is not None and advice not in getattr(exc, "__notes__", ()):
        exc.add_note(advice)


def note_advice_in(exc: BaseException) -> None:
    """Note it on each error of a tree of groups, at the end of a run."""
    pending = [exc]
    while pending:
        each: Any = pending.pop()
        if isinstance(each, BaseExceptionGroup):
            pending.extend(each.exceptions)
        else:
            note_advice(each)


def _advice(exc: BaseException) -> str | None:
    text = str(exc)
    for pattern, advice in _UNAWAITED:
        if pattern.match(text):
            return "Did you forget 'await'? " + advice.format(call=_call_at(exc.__traceback__))
    if _UNCALLED.match(text):
        return "Did you forget to call it? Write parentheses after it: 'f(...)'"
    if (awaited := _AWAITED.match(text)) is not None:
        return _NO_AWAIT.get(awaited["old"] or awaited["new"])
    if (keyword := _KEYWORD.match(text)) is not None:
        return (
            f"{keyword['name']}() passes on positional arguments alone: give it "
            f"functools.partial(f, {keyword['key']}=...) in place of the function"
        )
    return None


def _call_at(traceback: TracebackType | None) -> str:
    """Return the call whose coroutine was not awaited, as the program has it where that can be read."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return _source_at(traceback) or "f(...)"


def _source_at(traceback: TracebackType | None) -> str | None:
    if traceback is None:
        return None
    code = traceback.tb_frame.f_code
    positions: Any = list(code.co_positions())[traceback.tb_lasti // 2]
    line, end, begin, after = positions
    if None in positions or line != end:
        return None
    source = linecache.getline(code.co_filename, line, traceback.tb_frame.f_globals).encode()
    call = source[begin:after].decode(errors="replace")
    # CPython before 3.13 gives the place of the whole statement.
    is_call = call.endswith(")") and not call.startswith(("async ", "with "))
    return call if is_call and len(call) <= LONGEST else None

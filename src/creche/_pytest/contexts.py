"""`Mirror`: copies the variables of one context to another.

A task cannot step in a context that its caller is in, so the context variables that a fixture sets are
copied: from the caller to the task before each job, and back after it.

    absent here, set there   -> set here, and the token kept
    another value there      -> set here
    set here, absent there   -> reset with the token, if there is one; there is no other way
"""

from __future__ import annotations

from contextvars import Context, ContextVar, Token, copy_context
from typing import Any


class Mirror:
    """What it has set in one context. Used in that context only."""

    def __init__(self) -> None:
        self._tokens: dict[ContextVar[Any], Token[Any]] = {}

    def show(self, there: Context) -> None:
        """Give the variables of the current context their values in `there`."""
        here = copy_context()
        for variable, value in there.items():
            if variable not in here:
                self._tokens[variable] = variable.set(value)
            elif here[variable] is not value:
                variable.set(value)
        for variable in here:
            if variable not in there:
                self._unset(variable)

    def _unset(self, variable: ContextVar[Any]) -> None:
        token = self._tokens.pop(variable, None)
        if token is None:
            return
        try:
            variable.reset(token)
        except ValueError:  # This is not the context that it was set in.
            pass

"""`root_cause`: the error that matters in a tree of exception groups."""

from __future__ import annotations

from .._kernel import is_cancellation
from .errors import leaves


def root_cause(exc: BaseException) -> BaseException:
    """Return the first error in a tree of exception groups that is no cancellation.

    That of an exception that is no group is the exception itself. If there is nothing but cancellations,
    the first of them.

    ```python
    from creche import root_cause

    group = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("bad row")])])
    print(repr(root_cause(group)))
    ```

    :param exc: any exception
    """
    first: BaseException | None = None
    for leaf in leaves(exc):
        if not is_cancellation(leaf):
            return leaf
        first = first or leaf
    return exc if first is None else first

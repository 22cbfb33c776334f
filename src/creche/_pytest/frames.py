"""What a failure shows: the frames of the user's program. Those of Creche, and of the loop below it, are left out.

Owns the option that shows them, and the cut; `--full-trace`, which is pytest's own, shows them too. Frames are
cut out of the error and of all that it holds or came of, for pytest prints groups of errors whole.
"""

from __future__ import annotations

from itertools import pairwise
from types import TracebackType

import pytest

from .._tracebacks import is_loop, is_ours


def add_options(parser: pytest.Parser) -> None:
    parser.getgroup("creche").addoption(
        "--creche-frames",
        action="store_true",
        help="show Creche's own frames in failures, which else begin and end in your program",
    )


def hide(config: pytest.Config, error: BaseException) -> None:
    """Leave Creche's frames out of an error, for whoever prints it."""
    if config.getoption("creche_frames") or config.getoption("fulltrace"):
        return
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = of_the_user(each.__traceback__)
            waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
            if isinstance(each, BaseExceptionGroup):
                waiting += each.exceptions


def of_the_user(traceback: TracebackType | None) -> TracebackType | None:
    """Cut a traceback to the frames that are not Creche's, nor of a loop that Creche has called.

    One that has no frame of the program stays as it is: there pytest shows what Creche says, and no frame.
    """
    kept: list[TracebackType] = []
    hiding = False
    here = traceback
    while here is not None:
        hiding = is_ours(here.tb_frame.f_code) or (hiding and is_loop(here))
        if not hiding:
            kept.append(here)
        here = here.tb_next
    if not kept or is_of_pytest(kept[-1]):
        return traceback
    for outer, inner in pairwise(kept):
        outer.tb_next = inner
    kept[-1].tb_next = None
    return kept[0]


def is_of_pytest(traceback: TracebackType) -> bool:
    module: str = traceback.tb_frame.f_globals.get("__name__", "")
    return module.partition(".")[0] in ("_pytest", "pluggy")

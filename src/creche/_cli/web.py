"""`creche web`: a page that shows a running program, or a recording.

Owns the way from what was typed to a source, and what the terminal shows. The page is `_insight_view/`'s.
"""

from __future__ import annotations

import argparse
import webbrowser
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .screen import Mistake

if TYPE_CHECKING:
    from .._insight_view.history import History
    from .._insight_view.web import Source

NEEDS = ("starlette", "uvicorn")


def show_page(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    check_installed("creche web", NEEDS)
    from .._dropin.switch import turn_on

    turn_on()  # Starlette imports AnyIO: here that is Creche.
    from .._insight_view.history import History

    history = History()
    serve(history, source_of(options.target, history), opens=options.open)
    return 0


def source_of(target: str, history: History) -> Source:
    """Return what the page shows: the program of a number, or the recording in a file.

    :raises Mistake: it cannot be shown
    """
    if target.isdecimal():
        from .._insight_view.source import LiveSource

        check_target(int(target))
        return LiveSource(int(target), history)
    from .._insight.recording import NoRecordingError, read_recording
    from .._insight_view.recorded import RecordedSource

    try:
        return RecordedSource(read_recording(target), history)
    except FileNotFoundError:
        raise Mistake(
            f"{target!r} is neither the number of a process nor a file; 'creche ps' lists programs"
        ) from None
    except (OSError, NoRecordingError) as exc:
        raise Mistake(str(exc)) from None


def serve(history: History, source: Source, *, opens: bool) -> None:
    from .._insight_view.web import serve_page
    from .._loop.run import run

    def announce(address: str) -> None:
        print(f"{address}\nThe address is good for one page. Ctrl-C ends it.", flush=True)
        if opens:
            webbrowser.open(address)

    tell = partial(print, flush=True)
    run(partial(serve_page, history, source, announce=announce, tell=tell))


def check_installed(command: str, needs: tuple[str, ...]) -> None:
    """See that the packages of the extra are there.

    :raises Mistake: one is not
    """
    missing = [name for name in needs if find_spec(name) is None]
    if missing:
        raise Mistake(
            f"{command!r} needs {' and '.join(missing)}: pip install 'creche[insight]'. Without it "
            f"there is 'creche tree PID'"
        )


def check_target(pid: int) -> None:
    """See that a program can be asked, before anything is shown.

    :raises Mistake: it cannot
    """
    from .._insight.ask import TargetError, connect

    try:
        with connect(pid) as target:
            target.ask("snapshot")
    except TargetError as exc:
        raise Mistake(str(exc)) from None

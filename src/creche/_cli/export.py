"""`creche export`: a recording in the format of other tools.

Owns what is printed. The recording is read, and converted, by `_insight`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .screen import Mistake


def export(options: argparse.Namespace) -> int:
    """Convert a recording."""
    from .._insight.perfetto import export_perfetto
    from .._insight.recording import read_recording

    target = options.output or f"{options.file}.json"
    try:
        recording = read_recording(options.file)
        if Path(target).exists() and Path(target).samefile(options.file):
            raise Mistake(f"{target!r} is the recording itself: name another file with --output")
        export_perfetto(recording, target)
    except (OSError, ValueError) as exc:
        raise Mistake(str(exc)) from None
    print(f"wrote {target}: open it at https://ui.perfetto.dev")
    return 0

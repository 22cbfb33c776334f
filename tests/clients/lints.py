"""Looks for lints while the clients' tests run: what `--lints` switches on.

Owns the thread that looks, and what it has found. A correct program shows none, so each one that does is looked into.
In this process only: the suites that run in others see nothing of it.
"""

from __future__ import annotations

import threading
from collections import Counter

EVERY = 0.1


class Lints:
    """The lints that were seen, each with the test that ran."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.looks = 0
        self.test = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lints", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        from creche import insight

        while not self._over.wait(EVERY):
            self.looks += 1
            seen = {
                f"{self.test}: {lint.kind}: {lint.text.partition(' for ')[0]}"
                for loop in insight.snapshot().loops
                for lint in loop.lints
            }
            self.found.update(seen)

    def stop(self) -> list[str]:
        """Return what was found, and how often."""
        self._over.set()
        self._thread.join()
        return [f"{count:>5} x {text}" for text, count in sorted(self.found.items())]

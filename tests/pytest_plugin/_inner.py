"""`Inner`: a small project of tests, and what pytest says of it.

Runs pytest in this process, which is quick, or apart in one of its own, where signals, options of
Python or the plugins of others are concerned. Of plugins only Creche's is loaded, unless asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from _harness import Backend

TESTS = Path(__file__).parent.parent
PLUGINS = {"creche": "creche.pytest_plugin", "anyio": "creche._pytest.anyio_plugin"}
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-W", "error")
CONFTEST = """
import pytest
from _harness import BACKENDS

@pytest.fixture(scope="session")
def creche_backend():
    backend = BACKENDS[{name!r}]
    return (backend.kernel, dict(backend.options)) if backend.options else backend.kernel
"""


class Told:
    """A plugin that notes the reports of a run."""

    def __init__(self) -> None:
        self.reports: list[pytest.TestReport | pytest.CollectReport] = []
        self.exit_code = -1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.reports.append(report)

    def of(self, name: str) -> str:
        """Say what came of a test: `"passed"`, or `"failed in call, failed in teardown"`..."""
        found = [r for r in self.reports if r.nodeid.partition("::")[2] == name]
        assert found, f"{name} did not run, only {sorted({r.nodeid for r in self.reports})}"
        bad = [f"{_outcome(report)} in {report.when}" for report in found if not report.passed]
        return ", ".join(bad) or "passed"

    def counts(self) -> dict[str, int]:
        return dict(Counter(self.of(name) for name in self.names()))

    def names(self) -> list[str]:
        """The tests that ran, in order."""
        return list(dict.fromkeys(r.nodeid.partition("::")[2] for r in self.reports))

    def text(self, name: str) -> str:
        """What a test's failures look like."""
        return "\n".join(
            str(r.longrepr) for r in self.reports if r.nodeid.endswith(name) and r.longrepr
        )


def _outcome(report: pytest.TestReport | pytest.CollectReport) -> str:
    return "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome


class Inner:
    """A project in a folder of its own."""

    def __init__(self, folder: Path, prefix: str = "creche") -> None:
        self.folder = folder
        self.prefix = prefix
        self.ini()

    def write(self, name: str, text: str) -> None:
        """Write a file, with Creche's names in it; they are changed if the project has others."""
        text = textwrap.dedent(text)
        if self.prefix != "creche":
            text = text.replace("creche_", f"{self.prefix}_")
            text = text.replace("mark.creche", f"mark.{self.prefix}")
        (self.folder / name).write_text(text)

    def ini(self, *lines: str) -> None:
        self.write("pytest.ini", "\n".join(("[pytest]", *lines)))

    def on(self, backend: Backend) -> None:
        """Have the tests run on one backend."""
        self.write("conftest.py", CONFTEST.format(name=backend.name))

    def run(self, *options: str, test: str | None = None) -> Told:
        """Run pytest here, on `test` if it is given, written to a file."""
        if test is not None:
            self.write("test_inner.py", test)
        told = Told()
        plugin = ["-p", PLUGINS[self.prefix]]
        before, here = dict(os.environ), set(sys.modules)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        try:
            told.exit_code = pytest.main(
                [str(self.folder), "-s", "--import-mode=importlib", *QUIET, *plugin, *options],
                plugins=[told],
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
            for name in set(sys.modules) - here:
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(self.folder)):
                    del sys.modules[name]
        return told

    def command(self, *options: str, python: tuple[str, ...] = ()) -> list[str]:
        return [sys.executable, *python, "-m", "pytest", str(self.folder), *QUIET, *options]

    def environment(self, *, autoload: bool = False) -> dict[str, str]:
        made = {**os.environ, "PYTHONPATH": str(TESTS)}
        made.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD", None)
        if not autoload:
            made["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        return made

    def run_apart(
        self, *options: str, autoload: bool = False, test: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run pytest in a process of its own, which loads what is installed only if asked."""
        if test is not None:
            self.write("test_inner.py", test)
        plugin = [] if autoload else ["-p", PLUGINS[self.prefix]]
        return subprocess.run(
            self.command(*plugin, *options),
            env=self.environment(autoload=autoload),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

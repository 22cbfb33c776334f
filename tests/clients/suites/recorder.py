"""A pytest plugin that writes what became of each test, and which library stood behind `anyio`.

Runs inside the suites of others (`-p recorder`, with the file's name in CLIENTS_REPORT), so it
stands alone and changes nothing there. An outcome is the worst of a test's phases:

    passed < skipped < xfailed < xpassed < failed < error
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

ORDER = ("passed", "skipped", "xfailed", "xpassed", "failed", "error")
outcomes: dict[str, str] = {}
reasons: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    outcome = outcome_of(report)
    if report.when == "call" or outcome != "passed":
        known = outcomes.get(report.nodeid, "passed")
        outcomes[report.nodeid] = max(known, outcome, key=ORDER.index)
    if report.failed:
        reasons.setdefault(report.nodeid, last_line(report))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        outcomes[report.nodeid] = "error"
        reasons[report.nodeid] = last_line(report)


def outcome_of(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    if report.failed and report.when != "call":
        return "error"
    return str(report.outcome)


def last_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    errors = [line[2:].strip() for line in report.longreprtext.splitlines() if line[:2] == "E "]
    return (errors or report.longreprtext.splitlines() or ["?"])[-1 if not errors else 0]


def pytest_sessionfinish(exitstatus: int) -> None:
    anyio = sys.modules.get("anyio")
    library = "creche" if anyio is not None and anyio is sys.modules.get("creche") else "anyio"
    report = {
        "library": "none" if anyio is None else library,
        "status": int(exitstatus),
        "outcomes": outcomes,
        "reasons": reasons,
    }
    Path(os.environ["CLIENTS_REPORT"]).write_text(json.dumps(report, indent=1))

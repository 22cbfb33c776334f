"""The test suites of other packages: the same outcomes on Creche as on AnyIO itself.

Each suite runs on both at the same time. A test whose outcomes are not as expected is run again,
on both, so that one which fails now and then (some measure rates) is no difference. What is left is
held to `differences.toml`, in both directions.
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections import Counter

import pytest
from suites import HERE, SUITES, Report, Suite, fetch, pinned, run_both

TABLE = HERE / "differences.toml"
TRIES = 3
DOCUMENTATION = HERE.parents[2] / "docs" / "clients.md"


@pytest.fixture(scope="module", autouse=True)
def sources() -> None:
    fetch()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.package)
def test_a_suite_comes_out_as_on_anyio(suite: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    reports = run_both(suite)
    assert {name: report.library for name, report in reports.items()} == {
        "anyio": "anyio",
        "creche": "creche",
    }
    known, found = listed(suite.package), differences(reports)
    for _ in range(TRIES):
        if not (
            news := sorted(name for name in found | known if found.get(name) != known.get(name))
        ):
            break
        again = run_both(suite, news)
        found = {name: found[name] for name in found if name not in news} | differences(again)
        reports["creche"].reasons.update(again["creche"].reasons)
    with capsys.disabled():
        print(f"\n  {suite.package:<10} {summary(reports['creche'])}, {len(found)} differ")
    wrong = unexpected(found, known, reports["creche"].reasons)
    assert not wrong, "\n".join(wrong)
    assert passed(reports["creche"]) > 0


def differences(reports: dict[str, Report]) -> dict[str, tuple[str, str]]:
    """The outcomes on AnyIO and on Creche of every test where they differ."""
    anyio, creche = reports["anyio"].outcomes, reports["creche"].outcomes
    both = {
        test: (anyio.get(test, "absent"), creche.get(test, "absent")) for test in anyio | creche
    }
    return {test: pair for test, pair in both.items() if pair[0] != pair[1]}


def listed(package: str) -> dict[str, tuple[str, str]]:
    rows = tomllib.loads(TABLE.read_text()).get(package, [])
    assert all(row["reason"] for row in rows)
    return {row["test"]: (row["anyio"], row["creche"]) for row in rows}


def unexpected(
    found: dict[str, tuple[str, str]],
    known: dict[str, tuple[str, str]],
    reasons: dict[str, str],
) -> list[str]:
    """Every difference that is not listed as it is, and every listed one that is none."""
    news = [
        f"{test}: {pair[0]} on AnyIO, {pair[1]} on Creche: {reasons.get(test, '')}"
        for test, pair in found.items()
        if known.get(test) != pair
    ]
    stale = [
        f"{test}: listed in {TABLE.name}, but differs no more" for test in known.keys() - found
    ]
    return [*news, *stale]


def summary(report: Report) -> str:
    counts = Counter(report.outcomes.values())
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def passed(report: Report) -> int:
    return list(report.outcomes.values()).count("passed")


def test_the_comparison_sees_what_differs_and_what_is_listed_in_vain() -> None:
    reports = {
        "anyio": Report("anyio", {"a": "passed", "b": "passed", "c": "failed"}),
        "creche": Report("creche", {"a": "passed", "b": "failed", "d": "passed"}),
    }
    found = differences(reports)
    assert found == {
        "b": ("passed", "failed"),
        "c": ("failed", "absent"),
        "d": ("absent", "passed"),
    }
    known = {"b": ("passed", "failed"), "c": ("failed", "passed"), "x": ("passed", "failed")}
    assert unexpected(found, known, {"d": "why"}) == [
        "c: failed on AnyIO, absent on Creche: ",
        "d: absent on AnyIO, passed on Creche: why",
        "x: listed in differences.toml, but differs no more",
    ]


def test_the_suites_are_those_of_the_versions_installed() -> None:
    installed = {name: importlib.metadata.version(name) for name in pinned()}
    assert pinned() == installed
    assert {suite.package for suite in SUITES} == set(pinned())


def test_the_documentation_names_the_versions_that_are_run() -> None:
    rows = re.findall(r"^\| ([a-z-]+) ([0-9.]+) \|", DOCUMENTATION.read_text(), re.MULTILINE)
    assert rows and dict(rows) == {name: importlib.metadata.version(name) for name, _ in rows}

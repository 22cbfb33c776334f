"""The suites of packages that stand on AnyIO: where they come from, and how each is run.

Owns the list of the suites, their unpacked sources below `.cache/clients`, and a run of one suite
on one library in a process of its own. Knows nothing of what the outcomes are held to.

* `sources.txt` pins what is fetched, by version and hash. It is fetched once.
* A suite's own options are taken away where they ask for more than its tests (coverage), and its
  warnings are not turned into errors: a warning of one package about another is no outcome.
* Only the plug-ins that a suite needs are loaded.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[2] / ".cache" / "clients"
SOURCES = HERE / "sources.txt"
LIBRARIES = ("anyio", "creche")
VARIABLE = "CRECHE_AS_ANYIO"
SECONDS = 300.0  # the longest that a suite may take


@dataclass(frozen=True)
class Suite:
    """The tests of one package: what is run of them, and the plug-ins they need."""

    package: str
    paths: tuple[str, ...] = ("tests",)
    ignored: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)  # for the run on Creche
    in_turns: bool = False  # its tests take a port of their own choice: one run at a time


SUITES = (
    Suite(
        "httpcore",
        plugins=("pytest_httpbin.plugin", "pytest_trio.plugin", "pytest_asyncio.plugin"),
    ),
    Suite("starlette"),
    Suite("asyncer"),
    Suite("aiometer"),
    Suite("httpx", options=("-m", "not network"), in_turns=True),
    Suite(
        "mcp",
        paths=tuple(
            f"tests/{part}"
            for part in ("client", "interaction", "issues", "server", "shared", "transports")
        ),
        ignored=(
            "tests/server/test_otel.py",
            "tests/shared/test_otel.py",
        ),  # need logfire's plug-in
        options=("-o", "log_cli=false"),
        variables={"CRECHE_BUDGET": "1"},  # some of its tests count on a send to give way
    ),
    Suite(
        "fastapi",
        ignored=(
            "tests/test_fastapi_cli.py",  # needs the command line's package
            "tests/test_modules_same_name_body",  # synchronous, and the bulk of the time
            "tests/test_request_params",
            "tests/test_telemetry",
            "tests/test_tutorial",
        ),
    ),
)


@dataclass(frozen=True)
class Report:
    """What became of the tests of a suite."""

    library: str
    outcomes: dict[str, str]
    reasons: dict[str, str] = field(default_factory=dict)


def pinned() -> dict[str, str]:
    """The version of each package in `sources.txt`."""
    lines = [line.split() for line in SOURCES.read_text().splitlines() if "==" in line]
    return dict(words[0].split("==") for words in lines)


def fetch() -> None:
    """Fetch and unpack the source distributions that are not there yet."""
    missing = {name: version for name, version in pinned().items() if not folder(name).is_dir()}
    if not missing:
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "download"]
    command += ["--no-deps", "--no-binary=:all:", "--require-hashes", f"--dest={CACHE}"]
    subprocess.run([*command, f"--requirement={SOURCES}"], check=True, stdin=subprocess.DEVNULL)
    for name, version in missing.items():
        with tarfile.open(CACHE / f"{name}-{version}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")


def folder(package: str) -> Path:
    return CACHE / f"{package}-{pinned()[package]}"


def start(suite: Suite, library: str, tests: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the suite, or some of its tests, on "anyio" or on "creche"."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "--color=no", "--no-header"]
    command += ["-o", "addopts=", "-o", "filterwarnings=", "-p", "no:cacheprovider"]
    for plugin in ("anyio", *suite.plugins, "recorder"):
        command += ["-p", plugin]
    command += suite.options
    command += [f"--ignore={path}" for path in suite.ignored]
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if library == "creche":
        environment[VARIABLE] = "1"
        environment |= suite.variables
    environment |= {
        "CLIENTS_REPORT": str(report_path(suite, library)),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(HERE),
        "PYTHONWARNINGS": "ignore",
        "PYTEST_ADDOPTS": "",
    }
    report_path(suite, library).unlink(missing_ok=True)
    output = output_path(suite, library).open("w")
    with output:
        return subprocess.Popen(
            [*command, *(tests or suite.paths)],
            cwd=folder(suite.package),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            start_new_session=True,
        )


def run_both(suite: Suite, tests: Sequence[str] = ()) -> dict[str, Report]:
    """Run a suite on both libraries, at the same time where it can."""
    if suite.in_turns:
        return {library: run(suite, library, tests) for library in LIBRARIES}
    with ThreadPoolExecutor(len(LIBRARIES)) as pool:
        reports = pool.map(lambda library: run(suite, library, tests), LIBRARIES)
        return dict(zip(LIBRARIES, reports, strict=True))


def run(suite: Suite, library: str, tests: Sequence[str]) -> Report:
    """Run a suite; its report has to be there, whatever its tests say."""
    with start(suite, library, tests) as process:
        try:
            process.wait(SECONDS)
        finally:
            kill(process)
    path = report_path(suite, library)
    if not path.exists():
        printed = "\n".join(output_path(suite, library).read_text().splitlines()[-40:])
        raise AssertionError(f"{suite.package} did not end on {library}:\n{printed}")
    report = json.loads(path.read_text())
    return Report(report["library"], report["outcomes"], report["reasons"])


def kill(process: subprocess.Popen[str]) -> None:
    """End what is left of a suite: it has a session, and so a group of processes, of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def report_path(suite: Suite, library: str) -> Path:
    return CACHE / f"{suite.package}.{library}.json"


def output_path(suite: Suite, library: str) -> Path:
    return CACHE / f"{suite.package}.{library}.txt"

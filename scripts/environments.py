"""Finds the CPythons of this machine and keeps a virtual environment for each.

Owns `.venv`, the main environment: made with the newest CPython, and the only one that holds more
than the tests need; `.venvs/3.N`, one for each other minor version, for the tests; and
`.venvs/clients`, with packages that require AnyIO, which are nobody else's business. Knows only the
standard library of Python 3.11, for it runs before anything is installed. It runs on POSIX.

    environments.py list                      what was found, and what each is used for
    environments.py main [--group NAME]...    make or complete the main environment
    environments.py test [--only 3.N] [ARGS]  run pytest with ARGS on every interpreter
    environments.py clients [ARGS]            run the tests of real clients, with ARGS for pytest

An environment is

    absent ──venv──▸ empty ──pip──▸ ready ──pyproject.toml changed, or another group──▸ stale
                       ▴                ╲──its interpreter went away──▸ absent      │
                       ╰────────────────────────────pip─────────────────────────────╯

and what it is ready for stands in the `creche.json` inside it. Without that file it is absent,
whatever else is there. Two runs at the same time take turns.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
MAIN = ROOT / ".venv"
OTHERS = ROOT / ".venvs"
CLIENTS = ROOT / "tests" / "clients"
STAMP = "creche.json"

OLDEST = (3, 11)
FAILED_TESTS = 1
"""pytest's exit status when tests have failed, and nothing else went wrong."""
SERVERS = {"initdb": "postgresql", "redis-server": "redis-server"}
"""Programs that the tests of clients start, and Debian's packages that have them."""
INTERPRETER_NAME = re.compile(r"python3\.\d+")
INTERPRETER_FOLDERS = ("~/.pyenv/versions/*/bin", "~/.local/share/uv/python/*/bin")

PROBE = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": sys.version_info[:3],
    "level": sys.version_info.releaselevel,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "executable": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "has_pip": importlib.util.find_spec("ensurepip") is not None,
}))
"""


class Failure(Exception):
    """What stopped the work, in words for the user."""


# ── Interpreters ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Interpreter:
    executable: str
    version: tuple[int, int, int]
    has_pip: bool
    excluded: str = field(default="", compare=False)  # the reason, if it is not to be used

    @property
    def minor(self) -> str:
        return "{}.{}".format(*self.version)

    @property
    def name(self) -> str:
        return "CPython {}.{}.{}".format(*self.version)


def candidates() -> Iterator[Path]:
    """Everything that may be an interpreter, in the order in which a shell would prefer it."""
    yield Path(sys.executable)
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    patterns = list(INTERPRETER_FOLDERS)
    if "PYENV_ROOT" in os.environ:
        patterns.append(os.environ["PYENV_ROOT"] + "/versions/*/bin")
    for pattern in patterns:
        base, _, rest = pattern.partition("*")
        folders += sorted(Path(base).expanduser().glob("*" + rest))
    for folder in folders:
        if folder.is_dir() and os.access(folder, os.R_OK):
            yield from sorted(p for p in folder.iterdir() if INTERPRETER_NAME.fullmatch(p.name))


def probe(candidate: Path) -> Interpreter | None:
    """Ask the candidate what it is. A shim without an interpreter behind it answers nothing."""
    try:
        # From the root folder, and with no version asked for, a pyenv shim gives its own answer.
        answer = subprocess.run(
            [candidate, "-I", "-c", PROBE], capture_output=True, check=True, timeout=30
        )
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    excluded = ""
    if facts["implementation"] != "cpython":
        excluded = "not CPython"
    elif tuple(facts["version"]) < OLDEST:
        excluded = "older than Python {}.{}".format(*OLDEST)
    elif facts["level"] != "final":
        excluded = "a pre-release"
    elif facts["free_threaded"]:
        excluded = "free-threaded"
    version = tuple(facts["version"])
    return Interpreter(facts["executable"], version, facts["has_pip"], excluded)


def installed() -> list[Interpreter]:
    """Every interpreter found, one entry for each executable."""
    found: dict[str, Interpreter] = {}
    seen: set[Path] = set()
    for candidate in candidates():
        real = candidate.resolve()
        if real not in seen:
            seen.add(real)
            if interpreter := probe(candidate):
                found.setdefault(interpreter.executable, interpreter)
    return list(found.values())


def usable(found: Iterable[Interpreter]) -> list[Interpreter]:
    """The best interpreter of each minor version, oldest first."""
    best: dict[str, Interpreter] = {}
    for each in found:
        rival = best.get(each.minor)
        if not each.excluded and (rival is None or rank(each) > rank(rival)):
            best[each.minor] = each
    return sorted(best.values(), key=lambda each: each.version)


def rank(interpreter: Interpreter) -> tuple[bool, tuple[int, int, int]]:
    return interpreter.has_pip, interpreter.version


# ── Environments ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Environment:
    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    def stamp(self) -> dict[str, object]:
        """What the environment is ready for; empty if it is absent or its interpreter is."""
        try:
            stamp = json.loads((self.path / STAMP).read_text())
        except (OSError, ValueError):
            return {}
        if not isinstance(stamp, dict) or stamp.get("path") != str(self.path):
            return {}  # an environment that was moved or copied still leads to where it was made
        # `python` is a link: it exists only while what it leads to does.
        return stamp if self.python.exists() else {}

    def ready(self, groups: Iterable[str]) -> bool:
        stamp = self.stamp()
        return stamp.get("project") == fingerprint() and set(groups) <= groups_in(stamp)

    def make(self, interpreter: Interpreter, *, with_pip: bool) -> None:
        say(f"Making {self.path.relative_to(ROOT)} with {interpreter.name}")
        options = [] if with_pip else ["--without-pip"]
        run([interpreter.executable, "-m", "venv", "--clear", *options, self.path])

    def install(self, groups: Iterable[str], interpreter: str) -> None:
        """Install the project as it stands here, and the groups, with the main environment's pip."""
        stamp = self.stamp()
        wanted = set(groups)
        if stamp.get("project") == fingerprint():
            wanted |= groups_in(stamp)  # so that pip sees together what must fit together
        say(f"Installing {', '.join(['creche', *sorted(wanted)])} in {self.path.relative_to(ROOT)}")
        chosen = [f"--group={group}" for group in sorted(wanted)]
        pip("--python", self.python, "install", "--editable", f"{ROOT}[all]", *chosen)
        state = {
            "path": str(self.path),
            "interpreter": interpreter,
            "project": fingerprint(),
            "groups": sorted(wanted),
        }
        (self.path / STAMP).write_text(json.dumps(state, indent=2))


def groups_in(stamp: dict[str, object]) -> set[str]:
    groups = stamp.get("groups")
    return {str(group) for group in groups} if isinstance(groups, list) else set()


def fingerprint() -> str:
    return hashlib.sha256(PROJECT.read_bytes()).hexdigest()


def main_environment(groups: Iterable[str]) -> Environment:
    """The main environment, ready for these groups, on the interpreter that it already has."""
    main = Environment(MAIN)
    if main.ready(groups):
        return main
    with taking_turns():
        if not main.stamp():
            able = [each for each in usable(installed()) if each.has_pip]
            if not able:
                raise Failure(
                    "No CPython 3.11 or later with pip was found. Install one, "
                    "or the package that gives yours `venv` and `ensurepip`."
                )
            main.make(able[-1], with_pip=True)
            pip("install", "--upgrade", "pip>=25.1")  # the first with dependency groups
        if not main.ready(groups):
            main.install(groups, str(main.python.resolve()))
    return main


def test_environment(interpreter: Interpreter) -> Environment:
    """The environment in which the tests run on this interpreter; the main one is there already."""
    main = Environment(MAIN)
    if minor_of(main) == interpreter.minor:
        return main
    environment = Environment(OTHERS / interpreter.minor)
    with taking_turns():
        if environment.stamp().get("interpreter") != interpreter.executable:
            environment.make(interpreter, with_pip=False)
        if not environment.ready(["test"]):
            environment.install(["test"], interpreter.executable)
    return environment


def clients_environment() -> Environment:
    """The environment of the clients, on the main environment's interpreter."""
    interpreter = probe(main_environment([]).python)
    if interpreter is None:
        raise Failure(f"{MAIN} does not run. `make clean` and try again.")
    environment = Environment(OTHERS / "clients")
    with taking_turns():
        if environment.stamp().get("interpreter") != interpreter.executable:
            environment.make(interpreter, with_pip=True)  # its tests fetch sources with it
        if not environment.ready(["clients"]):
            environment.install(["clients"], interpreter.executable)
    return environment


def install_servers() -> None:
    """Install the servers that the clients' tests start, where that is possible; the tests say what is missing."""
    missing = [
        package
        for program, package in SERVERS.items()
        if not shutil.which(program) and not list(Path("/usr/lib").glob(f"*/*/bin/{program}"))
    ]
    apt = shutil.which("apt-get")
    if not missing or apt is None or os.geteuid() != 0:
        return
    with taking_turns():
        say(f"Installing {', '.join(missing)}")
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        options = ["--quiet", "--quiet", "--yes", "--no-install-recommends"]
        for command in (["update", "--quiet"], ["install", *options, *missing]):
            subprocess.run(
                [apt, *command], env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                check=False,
            )  # fmt: skip


def minor_of(environment: Environment) -> str:
    interpreter = probe(environment.python)
    if interpreter is None:
        raise Failure(f"{environment.python} does not run. `make clean` and try again.")
    return interpreter.minor


@contextmanager
def taking_turns() -> Iterator[None]:
    """Hold the lock under which environments are made and completed."""
    OTHERS.mkdir(exist_ok=True)
    with (OTHERS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ── Commands ──────────────────────────────────────────────────────────────────────────────────────


def list_interpreters() -> int:
    found = installed()
    chosen = usable(found)
    for each in sorted(found, key=lambda each: each.version):
        use = each.excluded or ("tests" if each in chosen else "another of its version is used")
        print(f"{'.'.join(map(str, each.version)):<8} {use:<32} {each.executable}")
    return 0


def run_tests(only: Sequence[str], arguments: Sequence[str]) -> int:
    """Run the tests on every interpreter, whatever the others did; say at the end how each went."""
    found = usable(installed())
    interpreters = [each for each in found if not only or each.minor in only]
    if not interpreters:
        raise Failure("No such CPython was found; `list` shows those that were.")
    main_environment(["test"])
    # A run waits for two thirds of its time, for programs that it has started and for clocks.
    at_once = min(len(interpreters), (os.cpu_count() or 1) + 1)
    with ThreadPoolExecutor(at_once) as pool:
        marked = at_once > 1
        running = {
            # The newest first: in development mode it takes longest.
            each: pool.submit(tests_on, each, arguments, marked, develops=each == found[-1])
            for each in reversed(interpreters)
        }
        results = [(each, *running[each].result()) for each in interpreters]
    print(flush=True)
    for interpreter, outcome, seconds in results:
        say(f"{interpreter.name:<16} {outcome:<24} {seconds:6.1f} s")
    return 0 if all(outcome.startswith("passed") for _, outcome, _ in results) else 1


def tests_on(
    interpreter: Interpreter, arguments: Sequence[str], marked: bool, develops: bool
) -> tuple[str, float]:
    """Run the tests; with `marked`, each line says whose it is, with `develops` in Python's development mode."""
    mark = f"{interpreter.minor:<4} │ " if marked else ""
    say(f"{mark}{interpreter.name} · {interpreter.executable}")
    started = time.monotonic()
    try:
        python = test_environment(interpreter).python
        command: list[str | Path] = [python, "-m", "pytest", *arguments]
        if (
            develops
        ):  # For each step asyncio notes a stack there: numbers of tasks are for the others.
            command = [python, "-X", "dev", *command[1:], "--ignore=tests/stress"]
    except Failure as failure:
        say(f"{mark}{failure}")
        outcome = "no environment"
    else:
        run = partial(marked_run, mark=mark) if marked else partial(subprocess.call, cwd=ROOT)
        outcome = tried_twice(run, command, ROOT / ".pytest_cache" / interpreter.minor)
    return outcome, time.monotonic() - started


def tried_twice(
    run: Callable[[Sequence[str | Path]], int], command: Sequence[str | Path], cache: Path
) -> str:
    """Run tests, and those that fail once more by themselves; return the outcome.

    CPython's own test runner does the same: what a busy machine has disturbed is told, and passes then.
    """
    command = [*command, "-o", f"cache_dir={cache}"]
    status = run(command)
    if status == FAILED_TESTS:
        say("The tests that have failed are run once more, by themselves.")
        if run([*command, "--last-failed", "--last-failed-no-failures=none"]) == 0:
            return "passed at a second try"
    return f"FAILED (status {status})" if status else "passed"


def marked_run(command: Sequence[str | Path], mark: str) -> int:
    """Run a command and put a mark before each line that it prints; return its status."""
    pipe, joined = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=pipe, stderr=joined, text=True,
        errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            say(mark + line.rstrip("\n"))
    return process.returncode


def run_client_tests(arguments: Sequence[str]) -> int:
    """Run the tests of real clients, which import AnyIO, with Creche in its place."""
    python = clients_environment().python
    install_servers()
    options = [f"--config-file={CLIENTS / 'pytest.ini'}", *arguments]
    environment = os.environ | {"CRECHE_AS_ANYIO": "1"}
    run = partial(subprocess.call, cwd=CLIENTS, env=environment)
    outcome = tried_twice(
        run, [python, "-m", "pytest", *options], ROOT / ".pytest_cache" / "clients"
    )
    say(f"clients: {outcome}")
    return 0 if outcome.startswith("passed") else 1


def pip(*arguments: str | Path) -> None:
    # Twice quiet: what went wrong and nothing else.
    run([MAIN / "bin" / "python", "-m", "pip", "-qq", "--disable-pip-version-check", *arguments])


def run(command: Sequence[str | Path]) -> None:
    # From the root, for that is where pip looks for the groups; without anybody to ask.
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(f"Failed with status {done.returncode}: {' '.join(map(str, command))}")


def say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="The environments of this project.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the interpreters that were found")
    making = commands.add_parser("main", help="make or complete the main environment")
    making.add_argument("--group", action="append", default=[], help="a dependency group it needs")
    testing = commands.add_parser("test", help="run pytest on every interpreter")
    testing.add_argument("--only", action="append", default=[], metavar="3.N")
    commands.add_parser("clients", help="run the tests of real clients")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command not in ("test", "clients"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if options.command == "list":
            return list_interpreters()
        if options.command == "test":
            return run_tests(options.only, rest)
        if options.command == "clients":
            return run_client_tests(rest)
        main_environment(options.group)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

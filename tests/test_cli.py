"""The command line: what the demo reports, how programs are found and run, and Ctrl-C."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from creche._cli import main
from creche._cli.run import split_target
from creche._cli.screen import wants_colour

EXAMPLES = Path(__file__).parent.parent / "examples"

BACKENDS = {
    "asyncio": ["--backend", "asyncio"],
    "uvloop": ["--uvloop"],
    "trio": ["--backend", "trio"],
}
on_each_backend = pytest.mark.parametrize("flags", BACKENDS.values(), ids=BACKENDS)

PROGRAM = """
import sys

import creche


async def main():
    await creche.lowlevel.checkpoint()
    print("ran with", sys.argv[1:])


async def numbers():
    yield 1


async def greet(name):
    pass


async def fail():
    await creche.sleep(0)
    raise ValueError("a plain mistake")


async def leave():
    await creche.sleep(0)
    raise SystemExit(7)


def ordinary():
    pass


class Group:
    @staticmethod
    async def inner():
        print("the inner one ran")


constant = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs in it, made the current one; what `main` changes is put back."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "needs.py").write_text("import package_that_nobody_has\n")
    (tmp_path / "broken.py").write_text("def main(:\n")
    (tmp_path / "folder.py").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `creche` as a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "creche", *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONIOENCODING": "utf-8", **variables},
        timeout=120,
    )


# ── creche ───────────────────────────────────────────────────────────────────────────────────────


def test_without_arguments_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "demo" in out
    assert "run" in out


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("creche ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["walk"], "invalid choice: 'walk'"),
        (["run"], "required: TARGET"),
        (["run", "program.py", "--fast"], "unrecognized arguments: --fast"),
        (["demo", "--", "x"], "only 'creche run' takes arguments after --"),
        (["demo", "nothing"], "there is no example 'nothing'; there are tasks, "),
        (["demo", "--backend", "curio"], "no such backend: 'curio'; there are asyncio, "),
        (["demo", "--folder", "empty"], "there is no example in 'empty'"),
        (["run", "nothing:main"], "there is no module 'nothing'"),
        (["run", "program.nothing:main"], "there is no module 'program.nothing'"),
        (["run", "pro-gram"], "'pro-gram' is neither the name of a module nor the path"),
        (["run", "program:nothing"], "'program' has no 'nothing'"),
        (["run", "needs_no_main"], "there is no module 'needs_no_main'"),
        (["run", "nothing.py"], "'nothing.py' does not exist"),
        (["run", "./nothing"], "'./nothing' does not exist"),
        (["run", "folder.py"], "'folder.py' is not a file"),
        (["run", "program.py:nothing"], "'program' has no 'nothing'"),
        (["run", "program.py:ordinary"], "is not a coroutine function, one made by 'async def'"),
        (["run", "program:constant"], "but of type int"),
        (["run", "program:numbers"], "an async generator function, for it has a 'yield'"),
        (["run", "program:greet"], "cannot be called without arguments: missing a required"),
        (["run", "program:main", "--backend", "curio"], "No such backend: curio"),
        (["run", "program:main", "--backend", "trio", "--uvloop"], "--uvloop only goes with"),
        (["run", "program:main", "--backend", "trio", "--debug"], "--debug only goes with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_status_2(
    arguments: list[str], words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("creche: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_process_exits_with_the_status_of_a_mistake(here: Path) -> None:
    done = command("run", "nothing:main")
    assert done.returncode == 2
    assert done.stderr == "creche: there is no module 'nothing' in this folder or on sys.path\n"


# ── creche run ───────────────────────────────────────────────────────────────────────────────────


@on_each_backend
@pytest.mark.parametrize(
    "target", ["program:main", "program", "program.py", "program.py:main", "./program.py"]
)
def test_a_program_is_run_on_the_backend_asked_for(
    target: str, flags: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", target, *flags, "--", "--backend", "x"]) == 0
    assert capsys.readouterr().out == "ran with ['--backend', 'x']\n"


def test_a_program_sees_its_own_file_and_arguments_in_argv(here: Path) -> None:
    assert main(["run", "program.py", "--", "1", "2"]) == 0
    assert sys.argv == ["program.py", "1", "2"]


def test_a_function_may_be_an_attribute_of_another_object(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "program:Group.inner"]) == 0
    assert capsys.readouterr().out == "the inner one ran\n"


def test_debug_and_uvloop_reach_the_loop(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "look.py").write_text(
        "import asyncio\n"
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    print(type(loop).__module__.partition('.')[0], loop.get_debug())\n"
    )
    assert main(["run", "look.py"]) == 0
    assert main(["run", "look.py", "--debug", "--uvloop"]) == 0
    assert capsys.readouterr().out == "asyncio False\nuvloop True\n"


def test_a_script_may_have_the_name_of_a_module_in_use(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "json.py").write_text(PROGRAM)
    assert main(["run", "json.py"]) == 0
    assert capsys.readouterr().out == "ran with []\n"
    assert sys.modules["json"].__file__ != str(here / "json.py")


def test_a_script_finds_the_modules_beside_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "neighbour.py").write_text("WORD = 'hello'\n")
    (here / "sub" / "script.py").write_text(
        "from neighbour import WORD\nasync def main():\n    print(WORD)\n"
    )
    assert main(["run", "sub/script.py"]) == 0
    assert capsys.readouterr().out == "hello\n"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("app:main", ("app", "main")),
        ("app", ("app", "main")),
        ("C:\\app.py", ("C:\\app.py", "main")),
        ("C:/app.py:serve", ("C:/app.py", "serve")),
    ],
)
def test_the_colon_of_a_drive_names_no_function(target: str, parts: tuple[str, str]) -> None:
    assert split_target(target) == parts


@on_each_backend
def test_an_exception_shows_the_traceback_of_the_program_alone(
    flags: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "program.py:fail", *flags]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{here / "program.py"}", line 22, in fail'
    assert lines[-1] == "ValueError: a plain mistake"


@pytest.mark.parametrize(
    ("target", "last"),
    [
        ("needs.py", "ModuleNotFoundError: No module named 'package_that_nobody_has'"),
        ("needs:main", "ModuleNotFoundError: No module named 'package_that_nobody_has'"),
    ],
)
def test_an_error_while_loading_is_the_program_s_own(
    target: str, last: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", target]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == f'  File "{here / "needs.py"}", line 1, in <module>'
    assert lines[-1] == last


def test_a_syntax_error_is_shown_where_it_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "broken.py"]) == 1
    err = capsys.readouterr().err
    assert f'File "{here / "broken.py"}", line 1' in err
    assert "SyntaxError" in err


@on_each_backend
def test_system_exit_passes_with_its_status(flags: list[str], here: Path) -> None:
    with pytest.raises(SystemExit, match=r"^7$"):
        main(["run", "program:leave", *flags])


# ── Ctrl-C ───────────────────────────────────────────────────────────────────────────────────────

TIDY = """
import creche


async def child(task_status):
    try:
        task_status.started()
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            await creche.sleep(0.01)
        print("the child cleaned up")


async def main():
    try:
        async with creche.create_task_group() as tg:
            await tg.start(lambda *, task_status: child(task_status))
            print("ready", flush=True)
            await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            await creche.sleep(0.01)
        print("the host cleaned up")
"""

BUSY = """
import creche


async def main():
    print("ready", flush=True)
    while True:  # never blocks, but for its checkpoints
        await creche.lowlevel.checkpoint()
"""

OBSTINATE = """
import creche


async def main():
    try:
        print("ready", flush=True)
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            print("ready", flush=True)
            await creche.sleep_forever()
"""

CLUMSY = """
import creche


async def main():
    try:
        print("ready", flush=True)
        await creche.sleep_forever()
    finally:
        raise ValueError("the clean-up failed")
"""

SLOW_TO_LOAD = """
import time

print("ready", flush=True)
time.sleep(60)
"""


def interrupt(folder: Path, source: str, *flags: str, presses: int = 1) -> tuple[int, str, str]:
    """Run a program and press Ctrl-C each time it says it is ready: status, stdout, stderr."""
    script = folder / "script.py"
    script.write_text(source)
    with subprocess.Popen(
        [sys.executable, "-m", "creche", "run", str(script), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores SIGINT, and its children would inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            for _ in range(presses):
                line = process.stdout.readline()
                if line != "ready\n":
                    break
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out, err


@on_each_backend
def test_ctrl_c_cancels_the_program_and_lets_it_clean_up(flags: list[str], tmp_path: Path) -> None:
    status, out, err = interrupt(tmp_path, TIDY, *flags)
    assert err == ""
    assert out == "the child cleaned up\nthe host cleaned up\n"
    assert status == 130


@on_each_backend
def test_ctrl_c_ends_a_program_that_never_blocks(flags: list[str], tmp_path: Path) -> None:
    assert interrupt(tmp_path, BUSY, *flags) == (130, "", "")


@on_each_backend
def test_a_second_ctrl_c_ends_a_program_that_will_not_go(flags: list[str], tmp_path: Path) -> None:
    assert interrupt(tmp_path, OBSTINATE, *flags, presses=2) == (-signal.SIGINT, "", "")


def test_an_error_while_cleaning_up_after_ctrl_c_is_shown(tmp_path: Path) -> None:
    status, _, err = interrupt(tmp_path, CLUMSY)
    assert err.endswith("ValueError: the clean-up failed\n")
    assert status == 1


def test_ctrl_c_while_a_program_is_loaded_leaves_no_traceback(tmp_path: Path) -> None:
    assert interrupt(tmp_path, SLOW_TO_LOAD) == (130, "", "")


# ── creche demo ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    """Returns a function that puts a copy of one example into a folder, and returns the folder."""

    def copy(name: str) -> Path:
        (tmp_path / "expected").mkdir()
        shutil.copy(EXAMPLES / f"{name}.py", tmp_path)
        shutil.copy(EXAMPLES / "expected" / f"{name}.txt", tmp_path / "expected")
        return tmp_path

    return copy


def test_demo_shows_every_example_on_every_backend_and_exits_0() -> None:
    done = command("demo")
    assert done.returncode == 0, done.stdout
    for path in EXAMPLES.glob("*.py"):
        assert path.name in done.stdout
        for line in (EXAMPLES / "expected" / f"{path.stem}.txt").read_text().splitlines():
            assert f"│ {line}\n" in done.stdout
    number = len(list(EXAMPLES.glob("*.py")))
    for backend in BACKENDS:
        assert done.stdout.count(f"✓ {backend:<7} ") == number
    assert f"✓ {3 * number} runs in " in done.stdout
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_demo_is_coloured_on_request() -> None:
    done = command("demo", "tasks", "--backend", "asyncio", FORCE_COLOR="1")
    assert done.returncode == 0
    assert "\x1b[32m✓\x1b[0m" in done.stdout


def test_demo_is_plain_where_the_terminal_cannot_show_the_marks() -> None:
    done = command("demo", "tasks", "--backend", "asyncio", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\n  + asyncio" in done.stdout


def test_demo_runs_only_what_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "context.py", "tasks", "--backend", "trio"]) == 0
    out = capsys.readouterr().out
    assert out.count("trio   ") == 2
    assert "asyncio   " not in out


def test_demo_fails_when_an_output_is_not_the_expected_one(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    expected = folder / "expected" / "tasks.txt"
    expected.write_text(expected.read_text().replace("page 3", "page three"))
    assert main(["demo", "--folder", str(folder)]) == 1
    out = capsys.readouterr().out
    for backend in BACKENDS:
        assert f"on {backend} it did not do what it says" in out
    assert "-page three was loaded" in out
    assert "+page 3 was loaded" in out
    assert "3 did not do what the program says" in out


def test_demo_fails_when_an_example_raises_and_shows_where(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    script = folder / "tasks.py"
    script.write_text(script.read_text().replace("for handle in handles:", "1 / 0\n    if 0:"))
    assert main(["demo", "--folder", str(folder), "--backend", "asyncio"]) == 1
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().out


def test_demo_fails_when_one_backend_prints_something_else(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    (folder / "tasks.py").write_text(
        "import creche\n"
        "async def main():\n"
        "    print(creche.get_cancelled_exc_class().__module__.partition('.')[0])\n"
    )
    (folder / "expected" / "tasks.txt").write_text("asyncio\n")
    assert main(["demo", "--folder", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "│ asyncio\n" in out
    assert "on trio it did not do what it says" in out
    assert "on uvloop it did not" not in out


def test_demo_leaves_out_what_needs_a_missing_package_and_says_which(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    (folder / "more.py").write_text("import package_that_nobody_has\n")
    (folder / "expected" / "more.txt").write_text("")
    assert main(["demo", "--folder", str(folder), "--backend", "asyncio"]) == 0
    out = capsys.readouterr().out
    assert "left out: it needs package_that_nobody_has; pip install" in out
    assert "1 program left out" in out


@pytest.mark.parametrize(
    ("variables", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colour_follows_the_variables_then_the_terminal(
    variables: dict[str, str], terminal: bool, coloured: bool
) -> None:
    class File(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    assert wants_colour(File(), variables) is coloured

"""`run_process`: what it returns, what it raises, what goes in and out."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest
from _commands import FOREVER, children, python

import creche
from _harness import open_descriptors
from creche import run_process
from creche._subprocess import open as open_module


def outputs(done: subprocess.CompletedProcess[bytes]) -> list[object]:
    return [done.stdout, done.stderr]


async def test_a_command_gives_its_code_and_both_outputs() -> None:
    done = await run_process(["sh", "-c", "echo out; echo err >&2"])
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\n", b"err\n")
    assert done.args == ["sh", "-c", "echo out; echo err >&2"]


async def test_a_string_is_run_by_the_shell() -> None:
    done = await run_process("echo one; echo two")
    assert (done.args, done.stdout) == ("echo one; echo two", b"one\ntwo\n")


@pytest.mark.parametrize("command", [b"echo $((1+1))", pathlib.Path("echo $((1+1))")])
async def test_bytes_and_paths_are_run_by_the_shell(command: Any) -> None:
    assert (await run_process(command)).stdout == b"2\n"


async def test_arguments_may_be_paths_and_bytes() -> None:
    done = await run_process((pathlib.Path("/bin/echo"), b"a", "b"))
    assert done.stdout == b"a b\n"


async def test_a_code_other_than_zero_is_an_error_with_the_outputs() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        await run_process("echo out; echo err >&2; exit 3")
    assert (caught.value.returncode, caught.value.stdout, caught.value.stderr) == (
        3,
        b"out\n",
        b"err\n",
    )
    assert caught.value.cmd == "echo out; echo err >&2; exit 3"


async def test_without_check_the_code_is_returned() -> None:
    assert (await run_process(["false"], check=False)).returncode == 1


async def test_a_process_that_kills_itself_has_a_negative_code() -> None:
    assert (await run_process("kill -KILL $$", check=False)).returncode == -9


async def test_input_is_what_the_process_reads() -> None:
    assert (await run_process(["cat"], input=b"hello")).stdout == b"hello"


async def test_an_empty_input_is_an_end_of_file() -> None:
    assert (await run_process(["cat"], input=b"")).stdout == b""


async def test_a_pipe_for_stdin_without_input_is_an_end_of_file() -> None:
    assert (await run_process(["cat"], stdin=subprocess.PIPE)).stdout == b""


async def test_input_may_be_any_object_that_lends_its_memory() -> None:
    for data in (bytearray(b"abc"), memoryview(b"abc")):
        assert (await run_process(["cat"], input=data)).stdout == b"abc"  # type: ignore[arg-type]


async def test_input_and_outputs_beyond_the_pipes_go_through_at_once() -> None:
    code = "tee /dev/stderr"
    data = os.urandom(1_000_000)
    done = await run_process(code, input=data)
    assert done.stdout == data
    assert done.stderr == data


async def test_a_process_that_does_not_read_its_input_is_no_error() -> None:
    assert (await run_process(["true"], input=b"x" * 1_000_000)).returncode == 0


async def test_input_with_the_outputs_elsewhere() -> None:
    done = await run_process(
        ["cat"], input=b"x" * 200_000, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert done.returncode == 0
    assert outputs(done) == [None, None]


@pytest.mark.parametrize("stdin", [subprocess.PIPE, subprocess.DEVNULL])
async def test_only_one_of_stdin_and_input(stdin: int) -> None:
    with pytest.raises(ValueError, match="only one of stdin and input"):
        await run_process(["cat"], input=b"x", stdin=stdin)


async def test_text_as_input_is_refused_before_anything_starts() -> None:
    with pytest.raises(TypeError, match="input must be bytes, not str"):
        await run_process(["touch", "/nonexistent/x"], input="x")  # type: ignore[arg-type]


async def test_stderr_may_follow_stdout() -> None:
    done = await run_process("echo a; echo b >&2; echo c", stderr=subprocess.STDOUT)
    assert outputs(done) == [b"a\nb\nc\n", None]


async def test_outputs_may_go_to_files(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "out").open("w+b") as out, (tmp_path / "err").open("w+b") as err:
        done = await run_process("echo a; echo b >&2", stdout=out, stderr=err.fileno())
        assert outputs(done) == [None, None]
    assert (tmp_path / "out").read_bytes() == b"a\n"
    assert (tmp_path / "err").read_bytes() == b"b\n"


async def test_stdin_may_be_a_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    with (tmp_path / "in").open("rb") as file:
        assert (await run_process(["cat"], stdin=file)).stdout == b"from a file"


async def test_stdin_is_inherited_by_default() -> None:
    mine = os.readlink("/proc/self/fd/0")
    assert (await run_process(["readlink", "/proc/self/fd/0"])).stdout == f"{mine}\n".encode()


async def test_output_of_a_grandchild_belongs_to_it() -> None:
    done = await run_process("{ sleep 0.05; echo late; } & echo early")
    assert done.stdout == b"early\nlate\n"


# What cannot be started


def before_start() -> tuple[set[str], list[int]]:
    return open_descriptors(), children()


async def test_no_such_program_is_a_file_not_found_error() -> None:
    before = before_start()
    for command in (["/nonexistent"], ["no-such-program-anywhere"]):
        with pytest.raises(FileNotFoundError) as caught:
            await run_process(command, input=b"x")
        assert caught.value.filename == command[0]
    assert before_start() == before


async def test_a_file_that_may_not_be_run_is_a_permission_error(tmp_path: pathlib.Path) -> None:
    before = before_start()
    (tmp_path / "prog").write_text("#!/bin/sh\n")
    for command, env in ((str(tmp_path / "prog"), None), ("prog", {"PATH": str(tmp_path)})):
        with pytest.raises(PermissionError):
            await run_process([command], env=env)
    assert before_start() == before


async def test_a_folder_that_is_not_there_is_a_file_not_found_error(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        await run_process(["true"], cwd=tmp_path / "missing")
    assert caught.value.filename == tmp_path / "missing"


async def test_a_program_in_a_later_folder_is_found_behind_one_that_is_a_folder(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "first" / "prog").mkdir(parents=True)
    (tmp_path / "second").mkdir()
    program = tmp_path / "second" / "prog"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    path = f"{tmp_path / 'first'}:{tmp_path / 'second'}"
    assert (await run_process(["prog"], env={"PATH": path})).stdout == b"found\n"
    path = f"{tmp_path / 'missing'}:relative:{tmp_path / 'second'}"
    assert (await run_process(["prog"], env={"PATH": path})).stdout == b"found\n"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"command": []}, ValueError, "command is empty"),
        ({"command": 5}, TypeError, "command must be a string for the shell, or a sequence"),
        ({"command": None}, TypeError, "not NoneType"),
        ({"command": ["true", 5]}, TypeError, "expected str, bytes or os.PathLike"),
        ({"command": ["tr\0ue"]}, ValueError, "null byte"),
        ({"stdout": subprocess.STDOUT}, ValueError, "STDOUT can only be used for stderr"),
        ({"stdin": subprocess.STDOUT}, ValueError, "STDOUT can only be used for stderr"),
        ({"startupinfo": object()}, ValueError, "startupinfo is only supported on Windows"),
        ({"creationflags": 1}, ValueError, "creationflags is only supported on Windows"),
        ({"stdout": object()}, AttributeError, "fileno"),
        ({"user": "no such user"}, KeyError, "no such user"),
        ({"group": "no such group"}, KeyError, "no such group"),
    ],
)
async def test_what_cannot_be_started_leaves_nothing(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    before = before_start()
    with pytest.raises(error, match=words):
        await run_process(**{"command": ["true"], **arguments})
    assert before_start() == before


async def test_pipes_on_windows_are_refused_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_module, "sys", SimpleNamespace(platform="win32"))
    before = before_start()
    with pytest.raises(NotImplementedError, match=r"stdout of 'true'.*Windows.*DEVNULL"):
        await run_process(["true"])
    assert before_start() == before
    done = await run_process(["true"], stdout=subprocess.DEVNULL, stderr=None)
    streams: tuple[object, object] = (done.stdout, done.stderr)
    assert (done.returncode, streams) == (0, (None, None))


async def test_a_process_out_of_descriptors_says_so_and_loses_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = before_start()
    pipe, made = os.pipe, list[int]()

    def two_pipes() -> tuple[int, int]:
        made.append(1)
        if len(made) > 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return pipe()

    monkeypatch.setattr(os, "pipe", two_pipes)
    with pytest.raises(OSError, match="Too many open files"):
        await creche.open_process(FOREVER)
    assert before_start() == before


# The other arguments


async def test_cwd_is_where_it_starts(tmp_path: pathlib.Path) -> None:
    assert (await run_process(["pwd"], cwd=tmp_path)).stdout == f"{tmp_path}\n".encode()


async def test_env_replaces_the_environment() -> None:
    done = await run_process(["/usr/bin/env"], env={"CRECHE": "yes"})
    assert done.stdout == b"CRECHE=yes\n"


async def test_start_new_session_makes_it_the_leader_of_one() -> None:
    code = "import os; print(os.getsid(0) == os.getpid())"
    assert (await run_process(python(code), start_new_session=True)).stdout == b"True\n"
    assert (await run_process(python(code))).stdout == b"False\n"


async def test_pass_fds_keeps_descriptors_open() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"through")
        os.close(writing)
        done = await run_process(["cat", f"/dev/fd/{reading}"], pass_fds=[reading])
    finally:
        os.close(reading)
    assert done.stdout == b"through"


async def test_no_other_descriptor_is_handed_on() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    try:
        code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
        assert (await run_process(python(code))).stdout == b"[0, 1, 2]\n"
    finally:
        os.close(reading)
        os.close(writing)


async def test_umask_is_set() -> None:
    assert (await run_process("umask", umask=0o027)).stdout == b"0027\n"


async def test_user_group_and_extra_groups_are_set() -> None:
    user, group, extra = (
        (12345, 23456, 34567) if os.getuid() == 0 else (os.getuid(), os.getgid(), 0)
    )
    more: dict[str, Any] = {"extra_groups": [extra]} if extra else {}  # Only root may have others.
    done = await run_process("id -u; id -g; id -G", user=user, group=group, **more)
    lines = done.stdout.decode().splitlines()
    assert lines[:2] == [str(user), str(group)]
    assert set(lines[2].split()) >= {str(gid) for gid in more.get("extra_groups", [])}

"""`open_process`: from a command and what its streams shall be to a running process.

Owns the pipes until the process has them. Knows nothing of what happens to the process later.

    pipes made --Popen--> process           theirs closed here, ours in its streams
               --error--> nothing           all of them closed

Rules
-----
* A process is started in the thread for that (`spawner.py`): the loop waits for nothing meanwhile.
* No cancel comes between the start and the object that will end the process: the wait for that thread
  is shielded.
* The pipes are made here rather than by Popen, which would put a file object on each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from subprocess import PIPE, STDOUT, Popen
from typing import IO, Any, TypeAlias

from .._kernel import current_task
from .abc import Process
from .pipes import PipeEnd, PipeReceiveStream, PipeSendStream, close
from .process import ChildProcess
from .spawner import spawn

StrOrBytesPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_BytesPopen: Callable[..., Popen[bytes]] = Popen
Command: TypeAlias = StrOrBytesPath | Sequence[StrOrBytesPath]


OPTIONS = (
    "cwd", "env", "startupinfo", "creationflags", "start_new_session", "pass_fds", "user", "group",
    "extra_groups", "umask",
)  # fmt: skip
"""The arguments that go to Popen besides the command and the streams, by our functions' names."""


def options_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those of a function's arguments that go to Popen."""
    return {name: arguments[name] for name in OPTIONS}


async def open_process(
    command: Command,
    *,
    stdin: int | IO[Any] | None = PIPE,
    stdout: int | IO[Any] | None = PIPE,
    stderr: int | IO[Any] | None = PIPE,
    cwd: StrOrBytesPath | None = None,
    env: Mapping[str, str] | None = None,
    startupinfo: Any = None,
    creationflags: int = 0,
    start_new_session: bool = False,
    pass_fds: Sequence[int] = (),
    user: str | int | None = None,
    group: str | int | None = None,
    extra_groups: Iterable[str | int] | None = None,
    umask: int = -1,
) -> Process:
    """Start a program, and return the process. A checkpoint, before the start.

    Use it in an `async with`, so that it does not outlive the block. See `subprocess.Popen` for more
    on what is handed on to it.

    :param command: a string (or a path) for the shell, or a sequence: the program and its arguments
    :param stdin: `subprocess.PIPE` for a stream of ours, `subprocess.DEVNULL`, a descriptor or an
        object with `fileno()`; None for the one that this program has
    :param stdout: the same
    :param stderr: the same, or `subprocess.STDOUT` for wherever its standard output goes
    :param cwd: the folder to start it in
    :param env: its environment, in place of a copy of this program's
    :param startupinfo: a `subprocess.STARTUPINFO` (Windows only)
    :param creationflags: flags of the start (Windows only)
    :param start_new_session: whether it leads a session of its own, out of the reach of the
        terminal's Ctrl+C (POSIX only)
    :param pass_fds: descriptors that it keeps, under their numbers (POSIX only)
    :param user: the user to run as, by name or number (POSIX only)
    :param group: the group to run as, by name or number (POSIX only)
    :param extra_groups: its further groups, by name or number (POSIX only)
    :param umask: the rights that its new files do not get; -1 for this program's (POSIX only)
    :raises OSError: it cannot be started: `FileNotFoundError`, `PermissionError` and others
    :raises ValueError: an argument is not possible, here or on this system
    """
    options = options_of(locals())
    await current_task().checkpoint_if_cancelled()  # The start itself lets others run.
    return await start(command, (stdin, stdout, stderr), options)


async def start(
    command: Command,
    streams: tuple[int | IO[Any] | None, ...],
    options: dict[str, Any],
) -> ChildProcess:
    """Start the process, or raise and leave nothing behind. Never cancelled."""
    args, shell = _arguments(command)
    if streams[0] == STDOUT or streams[1] == STDOUT:
        raise ValueError("STDOUT can only be used for stderr: it sends stderr to stdout")
    plumbing = _Plumbing(streams, args)
    try:
        popen = await spawn(partial(_popen, args, plumbing.theirs, {"shell": shell, **options}))
    except BaseException:
        plumbing.close_ours()
        raise
    finally:
        plumbing.close_theirs()
    return ChildProcess(popen, *plumbing.ours)


def _popen(args: Any, streams: list[Any], options: dict[str, Any]) -> Popen[bytes]:
    options.update(zip(("stdin", "stdout", "stderr"), streams, strict=True))
    if sys.platform != "win32":
        # With a folder given, be it the one we are in, Popen takes the quicker of its two ways.
        here = {**options, "cwd": "."} if options["cwd"] is None else options
        try:
            return _BytesPopen(args, executable=_search(args[0], options), **here)
        except OSError:
            pass  # Let it do all by itself: it may find another, or has the better message.
    return _BytesPopen(args, **options)


def _search(program: Any, options: dict[str, Any]) -> str | None:
    """Return where the program is, None if it is better left to Popen to find out.

    Popen has the child try to run it in each folder of PATH, with our thread stopped meanwhile; to
    look before takes a third of that (`process-run` in `benchmarks/`).
    """
    env = os.environ if options["env"] is None else options["env"]
    folders = env.get("PATH")
    if options["shell"] or type(program) is not str or type(folders) is not str:
        return None
    if "/" in program or "\0" in program or "\0" in folders:
        return None
    if any(options[name] is not None for name in ("user", "group", "extra_groups")):
        return None  # whose rights may be others than ours
    for folder in folders.split(":"):
        if not folder.startswith("/"):
            return None  # it counts from `cwd`
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK):
            return path
    return None


def _arguments(command: Command) -> tuple[Any, bool]:
    """Return what Popen wants for a command, and whether it is for the shell."""
    if isinstance(command, str | bytes | os.PathLike):
        return os.fspath(command), True
    try:
        args = list(command)
    except TypeError:
        raise TypeError(
            f"command must be a string for the shell, or a sequence of the program and its "
            f"arguments, not {type(command).__name__}"
        ) from None
    if not args:
        raise ValueError("command is empty: its first item is the program to run")
    return args, False


class _Plumbing:
    """The pipes of one process: our ends, and what the process gets."""

    __slots__ = ("_piped", "ours", "theirs")

    def __init__(self, streams: tuple[int | IO[Any] | None, ...], args: Any) -> None:
        self.ours: list[Any] = [None, None, None]
        self.theirs = list(streams)
        self._piped: list[int] = []
        program = args if isinstance(args, str | bytes) else args[0]
        try:
            for at, name in enumerate(("stdin", "stdout", "stderr")):
                if streams[at] == PIPE:
                    self._lay(at, f"{name} of {program!r}")
        except BaseException:
            self.close_ours()
            self.close_theirs()
            raise

    def _lay(self, at: int, label: str) -> None:
        if sys.platform == "win32":
            raise NotImplementedError(
                f"{label} cannot be a pipe on Windows yet: pass a file, DEVNULL or None for it"
            )
        reading, writing = os.pipe()
        ours, theirs = (writing, reading) if at == 0 else (reading, writing)
        os.set_blocking(ours, False)
        kind: type[PipeEnd] = PipeSendStream if at == 0 else PipeReceiveStream
        self.ours[at] = kind(ours, label)
        self.theirs[at] = theirs
        self._piped.append(theirs)

    def close_ours(self) -> None:
        for pipe in self.ours:
            if pipe is not None:
                close(pipe)

    def close_theirs(self) -> None:
        for fd in self._piped:
            os.close(fd)

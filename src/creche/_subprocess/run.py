"""`run_process`: from a command to its result.

Owns the feeding of the input and the gathering of the output, all at once, so that no pipe gets full
while we look at another. Knows nothing of how a process is started or ends.

Rules
-----
* A program may leave its input unread, as `head` does: that is not an error.
* Whatever ends this early ends the process too, as leaving the `async with` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from subprocess import PIPE, CalledProcessError, CompletedProcess
from typing import IO, TYPE_CHECKING, Any

from .._kernel import current_task
from .exchange import Exchange
from .exit import open_pidfd
from .open import Command, StrOrBytesPath, options_of, start
from .pipes import close, descriptor
from .process import ChildProcess

if TYPE_CHECKING:
    from .._kernel.contract import Kernel


async def run_process(
    command: Command,
    *,
    input: bytes | None = None,
    stdin: int | IO[Any] | None = None,
    stdout: int | IO[Any] | None = PIPE,
    stderr: int | IO[Any] | None = PIPE,
    check: bool = True,
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
) -> CompletedProcess[bytes]:
    """Run a program to its end, and return its code and what it wrote. A checkpoint.

    It ends when the program has ended and its output too, also what a grandchild adds. If it is
    cancelled, the program is killed. How it is started, by `cwd`, `env` and what follows them, is as
    with `open_process`.

    :param command: a string (or a path) for the shell, or a sequence: the program and its arguments
    :param input: what the program gets to read, all of it
    :param stdin: `subprocess.DEVNULL`, a descriptor or an object with `fileno()`;
        `subprocess.PIPE` for an empty input; None for the one that this program has
    :param stdout: `subprocess.PIPE` to be returned, `subprocess.DEVNULL`, a descriptor or an object
        with `fileno()`; None for the one that this program has
    :param stderr: the same, or `subprocess.STDOUT` for wherever its standard output goes
    :param check: whether a code other than 0 is an error
    :return: the code, and as `stdout` and `stderr` the bytes of those that were pipes
    :raises subprocess.CalledProcessError: the code is not 0, and `check` is true
    :raises OSError: it cannot be started: `FileNotFoundError`, `PermissionError` and others
    :raises ValueError: both `input` and `stdin` are given, or an argument is not possible
    """
    options = options_of(locals())
    if input is not None:
        if stdin is not None:
            raise ValueError("only one of stdin and input is allowed: leave one of them out")
        given: object = input
        if isinstance(given, str):
            raise TypeError("input must be bytes, not str: encode it first, input.encode()")
        stdin = PIPE
    task = current_task()
    await task.checkpoint_if_cancelled()
    async with await start(command, (stdin, stdout, stderr), options) as process:
        output, errors = await _communicate(process, input, task.kernel)
        code = await process.wait()
    args: Any = command
    if check and code != 0:
        raise CalledProcessError(code, args, output, errors)
    return CompletedProcess(args, code, output, errors)


async def _communicate(
    process: ChildProcess, input: bytes | None, kernel: Kernel
) -> tuple[bytes | None, bytes | None]:
    """Feed the process and gather what it writes, until it has closed all of it and has ended."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    with Exchange() as exchange:
        output = None if stdout is None else exchange.gather(descriptor(stdout))
        errors = None if stderr is None else exchange.gather(descriptor(stderr))
        if stdin is not None:
            exchange.feed(descriptor(stdin), input, partial(close, stdin))
        pidfd = open_pidfd(process.pid)
        try:
            if pidfd is not None:
                exchange.await_end(pidfd)
            await exchange.run(kernel)
        finally:
            if pidfd is not None:
                os.close(pidfd)
    return (
        None if output is None else b"".join(output),
        None if errors is None else b"".join(errors),
    )

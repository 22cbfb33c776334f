"""`ChildProcess`: a process that we started, with our ends of its pipes.

Owns the `Popen` object, which knows the system's calls, and the pipes. Knows neither how the process
was started nor how one hears of its end (`exit.py`).

    running --wait, returncode--> ended         however it came to end
    open --aclose--> closed                     pipes closed, and ended

Rules
-----
* `aclose` closes our ends first, so a process that is stuck with a full pipe gets SIGPIPE, and one
  that reads gets its end of file. Then it waits.
* Whatever interrupts `aclose`, no process is left: it is killed, and reaped in a shield.
"""

from __future__ import annotations

from signal import Signals
from subprocess import Popen
from types import TracebackType

from .._kernel import current_task
from .._tasks.scope import CancelScope
from .abc import Process
from .exit import Exit
from .pipes import PipeReceiveStream, PipeSendStream, close


class ChildProcess(Process):
    """A process that `open_process` has started."""

    __slots__ = ("__weakref__", "_exit", "_popen", "_stderr", "_stdin", "_stdout")

    def __init__(
        self,
        popen: Popen[bytes],
        stdin: PipeSendStream | None,
        stdout: PipeReceiveStream | None,
        stderr: PipeReceiveStream | None,
    ) -> None:
        self._popen = popen
        self._exit = Exit(popen)
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr

    def __repr__(self) -> str:
        code = self._popen.returncode
        state = "running" if code is None else f"ended with {code}"
        return f"<Process {self.pid} {state}: {self._popen.args!r}>"

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the process; kill it first if an exception leaves the block."""
        try:
            if exc_type is not None:
                self.kill()
        finally:
            await self.aclose()

    async def wait(self) -> int:
        """Wait until the process has ended, and return its code. See `Process.wait`."""
        task = current_task()
        await task.ready_checkpoint()
        return await self._exit.wait(task)

    async def aclose(self) -> None:
        """Close the pipes and wait until the process has ended. A checkpoint.

        If it is interrupted, it kills the process and waits for that before it raises. A second
        call does nothing.
        """
        self._close_pipes()
        try:
            await self.wait()
        except BaseException:
            await self._kill_and_reap()
            raise

    async def _kill_and_reap(self) -> None:
        self.kill()
        interrupt: BaseException | None = None
        with CancelScope(shield=True):
            while self._popen.poll() is None:
                try:
                    await self.wait()
                except current_task().kernel.cancelled_class as exc:
                    interrupt = exc  # asyncio's own, which knows no shield; the process is dying
        if interrupt is not None:
            raise interrupt

    def _close_pipes(self) -> None:
        for pipe in (self._stdin, self._stdout, self._stderr):
            if pipe is not None:
                close(pipe)

    def terminate(self) -> None:
        """Ask the process to end, unless it has. See `Process.terminate`."""
        self._popen.terminate()

    def kill(self) -> None:
        """End the process, unless it has ended. See `Process.kill`."""
        self._popen.kill()

    def send_signal(self, signal: Signals) -> None:
        """Send a signal to the process, unless it has ended. See `Process.send_signal`."""
        self._popen.send_signal(signal)

    @property
    def pid(self) -> int:
        """The number that the system gave the process."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """What `wait()` would return, None while the process runs."""
        return self._popen.poll()

    @property
    def stdin(self) -> PipeSendStream | None:
        """Where to send what the process reads, None if that is not a pipe of ours."""
        return self._stdin

    @property
    def stdout(self) -> PipeReceiveStream | None:
        """Where to receive what the process writes, None if that is not a pipe of ours."""
        return self._stdout

    @property
    def stderr(self) -> PipeReceiveStream | None:
        """Where to receive its error output, None if that is not a pipe of ours."""
        return self._stderr

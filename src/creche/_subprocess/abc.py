"""`Process`: what a process promises, however it was started.

Owns the names and their meaning. Knows no system call and no event loop.

    state     returncode   wait()          kill(), terminate(), send_signal()
    running   None         waits           send the signal
    ended     a number     returns it      do nothing

Rules
-----
* A process that ended below zero was ended by a signal: -15 is SIGTERM.
* The pipes are apart from all this. They stay open, and what is in them can still be read, when the
  process has ended; and `wait()` does not wait for other processes that hold the other ends.
"""

from __future__ import annotations

from abc import abstractmethod
from signal import Signals

from .._abc.resources import AsyncResource
from .._abc.streams import ByteReceiveStream, ByteSendStream


class Process(AsyncResource):
    """A running or ended process, with those of its standard streams that are pipes to it.

    As an async context manager it closes itself at the end of the block. If an exception leaves the
    block, a cancellation too, the process is killed first.
    """

    __slots__ = ()

    @abstractmethod
    async def wait(self) -> int:
        """Wait until the process has ended, and return its code. A checkpoint.

        It does not wait for the pipes, which a grandchild may keep open. Any number of tasks may
        wait at once. If it is cancelled, the process goes on.

        :return: what the process gave to `exit()`, or minus the number of the signal that ended it
        """

    @abstractmethod
    def terminate(self) -> None:
        """Ask the process to end: SIGTERM, which it may handle; on Windows it ends at once.

        Does nothing if it has ended already.
        """

    @abstractmethod
    def kill(self) -> None:
        """End the process: SIGKILL, which it cannot handle; on Windows the same as `terminate`.

        Does nothing if it has ended already.
        """

    @abstractmethod
    def send_signal(self, signal: Signals) -> None:
        """Send a signal to the process. Does nothing if it has ended already.

        :param signal: which one, such as `signal.SIGHUP`
        """

    @property
    @abstractmethod
    def pid(self) -> int:
        """The number that the system gave the process. It may be another's once this has ended."""

    @property
    @abstractmethod
    def returncode(self) -> int | None:
        """What `wait()` would return, None while the process runs."""

    @property
    @abstractmethod
    def stdin(self) -> ByteSendStream | None:
        """Where to send what the process reads, None if that is not a pipe of ours."""

    @property
    @abstractmethod
    def stdout(self) -> ByteReceiveStream | None:
        """Where to receive what the process writes, None if that is not a pipe of ours."""

    @property
    @abstractmethod
    def stderr(self) -> ByteReceiveStream | None:
        """Where to receive its error output, None if that is not a pipe of ours."""

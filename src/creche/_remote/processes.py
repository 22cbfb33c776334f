"""A call from a task into a worker process: `run_sync`, and the pool of workers.

Owns the processes, their sockets, and what happens when one of them dies. Knows no event loop beyond
the contract. What a worker does is in `worker_main.py`.

A worker process:

    starting --> idle --a call takes it--> busy --the outcome is there--> idle
                   |                        |
                   |                        `--dies, or its caller leaves--> gone
                   `--unused for IDLE seconds, found dead, or the loop ends--> gone

Rules
-----
* A worker is taken by one call at a time, the newest idle one first. It comes back whole or not at
  all: if anything ends the exchange half-way the process is killed, and waited for.
* Call and arguments are pickled before a worker is taken: what cannot be pickled harms nobody.
* The token of the limiter is held until the process is idle again or gone.
* Where a wait could block the event loop, for a process to start or to be gone, a thread does it.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from .._exceptions import BrokenWorkerProcess
from .._kernel import current_kernel, current_task
from .._loop.run_var import one_for
from .._platform import check_there
from .._sync.limiter import CapacityLimiter
from .._tasks.scope import CancelScope
from .._threads import calls as threads
from .outcomes import RunningCall, main_of_program, open_answer, processors, running_call
from .worker_main import HEADER

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, Task, Watch

T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")

IDLE = 300.0
"""Seconds after which an unused worker is ended, when the next call comes."""

GRACE = 0.5
"""Seconds that a worker which has closed its socket has to end by itself."""

CHUNK = 65536
SUPPORTED = os.name == "posix"
"""Whether a process can be handed a socket by its number."""

FOLDER = str(Path(__file__).parent)
START = """
import sys
sys.path.insert(0, sys.argv[1])
from worker_main import process_worker
process_worker()
"""


class Worker:
    """One worker process, and our end of its socket."""

    __slots__ = ("_read", "_sock", "_watch", "greeting", "idle_since", "process")

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self.process = process
        self._sock = sock
        self._read = partial(sock.recv, CHUNK)
        self._watch: Watch | None = None
        self.greeting = frame(_greeting())
        self.idle_since = 0.0

    @classmethod
    def start(cls) -> Worker:
        """Start a process. Blocks for a moment."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = subprocess.Popen(
                    _command(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            ours.setblocking(False)
            return cls(process, ours)
        except BaseException:
            ours.close()
            raise

    def attach(self, kernel: Kernel) -> None:
        self._watch = kernel.watch(self._sock)

    def alive(self) -> bool:
        """Tell whether an idle worker is still there: its socket has nothing to say, not even EOF."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    async def exchange(self, data: bytes) -> bytes:
        """Send messages, framed already, and return the answer to the last.

        :raises EOFError: the worker has closed its end
        :raises OSError: the worker is gone
        """
        watch = self._watch
        assert watch is not None, "attached"
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            await self._send(watch, memoryview(data)[sent:])
        answer = await watch.when_readable(self._read)  # Header and all, as a rule.
        end = int.from_bytes(answer[:HEADER], "big") + HEADER
        if len(answer) == end > HEADER:
            return answer[HEADER:]
        return await self._receive(watch, answer)

    async def _send(self, watch: Watch, view: memoryview) -> None:
        while view:
            sent = await watch.when_writable(partial(self._sock.send, view))
            view = view[sent:]

    async def _receive(self, watch: Watch, data: bytes) -> bytes:
        """Return an answer of which `data` has come."""
        if not data:
            raise EOFError
        while len(data) < HEADER:
            data += await _more(watch, self._read)
        size = int.from_bytes(data[:HEADER], "big") + HEADER
        buffer = bytearray(size)
        got = len(data)
        buffer[:got] = data
        view = memoryview(buffer)
        while got < size:
            got += await _more(watch, partial(self._sock.recv_into, view[got:]))
        return bytes(view[HEADER:])

    def end(self) -> None:
        """Kill the process and wait until it is gone. Blocks for a moment."""
        self.close()
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Close our end. In the loop, if the worker is attached to one."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._sock.close()

    def see_off(self) -> int:
        """Wait until a process has ended that was told to; kill it if it does not. Blocks."""
        try:
            return self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


async def _more(watch: Watch, attempt: Callable[[], Any]) -> Any:
    """Read on; the end of the socket is an error here."""
    try:
        got = attempt()
    except BlockingIOError:
        got = await watch.when_readable(attempt)
    if not got:
        raise EOFError
    return got


def _command(descriptor: int) -> list[str]:
    if not sys.executable:
        raise RuntimeError(
            "there is no sys.executable to start worker processes with: set it, or use to_thread"
        )
    # As multiprocessing does it: -W, -X and their like, for the worker to be as this process is.
    flags: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
    return [sys.executable, *flags, "-P", "-c", START, FOLDER, str(descriptor)]


def _greeting() -> bytes:
    """Tell a new worker where this program finds its modules."""
    return pickle.dumps((list(sys.path), *main_of_program()))


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(HEADER, "big") + message


class Processes:
    """The worker processes of one loop."""

    __slots__ = ("_doomed", "_idle", "_kernel", "calls", "limiter")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.calls: dict[Worker, RunningCall] = {}
        """What the workers run now."""
        self._idle: list[Worker] = []
        self._doomed: list[Worker] = []
        self.limiter = CapacityLimiter(processors())
        kernel.at_exit(self.close)

    async def exchange(self, message: bytes, func: Callable[..., Any], task: Task) -> bytes:
        """Have a worker answer a message: a call of `func` for `task`.

        The worker goes back among the idle, or is killed.
        """
        worker = self._take()
        if self._doomed:
            await self._bury(worker)
        data = frame(message)
        if worker is None:
            worker = await threads.run_sync(Worker.start, limiter=CapacityLimiter(1))
            worker.attach(self._kernel)
            data = worker.greeting + data
        self.calls[worker] = running_call(f"process {worker.process.pid}", func, task)
        try:
            answer = await worker.exchange(data)
        except (EOFError, OSError) as exc:
            raise await _broken(worker) from exc
        except BaseException:
            await _kill(worker)
            raise
        finally:
            del self.calls[worker]
        self.put_back(worker)
        return answer

    def _take(self) -> Worker | None:
        """Take the newest idle worker that is alive. Others that are of no use become doomed."""
        idle = self._idle
        now = time.monotonic()
        while idle and idle[0].idle_since < now - IDLE:
            self._doomed.append(idle.pop(0))
        while idle:
            worker = idle.pop()
            if worker.alive():
                return worker
            self._doomed.append(worker)
        return None

    async def _bury(self, taken: Worker | None) -> None:
        """Wait until those that are of no use are gone. `taken` goes back if that is interrupted."""
        try:
            while self._doomed:
                await _kill(self._doomed.pop())
        except BaseException:
            if taken is not None:
                self.put_back(taken)
            raise

    def put_back(self, worker: Worker) -> None:
        worker.idle_since = time.monotonic()
        if self._kernel.ended():
            worker.end()
        else:
            self._idle.append(worker)

    def close(self) -> None:
        """End the idle workers. Those that are busy end with the tasks that wait for them."""
        idle, self._idle = self._idle + self._doomed, []
        for worker in idle:
            worker.close()
            worker.process.kill()
        for worker in idle:
            worker.process.wait()


async def _kill(worker: Worker) -> None:
    """Leave nothing of a worker, whatever is cancelled."""
    worker.close()
    worker.process.kill()
    with CancelScope(shield=True):
        await threads.run_sync(worker.process.wait, limiter=CapacityLimiter(1))


async def _broken(worker: Worker) -> BrokenWorkerProcess:
    """Say how a worker came to its end."""
    worker.close()
    code = 0
    with CancelScope(shield=True):  # It is never cancelled itself, so it swallows nothing.
        code = await threads.run_sync(worker.see_off, limiter=CapacityLimiter(1))
    how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return BrokenWorkerProcess(
        f"worker process {worker.process.pid} {how} before it answered; the next call starts "
        f"another one"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


async def run_sync(
    func: Callable[[Unpack[PosArgsT]], T_Retval],
    *args: *PosArgsT,
    cancellable: bool = False,
    limiter: CapacityLimiter | None = None,
) -> T_Retval:
    """Call `func(*args)` in a worker process, and return or raise what it does. A checkpoint.

    Function, arguments and outcome travel as pickles, so the function is one that can be imported;
    those of the program's main module can be, if it keeps what is to run once under
    `if __name__ == "__main__":`. What the function prints goes nowhere. Workers are kept for the
    next call, and end with the event loop.

    :param func: a function that can be pickled
    :param args: its positional arguments
    :param cancellable: whether a cancelled caller has the process killed and leaves; otherwise it
        waits for the outcome
    :param limiter: what bounds the number of processes at work; None for the event loop's own, of
        as many as there are processors
    :raises BrokenWorkerProcess: the process died before it answered
    :raises pickle.PicklingError: function, arguments or result cannot be pickled; also TypeError or
        AttributeError, as `pickle` has it
    :raises NotImplementedError: this is Windows, where worker processes are not there yet
    :raises NoEventLoopError: no event loop runs in this thread
    """
    task = current_task()
    check_there("processes")
    if not SUPPORTED:
        raise NotImplementedError(
            "creche.to_process requires a POSIX system: on Windows, call the function with "
            "to_thread.run_sync(), or submit it to a concurrent.futures.ProcessPoolExecutor"
        )
    request = pickle.dumps((func, args), pickle.HIGHEST_PROTOCOL)
    processes = one_for(task.kernel, Processes)
    call = object()
    if limiter is None:
        limiter = processes.limiter
    await limiter.acquire_on_behalf_of(call)
    answer = b""
    try:
        with CancelScope(shield=not cancellable):  # It swallows nothing either.
            answer = await processes.exchange(request, func, task)
    finally:
        limiter.release_on_behalf_of(call)
    result: T_Retval = open_answer(answer, func, "a worker process")
    return result


def current_default_process_limiter() -> CapacityLimiter:
    """Return the limiter that `run_sync` uses in this event loop unless it is given another.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return one_for(current_kernel(), Processes).limiter

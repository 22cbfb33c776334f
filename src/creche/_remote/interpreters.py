"""A call from a task into a subinterpreter: `run_sync`, and the pool of interpreters.

Owns the interpreters, and a nameless file for each, through which calls and outcomes go. Knows no
event loop beyond the contract. What an interpreter does is in `interpreter_main.py`.

An interpreter:

    idle --a call takes it--> busy, in a worker thread --> idle
      `--unused for IDLE seconds, or the loop ends--> gone

Rules
-----
* An interpreter runs in the worker thread of its call, so the token of the limiter is a thread's too,
  and a cancelled caller waits for the outcome as it does for a thread.
* Call and outcome are pickles. What an interpreter cannot answer, because the outcome cannot be
  pickled or something is wrong inside, is a `BrokenWorkerInterpreter` with its traceback.
* Calls are made in worker threads and the loop closes: what is shared, `_idle` and `_closed`, is looked
  at and changed under `_lock`, in one go. So a worker goes back among the idle before the end of the
  loop, which then finds it there, or it is ended by the call that has used it.
* What is asked of Python is little: to make an interpreter, to run a line of code in it, to end it.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple, Unpack

from .._exceptions import BrokenWorkerInterpreter
from .._kernel import current_kernel, current_task
from .._loop.run_var import one_for
from .._platform import check_there
from .._sync.limiter import CapacityLimiter
from .._threads import calls as threads
from .interpreter_main import read, write
from .outcomes import RunningCall, main_of_program, open_answer, processors, running_call

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, Task

T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")

IDLE = 30.0
"""Seconds after which an unused interpreter is ended, when the next call comes."""

KEPT = 1 << 20
"""Bytes that an interpreter's file keeps between two calls."""

FOLDER = Path(__file__).parent

PREPARE = """
import importlib.util, sys
def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
_creche_worker = load("_creche_worker", {worker!r})
_creche_worker.prepare({path!r})
_creche_worker.program = load("_creche_process", {process!r}).Program({name!r}, {file!r})
del load, _creche_worker
"""

SERVE = """
import sys
_worker = sys.modules["_creche_worker"]
_worker.serve({descriptor!r}, _worker.program)
"""


class Maker(Protocol):
    """What is asked of Python."""

    def create(self) -> Any: ...

    def execute(self, interpreter: Any, code: str) -> SimpleNamespace | None:
        """Run code; return what it raised, described, None if nothing."""
        ...

    def destroy(self, interpreter: Any) -> None: ...


class _Public:
    """`concurrent.interpreters`, by PEP 734: Python 3.14 and later."""

    def __init__(self) -> None:
        from importlib import import_module

        check_there("subinterpreters")
        self._module: Any = import_module("concurrent.interpreters")

    def create(self) -> Any:
        return self._module.create()

    def execute(self, interpreter: Any, code: str) -> SimpleNamespace | None:
        try:
            interpreter.exec(code)
        except self._module.ExecutionFailed as exc:
            described: SimpleNamespace = exc.excinfo
            return described
        return None

    def destroy(self, interpreter: Any) -> None:
        interpreter.close()


class _Private:
    """`_interpreters`, which is all that Python 3.13 has."""

    def __init__(self) -> None:
        from importlib import import_module

        self._module: Any = import_module("_interpreters")

    def create(self) -> Any:
        return self._module.create("isolated")

    def execute(self, interpreter: Any, code: str) -> SimpleNamespace | None:
        described: SimpleNamespace | None = self._module.exec(interpreter, code)
        return described

    def destroy(self, interpreter: Any) -> None:
        self._module.destroy(interpreter)


def _maker() -> Maker:
    version = tuple(sys.version_info)  # By this name a type checker would know which it is.
    if version >= (3, 14):
        return _Public()
    if version >= (3, 13):
        return _Private()
    raise RuntimeError(
        "subinterpreters require at least Python 3.13: use to_thread or to_process on "
        f"{sys.version_info[0]}.{sys.version_info[1]}"
    )


def _nameless_file() -> IO[bytes]:
    """Make a file that no other process sees: in memory, where the system has that."""
    memfd_create = getattr(os, "memfd_create", None)
    if memfd_create is not None:
        return open(memfd_create("creche"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


changing: list[None] = []
"""One entry for each interpreter that is being made or ended just now."""


@contextmanager
def _change() -> Generator[None]:
    """Make or end an interpreter in a block: nobody may look at the threads of all of them meanwhile."""
    changing.append(None)
    try:
        yield
    finally:
        changing.pop()


class Worker:
    """One subinterpreter, and its file."""

    __slots__ = ("_code", "_file", "_interpreter", "_maker", "idle_since")

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._file = _nameless_file()
        self._code = SERVE.format(descriptor=self._file.fileno())
        self.idle_since = 0.0
        self._interpreter: Any = None
        try:
            with _change():
                self._interpreter = maker.create()
            name, file = main_of_program()
            self._execute(
                PREPARE.format(
                    worker=str(FOLDER / "interpreter_main.py"),
                    process=str(FOLDER / "worker_main.py"),
                    path=list(sys.path),
                    name=name,
                    file=file,
                )
            )
        except BaseException:
            self.end()
            raise

    def answer(self, message: bytes) -> bytes:
        """Have the interpreter make the call in a message. Blocks."""
        descriptor = self._file.fileno()
        write(descriptor, message)
        self._execute(self._code)
        answer = read(descriptor)
        if max(len(message), len(answer)) > KEPT:
            os.ftruncate(descriptor, 0)
        return answer

    def _execute(self, code: str) -> None:
        described = self._maker.execute(self._interpreter, code)
        if described is not None:
            raise BrokenWorkerInterpreter(described)

    def end(self) -> None:
        self._file.close()
        if self._interpreter is not None:
            with _change():
                self._maker.destroy(self._interpreter)


class Interpreters:
    """The subinterpreters of one loop."""

    __slots__ = ("_closed", "_idle", "_lock", "_maker", "calls", "limiter")

    def __init__(self, kernel: Kernel) -> None:
        self._maker = _maker()
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._closed = False
        self.calls: dict[Worker, RunningCall] = {}
        """What the interpreters run now."""
        self.limiter = CapacityLimiter(processors())
        kernel.at_exit(self.close)

    def answer(self, message: bytes, func: Callable[..., Any], task: Task) -> bytes:
        """Have an interpreter make a call of `func` for `task`. In a worker thread."""
        worker = self._take() or Worker(self._maker)
        self.calls[worker] = running_call("interpreter", func, task)
        try:
            return worker.answer(message)
        finally:
            del self.calls[worker]
            self._put_back(worker)

    def _take(self) -> Worker | None:
        """Take the newest idle interpreter, and end those that nobody has used for a long time."""
        old = time.monotonic() - IDLE
        with self._lock:
            worker = self._idle.pop() if self._idle else None
            unused = [each for each in self._idle if each.idle_since <= old]
            self._idle = self._idle[len(unused) :]  # The oldest come first.
        for each in unused:
            each.end()
        return worker

    def _put_back(self, worker: Worker) -> None:
        with self._lock:
            worker.idle_since = time.monotonic()  # Here, so that they come in the order of it.
            if not self._closed:
                self._idle.append(worker)
                return
        worker.end()

    def close(self) -> None:
        """End the idle interpreters. One that is busy is ended when its call has returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()


async def run_sync(
    func: Callable[[Unpack[PosArgsT]], T_Retval],
    *args: *PosArgsT,
    limiter: CapacityLimiter | None = None,
) -> T_Retval:
    """Call `func(*args)` in a subinterpreter, and return or raise what it does. A checkpoint.

    It runs in this process, in parallel with everything else, and sees none of this interpreter's
    objects: function, arguments and outcome travel as pickles, as with `to_process`. A cancelled
    caller waits for the outcome. Interpreters are kept for the next call, and end with the event
    loop. Needs Python 3.13; there it uses a part of Python that is not public yet.

    :param func: a function that can be pickled
    :param args: its positional arguments
    :param limiter: what bounds the number of interpreters at work; None for the event loop's own,
        of as many as there are processors
    :raises BrokenWorkerInterpreter: the outcome cannot be pickled, or something is wrong in the
        interpreter; the message has its traceback
    :raises RuntimeError: this Python is older than 3.13
    :raises NoEventLoopError: no event loop runs in this thread
    """
    task = current_task()
    interpreters = one_for(task.kernel, Interpreters)
    await task.checkpoint_if_cancelled()
    message = pickle.dumps((func, args), pickle.HIGHEST_PROTOCOL)
    answer = await threads.run_sync(
        partial(interpreters.answer, message, func, task), limiter=limiter or interpreters.limiter
    )
    result: T_Retval = open_answer(answer, func, "a subinterpreter")
    return result


def current_default_interpreter_limiter() -> CapacityLimiter:
    """Return the limiter that `run_sync` uses in this event loop unless it is given another.

    :raises NoEventLoopError: no event loop runs in this thread
    :raises RuntimeError: this Python is older than 3.13
    """
    return one_for(current_kernel(), Interpreters).limiter

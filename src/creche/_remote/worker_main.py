"""What a worker process does: take a call from its socket, make it, send the outcome back.

Imported there by itself, without Creche, and it imports little: a worker is there quickly.
`processes.py` is the other end. Subinterpreters take `Program` from here.

Messages, each a length of 8 bytes (big-endian) and as many bytes:

    to the worker     first     pickle of (sys.path, name of the main module, its file)
                      then      pickle of (function, arguments), one for each call
    from the worker   one each  a byte that says which, and a pickle:  R result   E (error, traceback)

Rules
-----
* The socket is all that the other end reads. Standard input, output and error are the null device,
  so a function may print what it likes.
* The program's main module is loaded, as `__mp_main__`, when a call may need it: when that name or
  `__main__` is first seen in a message; or, if the module has a `__name__` guard, when the function is of
  the program's own modules, which may count on what its main module has set up. A function of Python's or
  of an installed package does not need it, and a program without a guard is not run by accident.
* An error in reading the call, in the call, or in writing its result is the outcome of that call,
  and the worker stays.
* Ctrl-C, which a terminal sends to workers too, interrupts the running call; it ends no idle worker.
* The end of the socket is the end of the worker. A process that the function forks does not keep the
  socket open, for then the other end would not learn that the worker has died.
"""

from __future__ import annotations

import os
import pickle
import sys

TYPE_CHECKING = False  # `typing` would be a fifth of a worker's start.
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

HEADER = 8
CHUNK = 65536
RESULT, ERROR = b"R", b"E"
MAIN = b"main__"
"""What is in a pickle that refers to the main module of a program, by either name."""


class Inbox:
    """The messages that come in, several in one chunk or one in many."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def next(self) -> bytes | None:
        """Return the next message, None at the end of the socket."""
        data = self._rest
        while len(data) < HEADER:
            more = os.read(self._descriptor, CHUNK)
            if not more:
                return None
            data += more
        end = int.from_bytes(data[:HEADER], "big") + HEADER
        if len(data) < end:
            parts, got = [data], len(data)
            while got < end:
                more = os.read(self._descriptor, max(CHUNK, end - got))
                if not more:
                    return None
                parts.append(more)
                got += len(more)
            data = b"".join(parts)
        self._rest = data[end:]
        return data[HEADER:end]


class Program:
    """The main module of the program that a worker belongs to, loaded when it is needed."""

    def __init__(self, name: str | None, file: str | None) -> None:
        self._name = name
        self._file = file
        self._loaded = False

    def look_at(self, message: bytes) -> None:
        """Load the module if a message refers to it."""
        if MAIN in message and not self._loaded:
            self._loaded = True
            self._load()

    def prepare_for(self, func: Any) -> None:
        """Load the module if a function may count on it, and it can be loaded without being run."""
        if not self._loaded and _is_of_a_program(func) and self._is_guarded():
            self._loaded = True
            self._load()

    def _is_guarded(self) -> bool:
        """Tell whether the module keeps what is to run once under a guard. An installed command's is empty."""
        if self._file is None or os.path.dirname(self._file) == os.path.dirname(sys.executable):
            return False
        try:
            with open(self._file, "rb") as file:
                source = file.read()
        except OSError:
            return False
        return b"__name__" in source and MAIN in source

    def _load(self) -> None:
        # The main module of a package or a zip file has no guard as a rule: it is left alone.
        if self._name is not None and not self._name.endswith("__main__"):
            import runpy

            self._adopt(runpy.run_module(self._name, run_name="__mp_main__", alter_sys=True))
        elif self._name is None and self._file is not None:
            import runpy

            self._adopt(runpy.run_path(self._file, run_name="__mp_main__"))

    def _adopt(self, names: dict[str, Any]) -> None:
        module: ModuleType = type(sys)("__mp_main__")
        vars(module).update(names)
        sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def _is_of_a_program(func: Any) -> bool:
    """Tell whether a function is neither Python's nor of a package that is installed."""
    while hasattr(func, "func"):  # functools.partial
        func = func.func
    name = getattr(func, "__module__", None) or type(func).__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name.partition(".")[0] in sys.stdlib_module_names:
        return False
    return "site-packages" not in file and "dist-packages" not in file


class Worker:
    """The loop of a worker process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._busy = False
        self._program = Program(None, None)

    def run(self) -> None:
        """Serve until the other end closes the socket."""
        import signal

        signal.signal(signal.SIGINT, self._interrupt)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._close)
        inbox = Inbox(self._descriptor)
        first = inbox.next()
        if first is None:
            return
        sys.path[:], name, file = pickle.loads(first)
        self._program = Program(name, file)
        while (message := inbox.next()) is not None:
            answer = self._answer(message)
            self._send(answer)
            del message, answer  # Nothing of the call stays while the worker is idle.

    def _close(self) -> None:
        os.close(self._descriptor)

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._busy:
            raise KeyboardInterrupt

    def _answer(self, message: bytes) -> bytes:
        try:
            self._busy = True
            self._program.look_at(message)
            func, args = pickle.loads(message)
            self._program.prepare_for(func)
            return RESULT + pickle.dumps(func(*args), pickle.HIGHEST_PROTOCOL)
        except BaseException as exc:
            self._busy = False
            return ERROR + dump_error(exc)
        finally:
            self._busy = False

    def _send(self, message: bytes) -> None:
        data = len(message).to_bytes(HEADER, "big") + message
        try:
            sent = os.write(self._descriptor, data)
            while sent < len(data):
                sent += os.write(self._descriptor, memoryview(data)[sent:])
        except OSError:
            pass  # Nobody is there any more; the next read says so.


def dump_error(exc: BaseException) -> bytes:
    """Pickle an error and its traceback; if it cannot be pickled, one that says what it was."""
    import traceback

    text = "".join(traceback.format_exception(exc))
    try:
        data = pickle.dumps((exc, text), pickle.HIGHEST_PROTOCOL)
        pickle.loads(data)  # Many an exception can be written and then not be read.
    except BaseException as trouble:
        said = "".join(traceback.format_exception_only(exc)).strip()
        substitute = RuntimeError(f"{said} (an exception that cannot be pickled: {trouble})")
        data = pickle.dumps((substitute, text), pickle.HIGHEST_PROTOCOL)
    return data


def process_worker() -> None:
    """Be a worker process, on the socket whose descriptor is the last argument of the program."""
    descriptor = int(sys.argv[-1])
    os.set_inheritable(descriptor, False)
    Worker(descriptor).run()

"""Structured concurrency on asyncio, uvloop and Trio, as fast as the loop below it.

```python
import creche


async def greet(name: str, after: float) -> None:
    await creche.sleep(after)
    print("Hello,", name)


async def main() -> None:
    with creche.move_on_after(1):  # a timeout, in seconds
        async with creche.create_task_group() as group:  # waits for its tasks
            group.start_soon(greet, "Ada", 0.01)
            group.start_soon(greet, "Grace", 0.02)


creche.run(main)  # or creche.run(main, backend="trio")
```

Tasks and cancellation: `create_task_group`, `CancelScope`, `move_on_after`, `fail_after`, `sleep`,
`gather`, `amap`, `as_completed`. Synchronisation: `Event`, `Lock`, `Condition`, `Semaphore`,
`CapacityLimiter`, `Future`, `create_memory_object_stream`. Sockets: `connect_tcp`,
`create_tcp_listener`, and the same for UDP and UNIX sockets. Files: `open_file`, `Path`, `TemporaryFile`.
Processes and signals: `run_process`, `open_process`, `open_signal_receiver`.

In modules of their own: `to_thread`, `from_thread`, `to_process` and `to_interpreter` for blocking code;
`streams` for TLS, buffers and text; `functools` and `itertools`; `testing` for virtual time and explored
schedules; `debug` for deadlocks; `abc` for the abstract classes; `lowlevel` for checkpoints.

The names are those of AnyIO: `import creche as anyio` works. `python -m creche` is the command line.

PYTEST_DONT_REWRITE (for pytest, which has a plugin in this package).
"""

# This file is the list of the public names. Type checkers read it in the imports below, Python in a
# table: a module is loaded when one of its names is first used, so `import creche` costs next to nothing,
# and a program pays for what it uses. `tests/api/test_public_api.py` holds the two lists to each other.

from os import environ as _environ
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Submodules that are there without an import of their own
    from . import abc as abc
    from . import cluster as cluster
    from . import debug as debug
    from . import flow as flow
    from . import from_thread as from_thread
    from . import functools as functools
    from . import insight as insight
    from . import itertools as itertools
    from . import lowlevel as lowlevel
    from . import services as services
    from . import streams as streams
    from . import testing as testing
    from . import to_executor as to_executor
    from . import to_interpreter as to_interpreter
    from . import to_process as to_process
    from . import to_thread as to_thread

    # Context managers made of one method
    from ._abc.context_managers import AsyncContextManagerMixin as AsyncContextManagerMixin
    from ._abc.context_managers import ContextManagerMixin as ContextManagerMixin

    # Resources
    from ._abc.resources import aclose_forcefully as aclose_forcefully

    # Typed attributes
    from ._abc.typed_attributes import TypedAttributeProvider as TypedAttributeProvider
    from ._abc.typed_attributes import TypedAttributeSet as TypedAttributeSet
    from ._abc.typed_attributes import typed_attribute as typed_attribute

    # Exceptions
    from ._exceptions import BrokenResourceError as BrokenResourceError
    from ._exceptions import BrokenWorkerInterpreter as BrokenWorkerInterpreter
    from ._exceptions import BrokenWorkerProcess as BrokenWorkerProcess
    from ._exceptions import BusyResourceError as BusyResourceError
    from ._exceptions import ClosedResourceError as ClosedResourceError
    from ._exceptions import ConnectionFailed as ConnectionFailed
    from ._exceptions import DelimiterNotFound as DelimiterNotFound
    from ._exceptions import EndOfStream as EndOfStream
    from ._exceptions import FutureAlreadyFinished as FutureAlreadyFinished
    from ._exceptions import FutureCancelled as FutureCancelled
    from ._exceptions import FutureFailed as FutureFailed
    from ._exceptions import FutureNotFinished as FutureNotFinished
    from ._exceptions import IncompleteRead as IncompleteRead
    from ._exceptions import NoEventLoopError as NoEventLoopError
    from ._exceptions import RunFinishedError as RunFinishedError
    from ._exceptions import TaskCancelled as TaskCancelled
    from ._exceptions import TaskFailed as TaskFailed
    from ._exceptions import TaskNotFinished as TaskNotFinished
    from ._exceptions import TypedAttributeLookupError as TypedAttributeLookupError
    from ._exceptions import WouldBlock as WouldBlock

    # Files and paths
    from ._files.file import AsyncFile as AsyncFile
    from ._files.file import open_file as open_file
    from ._files.file import wrap_file as wrap_file
    from ._files.path import Path as Path
    from ._files.spooled import SpooledTemporaryFile as SpooledTemporaryFile
    from ._files.tempfile import NamedTemporaryFile as NamedTemporaryFile
    from ._files.tempfile import TemporaryDirectory as TemporaryDirectory
    from ._files.tempfile import TemporaryFile as TemporaryFile
    from ._files.tempfile import gettempdir as gettempdir
    from ._files.tempfile import gettempdirb as gettempdirb
    from ._files.tempfile import mkdtemp as mkdtemp
    from ._files.tempfile import mkstemp as mkstemp

    # Several things at once
    from ._gather import amap as amap
    from ._gather import as_completed as as_completed
    from ._gather import gather as gather
    from ._loop.run import get_all_backends as get_all_backends
    from ._loop.run import get_available_backends as get_available_backends
    from ._loop.run import run as run

    # The event loop, time
    from ._loop.time import current_effective_deadline as current_effective_deadline
    from ._loop.time import current_time as current_time
    from ._loop.time import get_cancelled_exc_class as get_cancelled_exc_class
    from ._loop.time import sleep as sleep
    from ._loop.time import sleep_forever as sleep_forever
    from ._loop.time import sleep_until as sleep_until

    # Sockets
    from ._net.addresses import getaddrinfo as getaddrinfo
    from ._net.addresses import getnameinfo as getnameinfo
    from ._net.connectables import TCPConnectable as TCPConnectable
    from ._net.connectables import UNIXConnectable as UNIXConnectable
    from ._net.connectables import as_connectable as as_connectable
    from ._net.readiness import notify_closing as notify_closing
    from ._net.readiness import wait_readable as wait_readable
    from ._net.readiness import wait_socket_readable as wait_socket_readable
    from ._net.readiness import wait_socket_writable as wait_socket_writable
    from ._net.readiness import wait_writable as wait_writable
    from ._net.tcp import connect_tcp as connect_tcp
    from ._net.tcp import create_tcp_listener as create_tcp_listener
    from ._net.udp import create_connected_udp_socket as create_connected_udp_socket
    from ._net.udp import create_udp_socket as create_udp_socket
    from ._net.unix import connect_unix as connect_unix
    from ._net.unix import create_unix_listener as create_unix_listener
    from ._net.unix_datagram import (
        create_connected_unix_datagram_socket as create_connected_unix_datagram_socket,
    )
    from ._net.unix_datagram import create_unix_datagram_socket as create_unix_datagram_socket

    # Signals
    from ._signals import open_signal_receiver as open_signal_receiver

    # Other programs
    from ._subprocess.open import open_process as open_process
    from ._subprocess.run import run_process as run_process

    # Synchronisation
    from ._sync import CapacityLimiter as CapacityLimiter
    from ._sync import CapacityLimiterStatistics as CapacityLimiterStatistics
    from ._sync import Condition as Condition
    from ._sync import ConditionStatistics as ConditionStatistics
    from ._sync import Event as Event
    from ._sync import EventStatistics as EventStatistics
    from ._sync import Lock as Lock
    from ._sync import LockStatistics as LockStatistics
    from ._sync import ResourceGuard as ResourceGuard
    from ._sync import Semaphore as Semaphore
    from ._sync import SemaphoreStatistics as SemaphoreStatistics

    # Futures
    from ._sync.future import Future as Future
    from ._tasks.group import create_task_group as create_task_group

    # Tasks, as seen from outside
    from ._tasks.handle import TaskHandle as TaskHandle
    from ._tasks.info import TaskInfo as TaskInfo
    from ._tasks.info import get_current_task as get_current_task
    from ._tasks.info import get_running_tasks as get_running_tasks
    from ._tasks.info import wait_all_tasks_blocked as wait_all_tasks_blocked

    # Errors, cancellation and timeouts
    from ._tasks.root_cause import root_cause as root_cause
    from ._tasks.scope import CancelScope as CancelScope
    from ._tasks.shielded import shielded as shielded

    # Task groups
    from ._tasks.start import TASK_STATUS_IGNORED as TASK_STATUS_IGNORED
    from ._tasks.timeouts import fail_after as fail_after
    from ._tasks.timeouts import fail_at as fail_at
    from ._tasks.timeouts import move_on_after as move_on_after
    from ._tasks.timeouts import move_on_at as move_on_at

    # Memory streams
    from .streams._memory_pair import create_memory_object_stream as create_memory_object_stream
else:
    _NAMES = {
        "_abc.context_managers": "AsyncContextManagerMixin ContextManagerMixin",
        "_abc.resources": "aclose_forcefully",
        "_abc.typed_attributes": "TypedAttributeProvider TypedAttributeSet typed_attribute",
        "_exceptions": (
            "BrokenResourceError BrokenWorkerInterpreter BrokenWorkerProcess BusyResourceError ClosedResourceError ConnectionFailed "
            "DelimiterNotFound EndOfStream FutureAlreadyFinished FutureCancelled FutureFailed "
            "FutureNotFinished IncompleteRead NoEventLoopError RunFinishedError TaskCancelled "
            "TaskFailed TaskNotFinished TypedAttributeLookupError WouldBlock"
        ),
        "_files.file": "AsyncFile open_file wrap_file",
        "_files.path": "Path",
        "_files.spooled": "SpooledTemporaryFile",
        "_files.tempfile": (
            "NamedTemporaryFile TemporaryDirectory TemporaryFile gettempdir gettempdirb mkdtemp "
            "mkstemp"
        ),
        "_gather": "amap as_completed gather",
        "_loop.run": "get_all_backends get_available_backends run",
        "_loop.time": (
            "current_effective_deadline current_time get_cancelled_exc_class sleep sleep_forever "
            "sleep_until"
        ),
        "_net.addresses": "getaddrinfo getnameinfo",
        "_net.connectables": "TCPConnectable UNIXConnectable as_connectable",
        "_net.readiness": (
            "notify_closing wait_readable wait_socket_readable wait_socket_writable wait_writable"
        ),
        "_net.tcp": "connect_tcp create_tcp_listener",
        "_net.udp": "create_connected_udp_socket create_udp_socket",
        "_net.unix": "connect_unix create_unix_listener",
        "_net.unix_datagram": "create_connected_unix_datagram_socket create_unix_datagram_socket",
        "_signals": "open_signal_receiver",
        "_subprocess.open": "open_process",
        "_subprocess.run": "run_process",
        "_sync": (
            "CapacityLimiter CapacityLimiterStatistics Condition ConditionStatistics Event "
            "EventStatistics Lock LockStatistics ResourceGuard Semaphore SemaphoreStatistics"
        ),
        "_sync.future": "Future",
        "_tasks.group": "create_task_group",
        "_tasks.handle": "TaskHandle",
        "_tasks.info": "TaskInfo get_current_task get_running_tasks wait_all_tasks_blocked",
        "_tasks.root_cause": "root_cause",
        "_tasks.scope": "CancelScope",
        "_tasks.shielded": "shielded",
        "_tasks.timeouts": "fail_after fail_at move_on_after move_on_at",
        "_tasks.start": "TASK_STATUS_IGNORED",
        "streams._memory_pair": "create_memory_object_stream",
    }
    _HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
    _SUBMODULES = (
        "abc",
        "cluster",
        "debug",
        "flow",
        "from_thread",
        "functools",
        "insight",
        "itertools",
        "lowlevel",
        "services",
        "streams",
        "testing",
        "to_executor",
        "to_interpreter",
        "to_process",
        "to_thread",
    )

    __all__ = list(_HOME) + list(_SUBMODULES)

    def __getattr__(name):
        from importlib import import_module

        if name in _HOME:
            value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        elif name in _SUBMODULES:
            value = import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # so that this function is not asked again
        return value

    def __dir__():
        return sorted({*globals(), *_HOME, *_SUBMODULES})

    if _environ.get("CRECHE_INSIGHT") == "1":  # Viewers may ask this process from now on.
        from ._insight.answer import serve_as_environment_says as _serve

        _serve()
    elif _environ.get("CRECHE_INSIGHT", "").startswith(("record:", "flight:")):
        from ._insight.recorder import as_environment_says as _record

        _record(_environ["CRECHE_INSIGHT"])

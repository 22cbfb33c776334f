"""Waiting for sockets and descriptors that stay the user's: the kernel's verbs, made public.

Owns nothing: no registration is left when one of these calls returns. Streams do not use these; they
keep a watch of their own.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any, Protocol, TypeAlias
from warnings import warn

from .._kernel import current_kernel


class HasFileno(Protocol):
    """Anything with a descriptor."""

    def fileno(self) -> int: ...


FileDescriptorLike: TypeAlias = int | HasFileno


def wait_readable(obj: FileDescriptorLike) -> Coroutine[Any, Any, None]:
    """Wait until there is something to read from a socket or descriptor. A checkpoint.

    :param obj: an object with `fileno()`, or the number itself; on Windows it has to be a socket. A
        socket that a stream has taken over is read through the stream.
    :raises ClosedResourceError: `notify_closing` was called on it meanwhile
    :raises BusyResourceError: another task is waiting for the same
    :raises NoEventLoopError: no event loop is running in this thread; raised by the call itself
    """
    return current_kernel().wait_readable(obj)


def wait_writable(obj: FileDescriptorLike) -> Coroutine[Any, Any, None]:
    """Wait until a socket or descriptor takes something to write. A checkpoint.

    :param obj: an object with `fileno()`, or the number itself; on Windows it has to be a socket. A
        socket that a stream has taken over is written through the stream.
    :raises ClosedResourceError: `notify_closing` was called on it meanwhile
    :raises BusyResourceError: another task is waiting for the same
    :raises NoEventLoopError: no event loop is running in this thread; raised by the call itself
    """
    return current_kernel().wait_writable(obj)


def notify_closing(obj: FileDescriptorLike) -> None:
    """Wake the tasks that wait for a socket or descriptor, because it is about to be closed. Never waits.

    Tasks in `wait_readable` or `wait_writable` get a ClosedResourceError. Close it right after this call,
    with no await in between, or another task may begin to wait.

    :param obj: what the waiting tasks passed: an object with `fileno()`, or the number itself
    :raises NoEventLoopError: no event loop is running in this thread
    """
    current_kernel().notify_closing(obj)


def wait_socket_readable(sock: socket.socket) -> Coroutine[Any, Any, None]:
    """Do what `wait_readable` does, which replaces this function.

    .. deprecated:: 0.1 use `wait_readable`
    """
    _warn_of_old_name("wait_readable")
    return wait_readable(sock)


def wait_socket_writable(sock: socket.socket) -> Coroutine[Any, Any, None]:
    """Do what `wait_writable` does, which replaces this function.

    .. deprecated:: 0.1 use `wait_writable`
    """
    _warn_of_old_name("wait_writable")
    return wait_writable(sock)


def _warn_of_old_name(new: str) -> None:
    warn(f"This function is deprecated; use `{new}` instead", DeprecationWarning, stacklevel=3)

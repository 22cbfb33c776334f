"""TLS over any stream of bytes: the stream, a listener and a connectable that give out such streams.

Owns the handshakes of accepted connections: their time limit, and what is done when one fails. What a stream
is made of is in the private package `_tls`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ssl import SSLContext
from typing import Any

from .. import _labels
from .._abc.resources import aclose_forcefully
from .._abc.streams import (
    AnyByteStream,
    AnyByteStreamConnectable,
    ByteStreamConnectable,
    Listener,
)
from .._kernel import current_kernel
from .._misuse import check_handler
from .._tasks.group import TaskGroup
from .._tasks.timeouts import fail_after
from ._tls.attributes import TLSAttribute as TLSAttribute
from ._tls.context import default_context
from ._tls.stream import TLSStream as TLSStream


class TLSListener(Listener[TLSStream]):
    """Wraps a listener: the connections that it accepts do a TLS handshake before they are handled.

    Each handshake is done in the task of its connection, so a slow one keeps nobody waiting. One
    that fails or takes too long goes to `handle_handshake_error`.

    :param listener: what accepts the connections
    :param ssl_context: the certificate and settings of the server
    :param standard_compatible: passed to `TLSStream.wrap`
    :param handshake_timeout: seconds that a handshake may take
    """

    __slots__ = ("__weakref__", "handshake_timeout", "listener", "ssl_context",
                 "standard_compatible")  # fmt: skip

    def __init__(
        self,
        listener: Listener[Any],
        ssl_context: SSLContext,
        standard_compatible: bool = True,
        handshake_timeout: float = 30,
    ) -> None:
        self.listener = listener
        self.ssl_context = ssl_context
        self.standard_compatible = standard_compatible
        self.handshake_timeout = handshake_timeout

    @staticmethod
    async def handle_handshake_error(exc: BaseException, stream: AnyByteStream) -> None:
        """Deal with a handshake that failed; subclasses may do it in another way.

        Closes the connection without waiting. Logs the error to `creche.streams.tls`
        (`anyio.streams.tls` while the drop-in is on), unless it is a cancellation, and raises it
        again only if it is one or is no `Exception`, for a stranger's failed handshake must not end
        the server.

        :param exc: what the handshake raised; a TimeoutError if it took too long
        :param stream: the connection
        """
        await aclose_forcefully(stream)
        if isinstance(exc, current_kernel().cancelled_class):
            raise exc
        from logging import getLogger  # heavy, and not always needed

        getLogger(f"{_labels.library}.streams.tls").error(
            "Error during TLS handshake", exc_info=exc
        )
        if not isinstance(exc, Exception):
            raise exc

    async def serve(
        self, handler: Callable[[TLSStream], Any], task_group: TaskGroup | None = None
    ) -> None:
        """Accept connections until it is cancelled, each handled in a new task after its handshake.

        :param handler: a coroutine function that is called with each stream, and closes it
        :param task_group: where the tasks are started; a group of the listener's own if omitted
        """
        check_handler("serve", handler)

        async def shake_hands_and_handle(stream: AnyByteStream) -> None:
            try:
                with fail_after(self.handshake_timeout):
                    wrapped = await TLSStream.wrap(
                        stream,
                        server_side=True,
                        ssl_context=self.ssl_context,
                        standard_compatible=self.standard_compatible,
                    )
            except BaseException as exc:
                await self.handle_handshake_error(exc, stream)
            else:
                await handler(wrapped)

        await self.listener.serve(shake_hands_and_handle, task_group)

    async def aclose(self) -> None:
        """Close the wrapped listener. Connections stay open."""
        await self.listener.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the wrapped listener, and `TLSAttribute.standard_compatible`."""
        return {
            **self.listener.extra_attributes,
            TLSAttribute.standard_compatible: lambda: self.standard_compatible,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}(listener={self.listener!r})"


class TLSConnectable(ByteStreamConnectable):
    """Wraps a connectable: what it connects to does a TLS handshake, and comes as a `TLSStream`.

    :param connectable: what knows how to connect
    :param hostname: the name or address that the server's certificate has to be for
    :param ssl_context: certificates and settings; if omitted, Python's secure defaults, which check
        the host name only if there is one
    :param standard_compatible: passed to `TLSStream.wrap`
    """

    __slots__ = ("__weakref__", "connectable", "hostname", "ssl_context",
                 "standard_compatible")  # fmt: skip

    def __init__(
        self,
        connectable: AnyByteStreamConnectable,
        *,
        hostname: str | None = None,
        ssl_context: SSLContext | None = None,
        standard_compatible: bool = True,
    ) -> None:
        self.connectable = connectable
        self.hostname = hostname
        self.ssl_context = ssl_context or default_context(
            server_side=False, check_hostname=bool(hostname)
        )
        self.standard_compatible = standard_compatible

    async def connect(self) -> TLSStream:
        """Connect, do the handshake, and return the encrypted stream.

        :raises ConnectionFailed: there was no connecting; the system's error is its cause
        :raises ssl.SSLError: the handshake failed; the connection was closed
        :raises BrokenResourceError: the connection was lost during the handshake
        """
        stream = await self.connectable.connect()
        try:
            return await TLSStream.wrap(
                stream,
                server_side=False,
                hostname=self.hostname,
                ssl_context=self.ssl_context,
                standard_compatible=self.standard_compatible,
            )
        except BaseException:
            await aclose_forcefully(stream)
            raise

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(connectable={self.connectable!r}, hostname={self.hostname!r})"
        )

"""Text over byte streams: decoding what comes, encoding what is sent, as it comes and goes.

Owns a decoder or an encoder for each direction. Knows nothing of lines, and nothing of the streams
beside their bytes.

Rules
-----
* A character whose bytes come in pieces is given out when the last of them is there. One that is
  incomplete when the stream ends is an error, or whatever `errors` makes of it, before EndOfStream.
* An error ends with itself: decoding goes on afresh with the next bytes.
* What is sent can be decoded each time it is sent, and a byte order mark is only sent once.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from .._abc.streams import (
    AnyByteReceiveStream,
    AnyByteSendStream,
    AnyByteStream,
    AnyByteStreamConnectable,
    ObjectReceiveStream,
    ObjectSendStream,
    ObjectStream,
    ObjectStreamConnectable,
)
from .._exceptions import EndOfStream


class TextReceiveStream(ObjectReceiveStream[str]):
    """Decodes what comes out of a byte stream.

    :param transport_stream: the stream that the bytes come out of
    :param encoding: the name of the encoding
    :param errors: what to do about bytes that cannot be decoded, such as `replace`; see the module
        `codecs`
    :raises LookupError: there is no such encoding
    """

    __slots__ = ("__weakref__", "_decoder", "encoding", "errors", "transport_stream")

    def __init__(
        self,
        transport_stream: AnyByteReceiveStream,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> None:
        self.transport_stream = transport_stream
        self.encoding = encoding
        self.errors = errors
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)

    async def receive(self) -> str:
        """Wait for text and return at least one character of it. A checkpoint.

        :raises UnicodeDecodeError: what came is not of this encoding, or the stream ended in the
            middle of a character; its `object` has the bytes
        :raises EndOfStream: the peer is done, and nothing is left
        """
        while True:
            try:
                data, final = await self.transport_stream.receive(), False
            except EndOfStream:
                data, final = b"", True
            try:
                text = self._decoder.decode(data, final)
            except UnicodeDecodeError:
                self._decoder.reset()
                raise
            if text:
                return text
            if final:
                raise EndOfStream

    async def aclose(self) -> None:
        """Close the wrapped stream."""
        await self.transport_stream.aclose()
        self._decoder.reset()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the wrapped stream."""
        return self.transport_stream.extra_attributes

    def __repr__(self) -> str:
        return _show(self, self.encoding, self.transport_stream)


class TextSendStream(ObjectSendStream[str]):
    """Encodes what is sent to a byte stream.

    :param transport_stream: the stream that the bytes go into
    :param encoding: the name of the encoding
    :param errors: what to do about characters that it does not have, such as `replace`; see the
        module `codecs`
    :raises LookupError: there is no such encoding
    """

    __slots__ = ("__weakref__", "_encoder", "encoding", "errors", "transport_stream")

    def __init__(
        self,
        transport_stream: AnyByteSendStream,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> None:
        self.transport_stream = transport_stream
        self.encoding = encoding
        self.errors = errors
        self._encoder = codecs.getincrementalencoder(encoding)(errors)

    async def send(self, item: str) -> None:
        """Encode text and send all of it. A checkpoint.

        :raises UnicodeEncodeError: the encoding does not have one of its characters; nothing was
            sent
        """
        await self.transport_stream.send(self._encoder.encode(item, True))

    async def aclose(self) -> None:
        """Close the wrapped stream."""
        await self.transport_stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the wrapped stream."""
        return self.transport_stream.extra_attributes

    def __repr__(self) -> str:
        return _show(self, self.encoding, self.transport_stream)


class TextStream(ObjectStream[str]):
    """Decodes what comes out of a byte stream, and encodes what is sent to it.

    :param transport_stream: the stream that the bytes come out of and go into
    :param encoding: the name of the encoding
    :param errors: what to do about what cannot be decoded or encoded; see the module `codecs`
    :raises LookupError: there is no such encoding
    """

    __slots__ = ("__weakref__", "_receiver", "_sender", "encoding", "errors", "transport_stream")

    def __init__(
        self, transport_stream: AnyByteStream, encoding: str = "utf-8", errors: str = "strict"
    ) -> None:
        self.transport_stream = transport_stream
        self.encoding = encoding
        self.errors = errors
        self._receiver = TextReceiveStream(transport_stream, encoding, errors)
        self._sender = TextSendStream(transport_stream, encoding, errors)

    async def receive(self) -> str:
        """Wait for text and return at least one character of it. A checkpoint.

        :raises UnicodeDecodeError: what came is not of this encoding, or the stream ended in the
            middle of a character; its `object` has the bytes
        :raises EndOfStream: the peer is done, and nothing is left
        """
        return await self._receiver.receive()

    async def send(self, item: str) -> None:
        """Encode text and send all of it. A checkpoint.

        :raises UnicodeEncodeError: the encoding does not have one of its characters; nothing was
            sent
        """
        await self._sender.send(item)

    async def send_eof(self) -> None:
        """Tell the peer that no more will be sent."""
        await self.transport_stream.send_eof()

    async def aclose(self) -> None:
        """Close the wrapped stream."""
        await self._receiver.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the wrapped stream."""
        return self.transport_stream.extra_attributes

    def __repr__(self) -> str:
        return _show(self, self.encoding, self.transport_stream)


class TextConnectable(ObjectStreamConnectable[str]):
    """Wraps a connectable: what it connects to comes as a `TextStream`, in UTF-8.

    :param connectable: what knows how to connect
    """

    __slots__ = ("__weakref__", "connectable")

    def __init__(self, connectable: AnyByteStreamConnectable) -> None:
        self.connectable = connectable

    async def connect(self) -> TextStream:
        """Connect, and return the stream of text.

        :raises ConnectionFailed: there was no connecting; the system's error is its cause
        """
        return TextStream(await self.connectable.connect())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(connectable={self.connectable!r})"


def _show(stream: object, encoding: str, transport: object) -> str:
    return f"<{type(stream).__name__} {encoding}, over {transport!r}>"

"""Text streams: characters that come in pieces, what cannot be decoded, the end in the middle."""

from __future__ import annotations

import pytest
from _bytes import Attribute, Script, in_memory
from hypothesis import given
from hypothesis import strategies as st

from creche import CancelScope, EndOfStream, create_memory_object_stream
from creche.abc import ByteStreamConnectable
from creche.streams.stapled import StapledByteStream
from creche.streams.text import TextConnectable, TextReceiveStream, TextSendStream, TextStream

ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "iso2022_jp",
    "gb18030",
    "cp1252",
]


async def test_a_character_comes_out_when_its_last_byte_is_there() -> None:
    stream = TextReceiveStream(Script("Å".encode()[:1], "Å".encode()[1:] + b"b", b"c"))
    assert [text async for text in stream] == ["Åb", "c"]


@pytest.mark.parametrize(
    ("encoding", "text"), [(name, "一é" if name == "gb18030" else "a") for name in ENCODINGS]
)
async def test_what_one_end_sends_the_other_receives(encoding: str, text: str) -> None:
    near, far = in_memory()
    async with TextStream(near, encoding) as sender, TextStream(far, encoding) as receiver:
        await sender.send(text)
        assert await receiver.receive() == text
        await sender.send(text * 2)
        assert await receiver.receive() == text * 2
        await sender.send_eof()
        with pytest.raises(EndOfStream):
            await receiver.receive()


@given(texts=st.lists(st.text(max_size=6), max_size=5), size=st.integers(1, 7))
async def test_any_text_survives_any_chunks(texts: list[str], size: int) -> None:
    send, receive = create_memory_object_stream[bytes](100)
    sender = TextSendStream(send)
    chunks = bytearray()
    try:
        for text in texts:
            await sender.send(text)
            chunks += receive.receive_nowait()
    except UnicodeEncodeError:
        return  # a lone surrogate, which UTF-8 does not have
    finally:
        send.close()
        receive.close()
    parts = [bytes(chunks[at : at + size]) for at in range(0, len(chunks), size)]
    assert "".join([text async for text in TextReceiveStream(Script(*parts))]) == "".join(texts)


async def test_a_byte_order_mark_is_sent_once() -> None:
    send, receive = create_memory_object_stream[bytes](10)
    async with receive, TextSendStream(send, "utf-16") as stream:
        await stream.send("a")
        await stream.send("b")
        assert receive.receive_nowait() == "a".encode("utf-16")
        assert receive.receive_nowait() == "b".encode("utf-16")[2:]


async def test_an_end_in_the_middle_of_a_character_is_reported_once() -> None:
    stream = TextReceiveStream(Script(b"a\xc3"))
    assert await stream.receive() == "a"
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        await stream.receive()
    for _ in range(2):
        with pytest.raises(EndOfStream):
            await stream.receive()


async def test_an_end_in_the_middle_is_replaced_where_that_was_asked_for() -> None:
    stream = TextReceiveStream(Script(b"a\xc3"), errors="replace")
    assert [text async for text in stream] == ["a", "\N{REPLACEMENT CHARACTER}"]


async def test_bytes_that_cannot_be_decoded_are_an_error_after_which_it_goes_on() -> None:
    stream = TextReceiveStream(Script(b"a\xc3", b"\xffb", b"cd"))
    assert await stream.receive() == "a"
    with pytest.raises(UnicodeDecodeError) as caught:
        await stream.receive()
    assert caught.value.object == b"\xc3\xffb"
    assert await stream.receive() == "cd"


async def test_bytes_that_cannot_be_decoded_can_be_replaced() -> None:
    assert await TextReceiveStream(Script(b"\xffa"), errors="ignore").receive() == "a"


async def test_characters_that_the_encoding_lacks_are_not_sent() -> None:
    send, receive = create_memory_object_stream[bytes](10)
    async with receive, TextSendStream(send, "ascii") as stream:
        with pytest.raises(UnicodeEncodeError):
            await stream.send("Å")
        assert receive.statistics().current_buffer_used == 0
        await TextSendStream(send, "ascii", "replace").send("Å")
        assert receive.receive_nowait() == b"?"


@pytest.mark.parametrize("kind", [TextReceiveStream, TextSendStream, TextStream])
def test_an_unknown_encoding_is_an_error_at_once(kind: type[TextStream]) -> None:
    with pytest.raises(LookupError, match="klingon"):
        kind(Script(), "klingon")  # type: ignore[arg-type]


async def test_receiving_is_a_checkpoint() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await TextReceiveStream(Script(b"a")).receive()
    assert scope.cancelled_caught


async def test_closing_closes_the_wrapped_stream_and_attributes_are_its_own() -> None:
    source = Script()
    stream = TextReceiveStream(source)
    assert stream.extra(Attribute.name) == "script"
    await stream.aclose()
    assert source.closed
    both = TextStream(StapledByteStream(None, Script()))  # type: ignore[arg-type]
    assert repr(both).startswith("<TextStream utf-8, over StapledByteStream(")


async def test_a_connectable_gives_out_streams_of_text() -> None:
    class Connectable(ByteStreamConnectable):
        async def connect(self) -> StapledByteStream:
            return StapledByteStream(None, Script("å".encode()))  # type: ignore[arg-type]

    connectable = TextConnectable(Connectable())
    stream = await connectable.connect()
    assert isinstance(stream, TextStream)
    assert await stream.receive() == "å"
    assert "TextConnectable(connectable=" in repr(connectable)

"""The buffered stream: by size, by delimiter, and what stays in the buffer when it does not work."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from _bytes import Attribute, Script, cancelled_at, in_memory
from hypothesis import given
from hypothesis import strategies as st

from creche import (
    BusyResourceError,
    CancelScope,
    ClosedResourceError,
    DelimiterNotFound,
    EndOfStream,
    IncompleteRead,
    create_memory_object_stream,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.abc import ByteStream, ByteStreamConnectable
from creche.streams.buffered import (
    BufferedByteReceiveStream,
    BufferedByteStream,
    BufferedConnectable,
)
from creche.streams.stapled import StapledByteStream

Receive = Callable[[BufferedByteReceiveStream], Coroutine[Any, Any, bytes]]
each_way = pytest.mark.parametrize(
    "receive",
    [
        pytest.param(lambda stream: stream.receive(), id="receive"),
        pytest.param(lambda stream: stream.receive_exactly(3), id="exactly"),
        pytest.param(lambda stream: stream.receive_until(b"\n", 99), id="until"),
    ],
)


async def test_exactly_so_many_bytes_come_however_they_were_sent() -> None:
    stream = BufferedByteReceiveStream(Script(b"a", b"bcd", b"efghij"))
    assert await stream.receive_exactly(3) == b"abc"
    assert await stream.receive_exactly(1) == b"d"
    assert await stream.receive_exactly(5) == b"efghi"
    assert stream.buffer == b"j"


async def test_nothing_is_exactly_no_bytes() -> None:
    stream = BufferedByteReceiveStream(Script())
    assert await stream.receive_exactly(0) == b""


async def test_a_negative_number_of_bytes_is_an_error_that_takes_nothing() -> None:
    stream = BufferedByteReceiveStream(Script())
    stream.feed_data(b"abc")
    with pytest.raises(ValueError, match="nbytes must not be negative, but is -1"):
        await stream.receive_exactly(-1)
    assert stream.buffer == b"abc"


async def test_the_delimiter_is_taken_and_left_out() -> None:
    stream = BufferedByteReceiveStream(Script(b"one\r", b"\ntwo\r\nthr", b"ee\r\n\r\n"))
    assert await stream.receive_until(b"\r\n", 100) == b"one"
    assert await stream.receive_until(b"\r\n", 100) == b"two"
    assert await stream.receive_until(b"\r\n", 100) == b"three"
    assert await stream.receive_until(b"\r\n", 100) == b""
    assert stream.buffer == b""


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 64])
async def test_a_delimiter_is_found_wherever_the_chunks_split_it(chunk: int) -> None:
    data = b"a-b--c---d----END"
    parts = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    stream = BufferedByteReceiveStream(Script(*parts))
    assert await stream.receive_until(b"----", 100) == b"a-b--c---d"
    assert await stream.receive_exactly(3) == b"END"


@pytest.mark.parametrize("chunk", [1, 4, 100])
async def test_the_delimiter_has_to_end_within_max_bytes_whatever_the_chunks(chunk: int) -> None:
    data = b"abcd\r\nrest"
    parts = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    stream = BufferedByteReceiveStream(Script(*parts))
    with pytest.raises(DelimiterNotFound, match="not found among the first 5 bytes"):
        await stream.receive_until(b"\r\n", 5)
    assert await stream.receive_until(b"\r\n", 6) == b"abcd"


async def test_what_was_not_delimited_stays_in_the_buffer() -> None:
    stream = BufferedByteReceiveStream(Script(b"abcdef"))
    with pytest.raises(DelimiterNotFound):
        await stream.receive_until(b";", 4)
    assert stream.buffer == b"abcdef"
    assert await stream.receive_exactly(6) == b"abcdef"


@pytest.mark.parametrize(("delimiter", "max_bytes"), [(b"", 10), (b";", 0), (b";", -5)])
async def test_a_search_that_cannot_succeed_is_refused(delimiter: bytes, max_bytes: int) -> None:
    stream = BufferedByteReceiveStream(Script())
    stream.feed_data(b"ab;cd;ef")
    with pytest.raises(ValueError, match=r"delimiter must have|max_bytes must be a positive"):
        await stream.receive_until(delimiter, max_bytes)
    assert stream.buffer == b"ab;cd;ef"


async def test_an_end_in_the_middle_is_an_incomplete_read_that_keeps_what_came() -> None:
    stream = BufferedByteReceiveStream(Script(b"abc"))
    for attempt in (stream.receive_exactly(4), stream.receive_until(b";", 10)):
        with pytest.raises(IncompleteRead) as caught:
            await attempt
        assert isinstance(caught.value.__cause__, EndOfStream)
    assert await stream.receive() == b"abc"
    with pytest.raises(EndOfStream):
        await stream.receive()


async def test_receive_empties_the_buffer_before_it_waits() -> None:
    source = Script(b"abcdef", b"ghi")
    stream = BufferedByteReceiveStream(source)
    assert await stream.receive_exactly(1) == b"a"
    assert await stream.receive(2) == b"bc"
    assert await stream.receive() == b"def"
    assert source.asked == 1
    assert await stream.receive(1) == b"g"
    assert await stream.receive() == b"hi"


async def test_receive_wants_a_positive_number() -> None:
    stream = BufferedByteReceiveStream(Script())
    with pytest.raises(ValueError, match="max_bytes must be a positive integer"):
        await stream.receive(0)


async def test_a_chunk_is_iterated_over_as_it_comes() -> None:
    stream = BufferedByteReceiveStream(Script(b"ab", b"cd"))
    stream.feed_data(b"0")
    assert [chunk async for chunk in stream] == [b"0", b"ab", b"cd"]


async def test_a_stream_of_objects_can_be_wrapped_and_keeps_what_is_too_much() -> None:
    send, receive = create_memory_object_stream[bytes](10)
    async with send, BufferedByteReceiveStream(receive) as stream:
        await send.send(b"abcdef")
        assert await stream.receive(2) == b"ab"
        assert await stream.receive_exactly(4) == b"cdef"


@pytest.mark.parametrize("data", [b"xyz", bytearray(b"xyz"), [120, 121, 122], memoryview(b"xyz")])
async def test_data_can_be_fed_behind_what_is_there(data: Any) -> None:
    stream = BufferedByteReceiveStream(Script(b"abc", b"!"))
    assert await stream.receive_exactly(2) == b"ab"
    stream.feed_data(data)
    assert stream.buffer == b"cxyz"
    assert await stream.receive_until(b"!", 10) == b"cxyz"


def test_what_is_fed_has_to_be_bytes() -> None:
    stream = BufferedByteReceiveStream(Script())
    with pytest.raises(ValueError, match="range"):
        stream.feed_data([256])
    with pytest.raises(TypeError):
        stream.feed_data(3)  # type: ignore[arg-type]
    assert stream.buffer == b""


async def test_a_stream_with_an_empty_buffer_is_true() -> None:
    assert BufferedByteReceiveStream(Script())


# Cancellation, and other tasks


@each_way
async def test_every_way_of_receiving_is_a_checkpoint(receive: Receive) -> None:
    stream = BufferedByteReceiveStream(Script())
    stream.feed_data(b"ab\ncd\n")
    with CancelScope() as scope:
        scope.cancel()
        await receive(stream)
    assert scope.cancelled_caught
    assert stream.buffer == b"ab\ncd\n"


async def test_a_cancelled_operation_takes_nothing_out_of_the_buffer() -> None:
    for step in range(1, 20):
        stream = BufferedByteReceiveStream(Script(b"ab", b"cd", b"ef"))
        reached, got = await cancelled_at(step, stream.receive_exactly(6))
        rest = b"" if got else b"".join([chunk async for chunk in stream])
        assert (got or b"") + rest == b"abcdef"
        if not reached:
            break
    else:
        pytest.fail("it never ran to its end")


@each_way
async def test_a_second_task_that_receives_learns_that_the_stream_is_busy(receive: Receive) -> None:
    near, far = in_memory()
    async with near, far, create_task_group() as group:
        stream = BufferedByteReceiveStream(near)
        stream.feed_data(b"abcd")
        handle = group.start_soon(stream.receive_exactly, 6)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already reading from"):
            await receive(stream)
        await far.send(b"ef")
        assert await handle == b"abcdef"


@each_way
async def test_a_closed_stream_says_so_and_has_closed_the_wrapped_one(receive: Receive) -> None:
    source = Script(b"abc\n")
    stream = BufferedByteReceiveStream(source)
    assert await stream.receive(1) == b"a"
    await stream.aclose()
    assert source.closed
    with pytest.raises(ClosedResourceError):
        await receive(stream)


async def test_a_task_that_receives_is_woken_when_the_stream_is_closed() -> None:
    near, far = in_memory()

    async def receive() -> None:
        with pytest.raises(ClosedResourceError):
            await stream.receive_until(b"\n", 100)

    async with near, far, create_task_group() as group:
        stream = BufferedByteStream(near)
        group.start_soon(receive)
        await wait_all_tasks_blocked()
        await stream.aclose()


# Both directions


async def test_sends_and_the_end_go_straight_through() -> None:
    near, far = in_memory()
    async with far, BufferedByteStream(near) as stream:
        await stream.send(b"abc")
        await stream.send_eof()
        assert [chunk async for chunk in far.receive_stream] == [b"abc"]


async def test_the_attributes_are_those_of_the_wrapped_stream() -> None:
    assert BufferedByteReceiveStream(Script()).extra(Attribute.name) == "script"


async def test_a_connectable_gives_out_buffered_streams() -> None:
    class Connectable(ByteStreamConnectable):
        async def connect(self) -> ByteStream:
            return StapledByteStream(None, Script(b"one\ntwo"))  # type: ignore[arg-type]

    connectable = BufferedConnectable(Connectable())
    stream = await connectable.connect()
    assert isinstance(stream, BufferedByteStream)
    assert await stream.receive_until(b"\n", 10) == b"one"
    assert "BufferedConnectable(connectable=<" in repr(connectable)


def test_a_stream_shows_how_full_it_is() -> None:
    stream = BufferedByteReceiveStream(Script())
    stream.feed_data(b"abc")
    assert repr(stream).startswith("<BufferedByteReceiveStream 3 bytes, of <")


# Against a model, and against the clock

operation = st.one_of(
    st.tuples(st.just("exactly"), st.integers(0, 12)),
    st.tuples(st.just("until"), st.binary(min_size=1, max_size=2)),
    st.tuples(st.just("some"), st.integers(1, 6)),
    st.tuples(st.just("feed"), st.binary(max_size=6)),
)
few_letters = st.text(alphabet="ab;", max_size=8).map(str.encode).filter(bool)


@given(chunks=st.lists(few_letters, max_size=8), operations=st.lists(operation, max_size=12))
async def test_it_gives_out_what_one_string_of_bytes_would(
    chunks: list[bytes], operations: list[tuple[str, Any]]
) -> None:
    source = Script(*chunks)
    stream = BufferedByteReceiveStream(source)
    for name, argument in operations:
        unread = stream.buffer + b"".join(source.chunks)
        try:
            if name == "exactly":
                assert await stream.receive_exactly(argument) == unread[:argument]
                assert len(unread) >= argument
            elif name == "until":
                before, found, _ = unread.partition(argument)
                assert await stream.receive_until(argument, 1000) == before
                assert found
            elif name == "some":
                got = await stream.receive(argument)
                assert 0 < len(got) <= argument
                assert unread.startswith(got)
            else:
                before_it = stream.buffer
                stream.feed_data(argument)
                assert stream.buffer == before_it + argument
        except (IncompleteRead, EndOfStream):
            assert stream.buffer == unread
            assert not source.chunks


@pytest.mark.backends("asyncio")
async def test_a_search_through_what_trickles_in_is_not_quadratic() -> None:
    async def seconds(pieces: int) -> float:
        source = Script()
        source.chunks = Pieces(pieces)  # type: ignore[assignment]
        stream = BufferedByteReceiveStream(source)
        begin = time.process_time()
        await stream.receive_until(b"\r\n", 1 << 30)
        return time.process_time() - begin

    await seconds(1000)
    short = min([await seconds(1000) for _ in range(3)])
    long = min([await seconds(16000) for _ in range(3)])
    assert long < 16 * short * 4


class Pieces:
    """So many pieces of 16 bytes, and then the delimiter."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __bool__(self) -> bool:
        return True

    def pop(self, at: int) -> bytes:
        self.count -= 1
        return b"x" * 16 if self.count else b"\r\n"


async def test_an_empty_chunk_is_not_what_has_been_received() -> None:
    stream = BufferedByteReceiveStream(Script(b"", b"ab", b"", b"", b"c"))
    assert [await stream.receive(1), await stream.receive(), await stream.receive()] == [
        b"a",
        b"b",
        b"c",
    ]
    with pytest.raises(EndOfStream):
        await stream.receive()


async def test_an_empty_chunk_does_not_end_a_search_or_a_count() -> None:
    stream = BufferedByteReceiveStream(Script(b"", b"a", b"", b"b;", b"", b"cd"))
    assert await stream.receive_until(b";", 10) == b"ab"
    assert await stream.receive_exactly(2) == b"cd"

"""`create_memory_object_stream`: make the two ends of a memory stream, with their item type."""

from __future__ import annotations

import warnings
from math import inf
from typing import TypeVar

from .. import _labels
from ._channel import Channel
from .memory import MemoryObjectReceiveStream, MemoryObjectSendStream

T_Item = TypeVar("T_Item")


class create_memory_object_stream(  # noqa: N801  # a function that can be subscripted
    tuple[MemoryObjectSendStream[T_Item], MemoryObjectReceiveStream[T_Item]],
):
    """Make a memory object stream, and return its send end and its receive end.

    The type of the items is given as `create_memory_object_stream[int](10)`. The number,
    `max_buffer_size`, is how many items `send` may leave in the buffer before it waits for
    receivers. With 0, the default, `send` waits until a receiver has the item; with `math.inf` it
    never waits. `item_type` is deprecated, and without effect: write the type in brackets.
    `name` is what reports of deadlocks call the stream.

    ```python
    import creche


    async def main() -> None:
        send, receive = creche.create_memory_object_stream[str](10)
        async with send, receive:
            await send.send("parcel")
            print(await receive.receive())


    creche.run(main)
    ```

    :raises ValueError: `max_buffer_size` is negative, or neither an integer nor `math.inf`
    """

    __slots__ = ()

    def __new__(  # type: ignore[misc]  # returns a plain tuple, which is all a caller needs
        cls, max_buffer_size: float = 0, item_type: object = None, *, name: str | None = None
    ) -> tuple[MemoryObjectSendStream[T_Item], MemoryObjectReceiveStream[T_Item]]:
        if max_buffer_size != inf and not isinstance(max_buffer_size, int):
            raise ValueError(
                "max_buffer_size must be either an integer or math.inf, "
                f"not {max_buffer_size!r}: it counts items"
            )
        if max_buffer_size < 0:
            raise ValueError(
                f"max_buffer_size cannot be negative, but is {max_buffer_size!r}: "
                "give 0 for a stream without a buffer"
            )
        if item_type is not None:
            warnings.warn(
                "The item_type argument has been deprecated: "
                "use create_memory_object_stream[YourItemType](...) instead",
                DeprecationWarning,
                stacklevel=2,
            )
        channel = Channel(max_buffer_size)
        if name is not None or _labels.noting:
            channel.name = _labels.label(name)
        return MemoryObjectSendStream(channel), MemoryObjectReceiveStream(channel)

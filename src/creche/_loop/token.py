"""`EventLoopToken`: names one event loop, also from other threads.

Owns what a token shows and when two are equal. Code that uses a token to call into its loop asks
`kernel_of`, which is not for users.
"""

# pyright: reportPrivateUsage=false
# The functions of this module stand for its class: they alone look into its slots.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from .._kernel import current_kernel, kernel_of_token
from .run import get_all_backends

if TYPE_CHECKING:
    from .._kernel.contract import Kernel


def current_token() -> EventLoopToken:
    """Return what stands for the running event loop, to name it from another thread.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return token_of(current_kernel())


@final
class EventLoopToken:
    """Stands for one event loop, for as long as that lives. Tokens of the same loop are equal.

    Usually made by `current_token()`. To make one by hand, say what runs the loop and which it is:

    :param backend_class: what stands for the backend: the `backend_class` of another token
    :param native_token: the loop's own object for itself: the asyncio loop, or the Trio token
    :raises TypeError: `backend_class` stands for no backend
    """

    __slots__ = ("__weakref__", "_backend_class", "_kernel", "_native_token")

    def __init__(self, backend_class: Any, native_token: object) -> None:
        if getattr(backend_class, "name", None) not in get_all_backends():
            raise TypeError(
                f"backend_class must be the class of a backend, not {backend_class!r}: take it "
                "from another token, as in current_token().backend_class"
            )
        self._backend_class = backend_class
        self._native_token = native_token
        self._kernel: Kernel | None = None

    @property
    def backend_class(self) -> Any:
        """What stands for the loop's backend, to make other tokens with."""
        return self._backend_class

    @property
    def backend_name(self) -> str:
        """The name of the loop's backend: `"asyncio"` or `"trio"`."""
        name: str = self._backend_class.name
        return name

    @property
    def native_token(self) -> object:
        """The loop's own object for itself: the asyncio loop, or the Trio token."""
        return self._native_token

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EventLoopToken):
            return bool(self._native_token == other._native_token)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._native_token)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.backend_name}: {self._native_token!r}>"


def token_of(kernel: Kernel) -> EventLoopToken:
    """Return the token of a kernel."""
    token = EventLoopToken(type(kernel), kernel.token)
    token._kernel = kernel
    return token


def kernel_of(token: EventLoopToken) -> Kernel:
    """Return the kernel that a token stands for.

    :raises RunFinishedError: the loop has finished, and nothing is known of it
    """
    if token._kernel is None:
        token._kernel = kernel_of_token(token.backend_name, token._native_token)
    return token._kernel

"""What runs in this thread: the contract's `Finder`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .scopes import Cancelled

if TYPE_CHECKING:
    from .kernel import ToyKernel
    from .tasks import Task

cancelled_class = Cancelled
_here = threading.local()
"""`kernel`: the one whose loop runs in this thread."""


def kernel_here() -> ToyKernel | None:
    kernel: ToyKernel | None = getattr(_here, "kernel", None)
    return kernel


def native_here() -> Task | None:
    return task_here()


def kernel_of_token(token: ToyKernel) -> ToyKernel:
    return token


def task_here() -> Task | None:
    kernel = kernel_here()
    return None if kernel is None else kernel.current


def set_here(kernel: ToyKernel | None) -> None:
    _here.kernel = kernel

"""Checkpoints by hand, tokens of event loops, and variables that belong to one event loop.

For code that builds primitives of its own.
"""

from __future__ import annotations

from ._loop.run_var import RunVar as RunVar
from ._loop.run_var import RunvarToken as RunvarToken
from ._loop.token import EventLoopToken as EventLoopToken
from ._loop.token import current_token as current_token
from ._tasks.checkpoint import cancel_shielded_checkpoint as cancel_shielded_checkpoint
from ._tasks.checkpoint import checkpoint as checkpoint
from ._tasks.checkpoint import checkpoint_if_cancelled as checkpoint_if_cancelled
from ._tasks.native import run_native as run_native

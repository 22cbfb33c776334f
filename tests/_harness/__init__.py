"""What the tests share: the backends they run on, the checks around each test, small measures.

Hooks and fixtures are in ``conftest.py``; this package has the parts that a test may import.
"""

from ._backends import BACKENDS as BACKENDS
from ._backends import EVERY as EVERY
from ._backends import FAMILIES as FAMILIES
from ._backends import Backend as Backend
from ._backends import on_asyncio as on_asyncio
from ._backends import on_each_command_line as on_each_command_line
from ._backends import on_each_kernel as on_each_kernel
from ._backends import on_each_simulated_loop as on_each_simulated_loop
from ._backends import on_every_backend as on_every_backend
from ._backends import on_trio as on_trio
from ._checkpoints import cancel_at_each_checkpoint as cancel_at_each_checkpoint
from ._checkpoints import open_descriptors as open_descriptors
from ._measures import Laggard as Laggard
from ._measures import Measured as Measured
from ._measures import counting as counting
from ._measures import cpu_time as cpu_time
from ._measures import leaves as leaves
from ._resources import Resource as Resource
from ._resources import assert_free as assert_free
from ._resources import each_resource as each_resource
from ._threads import error_in_a_thread as error_in_a_thread
from ._threads import notices_other_threads as notices_other_threads

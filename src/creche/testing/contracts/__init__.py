"""Contract suites: put what Creche promises of streams, listeners and locks to those of your own.

Publishes the suites, and does nothing itself:

    rules.py         how rules are run, and what is said of those that are broken
    pairs.py         two ends of a stream: which is which
    streams.py       the checks of streams
    byte_rules.py    chunks without boundaries
    object_rules.py  items, once and in order
    listeners.py     connections, each in a task of its own
    locks.py         one task at a time
"""

from .listeners import check_listener as check_listener
from .locks import LockLike as LockLike
from .locks import check_lock as check_lock
from .rules import BrokenRule as BrokenRule
from .rules import ContractError as ContractError
from .streams import check_byte_stream as check_byte_stream
from .streams import check_object_stream as check_object_stream
from .streams import check_one_way_byte_stream as check_one_way_byte_stream
from .streams import check_one_way_object_stream as check_one_way_object_stream

"""Contract suites: put what Creche promises of streams, listeners and locks to those of your own.

Publishes the suites, and does nothing itself:

    _rules.py          how rules are run, and what is said of those that are broken
    _pairs.py          two ends of a stream: which is which
    _streams.py        the checks of streams
    _closing_rules.py  what closing means for the tasks at either end
    _byte_rules.py     chunks without boundaries
    _object_rules.py   items, once and in order
    _listeners.py      connections, each in a task of its own
    _locks.py          one task at a time
    _operations.py     what `select` may be offered
"""

from ._listeners import check_listener as check_listener
from ._locks import LockLike as LockLike
from ._locks import check_lock as check_lock
from ._operations import check_operation as check_operation
from ._rules import BrokenRule as BrokenRule
from ._rules import ContractError as ContractError
from ._streams import check_byte_stream as check_byte_stream
from ._streams import check_object_stream as check_object_stream
from ._streams import check_one_way_byte_stream as check_one_way_byte_stream
from ._streams import check_one_way_object_stream as check_one_way_object_stream

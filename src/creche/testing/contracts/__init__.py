"""Contract suites: check that your own streams, listeners and locks keep what Creche promises.

Publishes the suites, and does nothing itself:

    _rules.py          how rules are run, and how broken ones are reported
    _pairs.py          which end of a stream is which
    _streams.py        the checks of streams
    _closing_rules.py  what closing means for the tasks at either end
    _byte_rules.py     chunks without boundaries
    _object_rules.py   items, once and in order
    _listeners.py      connections, each in a task of its own
    _locks.py          one task at a time
    _operations.py     operations for `select`
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

"""Calling functions on other machines, under the scopes of the tasks that call. Extra `creche[cluster]`.

Publishes what is in the private package `_cluster`, and does nothing itself.
"""

from ._cluster.calls import RemoteCall as RemoteCall
from ._cluster.cluster import Cluster as Cluster
from ._cluster.contract import Placement as Placement
from ._cluster.contract import WorkerInfo as WorkerInfo
from ._cluster.errors import ClusterError as ClusterError
from ._cluster.errors import ClusterLost as ClusterLost
from ._cluster.errors import IncompatibleWorker as IncompatibleWorker
from ._cluster.errors import PayloadError as PayloadError
from ._cluster.errors import RemoteWorkerLost as RemoteWorkerLost
from ._cluster.errors import WorkerUnreachable as WorkerUnreachable
from ._cluster.opening import open_cluster as open_cluster

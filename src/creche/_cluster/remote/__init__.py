"""The worker's side of a cluster: what travels as source to machines that have no Creche.

`loading` makes modules of it there. `perform` opens and makes a call; `child` is the process that
does so; `fork_server` starts, kills and reaps children; `children` is the worker's end of both; `leases`
decides what runs. No file here imports Creche, Dask or any other package, and each runs on Python
3.10 and later, for a worker may be older than its caller.

ORDER is the order in which the files import each other.
"""

ORDER = ("perform", "child", "child_logs", "child_async", "fork_server", "children", "leases")

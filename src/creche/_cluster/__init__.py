"""Calls on other machines. `contract` says what an engine is, `dask/` is one, `remote/` runs on workers.

opening ──▸ cluster ──▸ calls ──▸ call        written once, in the caller's event loop
                          │
                       contract
                          │
                        dask/                 a thread with Dask's loop, and the hub on the scheduler
                          │
                       remote/                on the worker: leases, its fork server, its children
"""

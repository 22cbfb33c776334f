"""The Dask engine. The only package that knows Dask, and the asyncio loop that it needs.

`engine` is the caller's end, in a thread of its own; `plugin` is the other end, on scheduler and workers.
"""

"""The parts of `creche.flow`. Written once above the kernel contract; knows no event loop.

below.py          what is used of the packages below, parking and the ready checkpoint among it
beside.py         one task that lives as long as a block
outcomes.py       what a call has come to
sources.py        one way to pull from iterables and async iterables
rates.py          token buckets; `RateLimiter`
map_state.py      which call may start, which result comes out. Pure
mapped.py         `as_mapped`, `for_each`, `map_bounded`
safe_stream.py    `as_safe_stream`
safe_context.py   `safe_contextmanager`
race.py           `race`
broadcast_log.py  what a broadcast keeps, and who has read what. Pure
broadcast.py      `create_broadcast`, and the ends of a broadcast
watched.py        `Watched`
operations.py     deadlines and errors as operations
selecting.py      `select`
"""

"""`cache`, `lru_cache` and `reduce` for async functions, after the standard library's.

What a cached function does is in `_functools/lru_cache.py`; how a function comes to be cached, and `reduce`, are in
`_functools/wrappers.py`.
"""

from __future__ import annotations

from ._functools.lru_cache import AsyncCacheInfo as AsyncCacheInfo
from ._functools.lru_cache import AsyncCacheParameters as AsyncCacheParameters
from ._functools.lru_cache import AsyncLRUCacheWrapper as AsyncLRUCacheWrapper
from ._functools.lru_cache import lru_cache_items as lru_cache_items
from ._functools.wrappers import cache as cache
from ._functools.wrappers import initial_missing as initial_missing
from ._functools.wrappers import lru_cache as lru_cache
from ._functools.wrappers import reduce as reduce

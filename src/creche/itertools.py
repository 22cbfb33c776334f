"""The tools of the standard library's `itertools`, over async iterables as well as plain ones.

The combinations are made in `_itertools/combinations.py`, `tee` in `_itertools/tee.py`, everything else in
`_itertools/tools.py`. `_itertools/sources.py` says how items are pulled, and when an iterator is closed.
"""

from __future__ import annotations

from ._itertools.combinations import combinations as combinations
from ._itertools.combinations import combinations_with_replacement as combinations_with_replacement
from ._itertools.combinations import permutations as permutations
from ._itertools.combinations import product as product
from ._itertools.tee import tee as tee
from ._itertools.tools import Chain as Chain
from ._itertools.tools import accumulate as accumulate
from ._itertools.tools import batched as batched
from ._itertools.tools import chain as chain
from ._itertools.tools import compress as compress
from ._itertools.tools import count as count
from ._itertools.tools import cycle as cycle
from ._itertools.tools import dropwhile as dropwhile
from ._itertools.tools import filterfalse as filterfalse
from ._itertools.tools import groupby as groupby
from ._itertools.tools import islice as islice
from ._itertools.tools import pairwise as pairwise
from ._itertools.tools import repeat as repeat
from ._itertools.tools import starmap as starmap
from ._itertools.tools import takewhile as takewhile
from ._itertools.tools import zip_longest as zip_longest

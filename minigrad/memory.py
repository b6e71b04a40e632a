"""Keep freed memory for the next step, and let the garbage collector look less often.

Note [Keeping freed memory]
~~~~~~~~~~~~~~~~~~~~~~~~~~~
A training step allocates its results, keeps them until backward, and frees them all: the next step
asks for the same sizes again. glibc gives big blocks back to the system at once, and the system
then hands the next step fresh pages, each zeroed and faulted in: with forty results of 1 MB a step
took 24.6 ms, and 2.9 ms with the two settings below. The price is that the process keeps its peak
memory. Set MINIGRAD_KEEP_MEMORY=0 to leave glibc as it is.

Note [Looking less often]
~~~~~~~~~~~~~~~~~~~~~~~~~
Python's collector looks for unreachable cycles each time 700 more containers have been made than
freed. A graph is made of containers, some six an op, and holds no cycle: it falls by reference
counts alone (Note [Saved tensors] in core.py). So the collector walks through growing graphs in
vain, for a tenth of the time of small ops. Newer Pythons wait for 2,000 by themselves; here it is
5,000, unless the program has set a number of its own.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for mallopt's parameters: M_...


def keep_freed_memory() -> None:
    """Ask glibc to keep what is freed; does nothing where there is no glibc."""
    if not sys.platform.startswith("linux") or os.environ.get("MINIGRAD_KEEP_MEMORY") == "0":
        return
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError):  # another C library: it has no mallopt
        pass


_PYTHONS_OWN, _LESS_OFTEN = (700, 2000), 5000


def collect_less_often() -> None:
    """Raise the number of new containers at which the collector looks at the young ones."""
    young, *rest = gc.get_threshold()
    if young in _PYTHONS_OWN:
        gc.set_threshold(_LESS_OFTEN, *rest)

"""Keep freed memory for the next step.

Note [Keeping freed memory]
~~~~~~~~~~~~~~~~~~~~~~~~~~~
A training step allocates its results, keeps them until backward, and frees them all: the next step
asks for the same sizes again. glibc gives big blocks back to the system at once, and the system
then hands the next step fresh pages, each zeroed and faulted in: with forty results of 1 MB a step
took 24.6 ms, and 2.9 ms with the two settings below. The price is that the process keeps its peak
memory. Set MINIGRAD_KEEP_MEMORY=0 to leave glibc as it is.
"""

from __future__ import annotations

import ctypes
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

"""How this process treats memory: large blocks are kept, and what was loaded is not searched.

By default each large block is mapped and given back, and its first touch costs a page fault for
every four KiB, one thread at a time. Kept blocks save a fifth of the time spent in the system, and
two arenas instead of many a tenth of the memory. Where there is no glibc, nothing happens.

The garbage collector looks through all that was loaded, some 0.15 seconds during which no thread
may run; it lives as long as the process, so it is set aside.
"""

from __future__ import annotations

import ctypes
import gc
from functools import cache

import pyarrow as pa

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_ONE_GIB = 1 << 30


@cache
def keep_blocks() -> bool:
    """Set it once for the process, for Arrow's columns, too; whether the allocator took it."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((_TRIM_THRESHOLD, _ONE_GIB), (_MMAP_THRESHOLD, _ONE_GIB), (_ARENA_MAX, 2))
    taken = [mallopt(name, value) == 1 for name, value in settings]
    pa.set_memory_pool(pa.system_memory_pool())
    return all(taken)


def give_back() -> None:
    """Free memory to the system, holes between what is used included.

    Worth its time only between the steps of a very large group, which need other blocks each.
    """
    if keep_blocks():
        ctypes.CDLL(None).malloc_trim(0)


@cache
def set_aside() -> None:
    """Once for the process: what there is now is no garbage and will not become any."""
    gc.freeze()

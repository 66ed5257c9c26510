"""koukan: the batch file-exchange processor of an intermediate server for medical insurers."""

import os

__version__ = "0.1.0"

# Before polars is loaded: its allocator gives freed memory back after half a second, and the next
# step of the run has to touch it for the first time again, a page fault for every four KiB. What
# one thread has freed serves another one in fewer arenas than four for each processor.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:1500,narenas:2")
# Before numpy is loaded: it asks for huge pages for its large arrays. Where files fill the memory
# that nobody else wants, as they do here, the system first moves pages about to make room for each.
os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")

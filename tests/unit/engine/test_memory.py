from __future__ import annotations

import gc
import platform
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from koukan.engine.memory import give_back, keep_blocks, set_aside

MIB = 1 << 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_the_allocator_takes_the_settings() -> None:
    assert keep_blocks()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")
def test_freed_memory_goes_back() -> None:
    keep_blocks()  # from here on, freed blocks stay with the process
    blocks = [np.ones(1 << 20) for _ in range(32)]  # 8 MiB each, touched
    del blocks
    before = resident()
    give_back()
    assert before - resident() > 100 * MIB


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_what_was_loaded_is_not_searched_for_garbage() -> None:
    set_aside.cache_clear()
    set_aside()
    assert gc.get_freeze_count() > 1_000
    gc.unfreeze()

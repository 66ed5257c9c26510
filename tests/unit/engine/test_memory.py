from __future__ import annotations

import gc
import platform

import pytest

from koukan.engine.memory import keep_blocks, set_aside


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_the_allocator_takes_the_settings() -> None:
    assert keep_blocks()


def test_what_was_loaded_is_not_searched_for_garbage() -> None:
    set_aside.cache_clear()
    set_aside()
    assert gc.get_freeze_count() > 1_000
    gc.unfreeze()

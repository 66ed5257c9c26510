from __future__ import annotations

import platform

import pytest

from koukan.engine.memory import keep_blocks


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_the_allocator_takes_the_settings() -> None:
    assert keep_blocks()

"""Markers: written and read, and nothing else taken for one."""

from __future__ import annotations

import pytest

from koukan.exchange.markers import Marker, read_marker

HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize("marker", [Marker(HASH, 0), Marker(HASH, 12, 3), Marker(HASH, 10**15, 0)])
def test_what_is_written_is_read(marker: Marker) -> None:
    assert read_marker(marker.written()) == marker


@pytest.mark.parametrize(
    "content",
    [
        b"",
        HASH.encode(),
        f"{HASH} 012".encode(),
        f"{HASH.upper()} 12".encode(),
        f"{HASH} 12 3 4\n".encode(),
        f"{HASH} 12\n\n".encode(),
        f"{HASH} -1".encode(),
        HASH.encode() + b" \xd9\xa1\xd9\xa2",
    ],
)
def test_all_else_is_none(content: bytes) -> None:
    assert read_marker(content) is None

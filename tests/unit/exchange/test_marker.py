"""Markers: written and read, and what is wrong with a file that has one."""

from __future__ import annotations

import pytest

from koukan.exchange.marker import WRONG_CONTENT, WRONG_RECORDS, Marker, parse

HASH, OTHER = "0123456789abcdef" * 4, "f" * 64


@pytest.mark.parametrize("marker", [Marker(HASH, 0), Marker(HASH, 12, 3), Marker(HASH, 10**14, 0)])
def test_what_is_written_is_read(marker: Marker) -> None:
    assert parse(marker.written()) == marker


@pytest.mark.parametrize(
    "content",
    [
        b"",
        HASH.encode(),
        f"{HASH} 12 3 4\n".encode(),
        f"{HASH} 12\n\n".encode(),
        f"{HASH} -1".encode(),
        HASH.encode() + b" \xd9\xa1\xd9\xa2",
        b"[" * 500,
        b"{",
        b'{"sha256": 1, "size": 2}',
        b" " * 600 + f"{HASH} 12".encode(),
    ],
)
def test_all_else_is_none(content: bytes) -> None:
    assert parse(content) is None


def test_bytes_go_before_records_and_records_that_are_not_told_are_not_compared() -> None:
    marker = Marker(HASH, 12, 3)
    assert marker.complaint(HASH, 12, 3) is None
    assert marker.complaint(HASH, 12, 4) == WRONG_RECORDS
    assert marker.complaint(HASH, 13, 4) == marker.complaint(OTHER, 12, 3) == WRONG_CONTENT
    assert Marker(HASH, 12).complaint(HASH, 12, 4) is None

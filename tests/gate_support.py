"""How the tests of the gate read a file: in blocks of any size."""

from __future__ import annotations

from koukan.codecs.gate import Gate, Verdict
from koukan.formats import Format

CUTS: list[list[int] | None] = [None, [1], [13], [700], [701, 2], [1 << 20]]


def read(form: Format, content: bytes, sizes: list[int] | None = None) -> Verdict:
    """The verdict over content that comes in blocks of these sizes, again and again."""
    return Gate(form).read(in_blocks(content, sizes) if sizes else [content])


def in_blocks(content: bytes, sizes: list[int]) -> list[bytes]:
    blocks, position, turn = [], 0, 0
    while position < len(content):
        size = sizes[turn % len(sizes)]
        blocks.append(content[position : position + size])
        position, turn = position + size, turn + 1
    return blocks


def said(verdict: Verdict) -> tuple[str | None, int]:
    return verdict.code, verdict.line

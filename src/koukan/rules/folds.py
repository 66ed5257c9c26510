"""Folds: ways of writing that mean the same are written the same way.

A fold takes a column of strings, absent ones stay absent. Applied one after another in the order of
a ladder (`koukan.rules.compare`) each is idempotent over all before it: what was folded once stays.
Folds work on single characters and so never join two of them by accident; where a space keeps two
numbers of an address apart, it stays.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

import polars as pl

Variants = Mapping[str, str]  # character -> the one it stands for (formats/variants.toml)

VOICED, HALF_VOICED = "\u3099", "\u309a"  # combining; ガ is folded to カ and this mark
KANA = range(0x3041, 0x30FF)
FULL_AND_HALF_WIDTH = range(0xFF01, 0xFFEF)
HYPHENS = "‐‑‒–—―−─━﹘﹣ー"  # of every width that the fold of widths has left, and the long vowel
SELECTORS = [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]  # choose a glyph, not a character
DIGITS = "0-9〇一二三四五六七八九十百千"


def _width_pairs() -> Iterator[tuple[str, str]]:
    """Unicode's own pairs: <wide> and <narrow> forms, and kana with their marks taken apart."""
    for code in (0x3000, *FULL_AND_HALF_WIDTH):
        kind, _, target = unicodedata.decomposition(chr(code)).partition(" ")
        if kind in ("<wide>", "<narrow>"):
            yield chr(code), chr(int(target, 16))
    for code in KANA:
        base, _, mark = unicodedata.decomposition(chr(code)).partition(" ")
        if mark in ("3099", "309A"):
            yield chr(code), chr(int(base, 16)) + chr(int(mark, 16))
    yield from zip("゛゜", (VOICED, HALF_VOICED), strict=True)


WIDTHS = dict(_width_pairs())
HIRAGANA = {chr(code): chr(code + 0x60) for code in (*range(0x3041, 0x3097), 0x309D)}


def width(column: pl.Expr, _: Variants) -> pl.Expr:
    """Full and half width are one; ｶﾞ, カ゛ and ガ are one."""
    return column.str.replace_many(WIDTHS)


def spaces(column: pl.Expr, _: Variants) -> pl.Expr:
    """No spaces."""
    return column.str.replace_all(r"\s+", "")


def spaces_of_address(column: pl.Expr, _: Variants) -> pl.Expr:
    """No spaces but one between two numbers: "1-2 34" is not "1-23 4"."""
    return (
        column.str.replace_all(rf"(^|[^\s{DIGITS}])\s+", "$1")
        .str.replace_all(rf"\s+([^\s{DIGITS}]|$)", "$1")
        .str.replace_all(r"\s+", " ")
    )


def kana(column: pl.Expr, _: Variants) -> pl.Expr:
    """Hiragana are katakana."""
    return column.str.replace_many(HIRAGANA)


def variants(column: pl.Expr, table: Variants) -> pl.Expr:
    """異体字 are the character they stand for; selectors of a glyph go."""
    return column.str.replace_many({**dict.fromkeys(map(chr, SELECTORS), ""), **table})


def hyphens(column: pl.Expr, _: Variants) -> pl.Expr:
    """Long vowels and hyphens of all kinds are one; ー is often typed as one of the others."""
    return column.str.replace_many(dict.fromkeys(HYPHENS, "-"))

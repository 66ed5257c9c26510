"""The notation of addresses: 一丁目２番３号 and 1-2-3 are one place.

An address that passed the folds before is cut into tokens: chains of numbers with their units
between them, and text. Chains are rewritten; a numeral in a name (三田, 三番町, 八王子) is text.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import polars as pl

from koukan.rules.folds import DIGITS

NUMBER = f"[{DIGITS}]+"
UNITS = "(?:丁目|番地|番|号室|号)+"
BETWEEN = f"(?:{UNITS}[-ノ]?|[-ノ ])"  # a space is left between two numbers only
# 三番町, 二番館, 1号線: names; 北一条: a name with a number in it.
NAME = f"{NUMBER}(?:番[町丁館街組]|号[地線館棟])"
STREET = f"{NUMBER}条"
CHAIN = f"{NUMBER}(?:(?:{BETWEEN}{NUMBER})+(?:{UNITS})?|{UNITS})"
TOKENS = f"{NAME}|{STREET}|{CHAIN}|{NUMBER}|[^{DIGITS}]+"
NUMERALS = dict(zip("〇一二三四五六七八九", "0123456789", strict=True))
POSITIONAL = f"^[{''.join(NUMERALS)}]+$"  # 一〇二; of any length


def _counted() -> dict[str, str]:
    """百二 and 一百二 as 102: every number below ten thousand that names its places."""
    ones = list(NUMERALS)[1:]
    choices = [[("", 0), *((one, worth) for worth, one in enumerate(ones, 1))]]
    for place, worth in (("十", 10), ("百", 100), ("千", 1000)):
        times = [(one + place, count * worth) for count, one in enumerate(ones, 1)]
        choices.insert(0, [("", 0), (place, worth), *times])
    return {
        "".join(name for name, _ in parts): str(sum(worth for _, worth in parts))
        for parts in product(*choices)
        if any(worth for _, worth in parts)
    }


COUNTED = _counted()


def in_digits(number: pl.Expr) -> pl.Expr:
    """二十三 and 二三 as 23; what is no number in kanji stays as it is.

    Args:
        number: a column of runs of `DIGITS`.
    """
    return (
        pl.when(number.str.contains(POSITIONAL))
        .then(number.str.replace_many(NUMERALS))
        .otherwise(number.replace(COUNTED))
    )


def _numbers(token: pl.Expr) -> pl.Expr:
    """The numbers of a chain, in digits, with hyphens between them."""
    return token.str.extract_all(NUMBER).list.eval(in_digits(pl.element())).list.join("-")


def notation(column: pl.Expr, _: Mapping[str, str]) -> pl.Expr:
    """丁目, 番, 番地, 号 and の between numbers are hyphens, kanji numerals there are digits.

    The ヶ of names of places (茅ヶ崎) is written ケ as well.
    """
    token = pl.element()
    counted = token.str.contains(f"^(?:{CHAIN}|{STREET})$")
    name = token.str.extract("(条)$").fill_null("")  # what a street keeps beside its number
    rewritten = pl.when(counted).then(_numbers(token) + name).otherwise(token)
    tokens = column.str.replace_all("ヶ", "ケ", literal=True).str.extract_all(TOKENS)
    return tokens.list.eval(rewritten).list.join("")

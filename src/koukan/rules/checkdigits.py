"""Check digits of the numbers that pass through here, over columns.

Two forms of one table each: `check_digit(kind, bodies)` for numpy columns (issuing samples) and
`valid(kind, number)` as a polars expression over strings. A number is cut into blocks of four
digits; a table of 10,000 entries gives each block's share of the weighted sum, so that one number
costs a few table look-ups and no loop over digits.

Sources: 総務省令第85号(平成26年)第5条 (個人番号); 厚生労働省「保険者番号等の設定について」別添2
(保険者番号, 公費負担者番号, 受給者番号, 医療機関等コード); 国税庁「検査用数字」(法人番号);
全国地方公共団体コード仕様; 住民票コード: inferred from published samples, see `REMAINDER`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Shares = npt.NDArray[np.int16]


def _luhn(total: int) -> int:
    return (10 - total % 10) % 10


def _eleven(total: int) -> int:
    """個人番号: a remainder of 0 or 1 gives 0. 住民票コード: the same, which is an assumption."""
    return 0 if total % 11 <= 1 else 11 - total % 11


def _municipality(total: int) -> int:
    """Remainder 0 gives 1 and 1 gives 0: not the rule of 個人番号."""
    return (11 - total % 11) % 10


def _corporate(total: int) -> int:
    return 9 - total % 9


@dataclass(frozen=True)
class Kind:
    """One check digit: `weights` from the lowest body digit up, `digit` of the weighted sum."""

    body: int  # number of body digits
    weights: tuple[int, ...]
    folded: bool  # two-digit products are replaced by the sum of their digits
    modulus: int
    digit: Callable[[int], int]
    leading: bool = False  # the check digit stands in front


REMAINDER = (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6)
KINDS: dict[str, Kind] = {
    "my_number": Kind(11, REMAINDER, False, 11, _eleven),
    "resident_record_code": Kind(10, REMAINDER[:10], False, 11, _eleven),
    "insurer_number": Kind(7, (2, 1) * 4, True, 10, _luhn),
    "public_payer_number": Kind(7, (2, 1) * 4, True, 10, _luhn),
    "recipient_number": Kind(6, (2, 1) * 3, True, 10, _luhn),
    "institution_code": Kind(9, (2, 1) * 5, True, 10, _luhn),
    "municipality_code": Kind(5, (2, 3, 4, 5, 6), False, 11, _municipality),
    "corporate_number": Kind(12, (1, 2) * 6, False, 9, _corporate, leading=True),
}
BLOCK = 10_000


@cache
def _tables(kind: str) -> tuple[tuple[Shares, ...], Ints]:
    """Share of each block of four body digits, lowest first; check digit for each sum of them."""
    rule = KINDS[kind]
    block = np.arange(BLOCK, dtype=np.int64)
    shares = []
    for start in range(0, rule.body, 4):
        total = np.zeros(BLOCK, np.int16)
        for place, weight in enumerate(rule.weights[start : min(start + 4, rule.body)]):
            product = (block // 10**place % 10 * weight).astype(np.int16)
            total += product // 10 + product % 10 if rule.folded else product
        shares.append(total)
    highest = sum(int(share.max()) for share in shares)
    return tuple(shares), np.array([rule.digit(total) for total in range(highest + 1)], np.int64)


def check_digit(kind: str, bodies: Ints) -> Ints:
    """Check digits (0-9) of whole bodies given as integers."""
    shares, digits = _tables(kind)
    total = np.zeros(len(bodies), np.int16)
    for share in shares:
        rest = bodies // BLOCK
        total += share[bodies - rest * BLOCK]
        bodies = rest
    return digits[total]


def complete(kind: str, bodies: Ints) -> Ints:
    """Whole numbers with their check digit in place."""
    rule = KINDS[kind]
    digit = check_digit(kind, bodies)
    return digit * 10**rule.body + bodies if rule.leading else bodies * 10 + digit


def valid_numbers(kind: str, numbers: Ints) -> npt.NDArray[np.bool_]:
    """Whether the check digits of whole numbers are right (length is not looked at)."""
    rule = KINDS[kind]
    if rule.leading:
        body, digit = numbers % 10**rule.body, numbers // 10**rule.body
    else:
        body = numbers // 10
        digit = numbers - body * 10
    return np.asarray(check_digit(kind, body) == digit)


def valid(kind: str, number: pl.Expr) -> pl.Expr:
    """True where the string column's check digit is right; null where it is not a number.

    Shorter numbers count as padded with zeros on the left (保険者番号 of 国保 has six digits; the
    padding does not change its check digit).
    """

    def over(column: pl.Series) -> pl.Series:
        numbers = column.cast(pl.Int64, strict=False)
        given = numbers.is_not_null()
        if given.all():
            return pl.Series(column.name, valid_numbers(kind, numbers.to_numpy()))
        right = valid_numbers(kind, numbers.drop_nulls().to_numpy())
        result = np.zeros(len(numbers), np.bool_)
        result[given.to_numpy()] = right
        return pl.Series(column.name, result).set(~given, None)

    return number.map_batches(over, return_dtype=pl.Boolean, is_elementwise=True)

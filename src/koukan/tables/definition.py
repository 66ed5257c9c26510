"""What a table is made of: its partitions, the columns of its sections, its buckets. Pure.

A bucket is computed with integer arithmetic on a number that has nothing of a person in it, never
with a hash of a library: those change between releases, and a bucket is for the table's life.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

BUCKET = "bucket"
MIXED = "mixed"  # in place of a bucket: files with rows of all of them
SECTION = "section"
LINK = "link_number"
LINK_NUMBERS = 10**16  # link numbers are 16 decimal digits
TOKEN_BITS = 64
WHOLE = "whole"  # the key partition of a table without partitions

ColumnType: TypeAlias = pl.DataType | type[pl.DataType]
Integers = TypeVar("Integers", int, pl.Expr, pl.Series, npt.NDArray[np.int64])
Unsigned = TypeVar("Unsigned", int, pl.Expr, pl.Series, npt.NDArray[np.uint64])

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_VALUE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")


@dataclass(frozen=True)
class TableDefinition:
    """One table.

    Args:
        name: lower case identifier; part of every file's key and additional authenticated data.
        partition_by: columns that name the folders, in this order; the random key belongs to the
            first one. They are not stored in the files.
        sections: section -> column -> type of what its files hold; "" for a table that is not
            partitioned by section. A column added later is null in older files.
        buckets: how many, a power of two, or None for a table without buckets.
        searched: sections whose files are looked into for single rows, by what they are sorted by:
            a reader passes over what cannot hold them.
        spread: new files may hold rows of all buckets, in the partition `MIXED`, until compaction
            puts each row into that of its `link_number`.
    """

    name: str
    partition_by: tuple[str, ...]
    sections: Mapping[str, Mapping[str, ColumnType]]
    buckets: int | None
    searched: frozenset[str] = frozenset()
    spread: bool = False

    def __post_init__(self) -> None:
        if not all(map(_IDENTIFIER.fullmatch, (self.name, *self.partition_by))):
            raise ValueError("a table and its partitions are named by identifiers")
        if (SECTION in self.partition_by) == ("" in self.sections) or not self.sections:
            raise ValueError("named sections need the partition column section, and no others")
        if (BUCKET in self.partition_by) != (self.buckets is not None):
            raise ValueError("a number of buckets and the partition column bucket go together")
        if self.spread and (self.buckets is None or any(map(_has_no_link, self.sections.values()))):
            raise ValueError("rows are spread over buckets by their link_number")
        if self.buckets is not None:
            _power(self.buckets)
        for columns in self.sections.values():
            if not columns or set(columns) & set(self.partition_by):
                raise ValueError("a section has columns, and none is a partition column")

    def is_searched(self, values: Mapping[str, str]) -> bool:
        """Whether the files in one partition are looked into for single rows."""
        return values.get(SECTION, "") in self.searched

    def columns(self, values: Mapping[str, str]) -> Mapping[str, ColumnType]:
        """The columns of the files in one partition."""
        return self.sections[values.get(SECTION, "")]

    def check_partition(self, values: Mapping[str, str]) -> None:
        """A partition's values become folder names, so only harmless characters may be in them.

        Raises:
            ValueError: other names than `partition_by`, or a value that is not allowed.
        """
        if set(values) != set(self.partition_by):
            raise ValueError(f"the partitions of {self.name} are {self.partition_by}")
        if not all(map(_VALUE.fullmatch, values.values())):
            raise ValueError("a partition's value has characters that are not allowed")
        if values.get(SECTION, "") not in self.sections:
            raise ValueError(f"{self.name} has no such section")
        if self.buckets is not None and not self._has_bucket(values[BUCKET]):
            raise ValueError(f"{self.name} has no such bucket")

    def _has_bucket(self, label: str) -> bool:
        return (self.spread and label == MIXED) or _is_label(label, self.buckets or 1)

    def folder(self, values: Mapping[str, str]) -> str:
        """The folder of a partition inside the table's folder: "bucket=03/section=basic"."""
        return "/".join(f"{name}={values[name]}" for name in self.partition_by)


def partition_name(values: Mapping[str, str]) -> str:
    """The one canonical name of a partition: "bucket=03,section=basic"."""
    return ",".join(f"{name}={values[name]}" for name in sorted(values))


def key_partition(definition: TableDefinition, values: Mapping[str, str]) -> str:
    """What the random key of a partition belongs to: its first column, all sections alike.

    So an insurer has one key in `entrusted_partition`, and a bucket one in the others.
    """
    first = definition.partition_by[:1]
    return partition_name({name: values[name] for name in first}) or WHOLE


def bucket_of_link(link: Integers, buckets: int) -> Integers:
    """Bucket of a link number (int64, 0 .. 10**16 - 1): ranges, so sorted numbers stay together.

    `link * buckets // 10**16`, in two halves of eight digits, as the product does not fit 64 bits.
    """
    _power(buckets)
    half = 10**8
    high, low = link // half, link % half
    return (high * buckets + low * buckets // half) // half


def links_of_bucket(label: str, buckets: int) -> tuple[int, int]:
    """The first and the last link number of a bucket, by its label."""
    if not _is_label(label, buckets):
        raise ValueError("no such bucket")
    each = LINK_NUMBERS // (1 << _power(buckets))  # exact: 10**16 is 2**16 times 5**16
    return int(label) * each, (int(label) + 1) * each - 1


def bucket_of_token(token_high: Unsigned, buckets: int) -> Unsigned:
    """Bucket of a token: the top bits of its first 8 bytes read as a big-endian uint64."""
    # Two steps, because 2**64 for a single bucket is no uint64.
    return token_high // (1 << (TOKEN_BITS - 1 - _power(buckets))) // 2


def bucket_label(bucket: int, buckets: int) -> str:
    """The value in the partition column: "03" of 64 buckets."""
    if not 0 <= bucket < buckets:
        raise ValueError("no such bucket")
    return f"{bucket:0{len(str(buckets - 1))}d}"


def bucket_labels(buckets: int) -> tuple[str, ...]:
    """All buckets' labels, in order."""
    return tuple(bucket_label(bucket, buckets) for bucket in range(buckets))


def _has_no_link(columns: Mapping[str, ColumnType]) -> bool:
    return LINK not in columns


def _is_label(value: str, buckets: int) -> bool:
    digits = value.isascii() and value.isdecimal()
    return digits and int(value) < buckets and value == bucket_label(int(value), buckets)


def _power(buckets: int) -> int:
    """log2 of the number of buckets."""
    if not 1 <= buckets <= 2**16 or buckets & (buckets - 1):
        raise ValueError("the number of buckets is a power of two up to 65536")
    return buckets.bit_length() - 1

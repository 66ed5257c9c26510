"""Signed records of what was erased, as people read them, and the certificate made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from koukan.keys.signing import verify
from koukan.reports.source import Source, local
from koukan.sites.schedule import JST

OF_NO_FILE = ("request", "code_request", "code_list", "members")
ORDINALS = ("package", "usage", "held", "copies")  # kinds of records that end in an ordinal


@dataclass(frozen=True)
class Erasure:
    """One record.

    Args:
        what: original, questions, package, request, pmh_answer, disclosure_answer, usage (a
            package of 資格確認実績ログ), held (its lines), code_request, code_list or members.
        number: of the reception, of the request or list, or of its kind (members).
        whose: sender, insurer or partner; empty for members, whose record names nobody.
        rows: lines, questions or rows of tables.
        erased_at: JST, to the minute.
        sha256: of what was destroyed, where it was one file.
        signature: of the centre, over the record; `good` whether it is right.
    """

    what: str
    number: int
    whose: str
    rows: int
    erased_at: str
    sha256: str
    signature: str
    good: bool


def erasures(
    source: Source,
    public: str,
    *,
    since: date | None = None,
    until: date | None = None,
    reception: int | None = None,
) -> list[Erasure]:
    """Records in the order of time.

    Args:
        public: the centre's public key, by which each signature is checked.
        since, until: days in JST, both inclusive.
        reception: only what was erased of one file; those in OF_NO_FILE are of none.
    """
    rows = sorted(source.ledger.erasures(), key=lambda row: (row.erased_at, row.what, row.number))
    found = []
    for row in rows:
        day = datetime.fromisoformat(row.erased_at).astimezone(JST).date()
        if (since and day < since) or (until and day > until):
            continue
        item = _erasure(row.what, row.number, row.erased_at, row.record, public)
        of_file = item.what not in OF_NO_FILE
        if reception is None or (of_file and item.number == reception):
            found.append(item)
    return found


def _erasure(what: str, number: int, erased_at: str, text: str, public: str) -> Erasure:
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    said = record if isinstance(record, dict) else {}
    # What is signed counts, not the columns beside it.
    same = (said.get("what"), said.get("erased_at")) == (what, erased_at)
    return Erasure(
        what=next((kind for kind in ORDINALS if what.startswith(f"{kind}-")), what),
        number=number,
        whose=str(said.get("insurer") or said.get("sender") or said.get("partner") or ""),
        rows=_rows(said),
        erased_at=local(erased_at),
        sha256=str(said.get("archive_sha256") or said.get("sha256") or ""),
        signature=str(said.get("signature", "")),
        good=same and verify(said, public),
    )


def _rows(said: dict[str, object]) -> int:
    """How much a record says went, by what it counts."""
    for name in ("rows", "asked"):
        if isinstance(count := said.get(name), int):
            return count
    if "answered" in said:
        return sum(_numbers([said["answered"], said.get("ambiguous")]))
    return sum(_numbers(_leaves(said.get("counts"))))


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    else:
        yield value


def _numbers(values: Iterator[object] | Sequence[object]) -> Iterator[int]:
    return (value for value in values if isinstance(value, int))

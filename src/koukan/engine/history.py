"""Look a person up by 被保険者枝番: every event that the 資格履歴 holds, from all insurers."""

from __future__ import annotations

import re

import polars as pl

from koukan.engine.centre import Centre
from koukan.errors import UsageError
from koukan.flows.registration import HISTORY, INCIDENTAL, MEMBER_DIGITS, PARTITION, ROSTER
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, SECTION, bucket_label, bucket_of_link
from koukan.tables.table import DataFile, Snapshot

_INSURER = re.compile(r"[0-9]{8}")
_MEMBER = re.compile(f"[0-9]{{{MEMBER_DIGITS}}}")
_INNER = ("link_number", *INCIDENTAL)  # not shown to anybody


def look_up(centre: Centre, insurer: str, member_id: str) -> dict[str, pl.DataFrame]:
    """The history of the person whom an insurer knows by a 被保険者枝番.

    Args:
        insurer: 保険者コード, eight digits.
        member_id: 被保険者枝番, ten digits.

    Returns:
        section -> its events of that person, from all insurers, oldest reception first; without
        紐付番号. A section without events is an empty frame.

    Raises:
        UsageError: the insurer has no such 被保険者枝番, or one of the two is not written so.
    """
    if not _INSURER.fullmatch(insurer) or not _MEMBER.fullmatch(member_id):
        raise UsageError("history.form")  # what was typed may be another number: not repeated
    with centre.log.operation("history", insurer=insurer) as operation:
        link = link_of(centre, insurer, int(member_id))
        found = events_of(centre, link)
        operation.note(rows=sum(frame.height for frame in found.values()))
    return found


def link_of(centre: Centre, insurer: str, member_id: int) -> int:
    """The 紐付番号 in the insurer's roster."""
    roster = centre.snapshot(PARTITION)
    for file in roster.files(insurer=insurer, section=ROSTER):
        found = _rows(roster, file, pl.col("member_id") == member_id)
        if found.height:
            return int(found["link_number"][0])
    raise UsageError("history.unknown", insurer=insurer)


def events_of(centre: Centre, link: int) -> dict[str, pl.DataFrame]:
    """All events of one 紐付番号 by section; only the files of its bucket are opened."""
    history = centre.snapshot(HISTORY)
    buckets = centre.site.buckets
    bucket = bucket_label(bucket_of_link(link, buckets), buckets)
    found = {}
    for section, columns in history.table.definition.sections.items():
        parts = [pl.DataFrame(schema=dict(columns))]
        for file in history.files(**{BUCKET: bucket, SECTION: section}):
            parts.append(_rows(history, file, pl.col("link_number") == link))
        found[section] = pl.concat(parts).sort("reception", "line_number").drop(_INNER)
    return found


def _rows(snapshot: Snapshot, file: DataFile, wanted: pl.Expr) -> pl.DataFrame:
    path = snapshot.table.folder / file.path
    return encrypted.collect(snapshot.scan(file).filter(wanted), path=path)

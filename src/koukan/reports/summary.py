"""The numbers of some receptions: outcomes, lines, lines by insurer, and whether they balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from koukan.ledger import schema as s
from koukan.reports.source import COUNTS, OUTCOMES, Selection, Source, rows

REGISTRATION = "register_"  # functions of rights.toml whose files write the history


def summary(
    source: Source, receptions: Collection[int] | None = None, *, night: str | None = None
) -> dict[str, Any]:
    """Counts of the receptions with these numbers, of a night, or of all that ever came.

    Returns:
        {"receptions": {outcome: files, "open": those under way},
         "records": {received, accepted, rejected, duplicate, held}: lines of registration files
            that passed the gate (a refused file counts in `receptions` only),
         "ledger_balanced": bool, see `balanced`,
         "codes": {code: lines} of rejects, duplicates and remarks; {code: files} for files,
         "insurers": [{"insurer", "title", "files", and the counts of `records`}]}
    """
    selection = Selection.of(receptions, night)
    insurers = by_insurer(source, selection)
    return {
        "receptions": by_outcome(source, selection),
        "records": {name: sum(item[name] for item in insurers) for name in COUNTS},
        "ledger_balanced": balanced(source, selection),
        "codes": by_code(source, selection),
        "insurers": insurers,
    }


def by_outcome(source: Source, selection: Selection) -> dict[str, int]:
    """Files by outcome, each outcome named, in the order of the closed list."""
    table = s.receptions.c
    found: Counter[str] = Counter()
    for part in selection.parts:
        query = select(table.outcome, func.count()).where(part).group_by(table.outcome)
        for outcome, count in rows(source, query):
            found[outcome or "open"] += count
    return {name: found[name] for name in (*OUTCOMES, "open")}


def by_insurer(source: Source, selection: Selection) -> list[dict[str, Any]]:
    """Lines by insurer in files that were not refused, with the number of those files."""
    counts = s.insurer_counts.c
    sums = [func.sum(counts[name]) for name in COUNTS]
    found: dict[str, Counter[str]] = {}
    for part in selection.parts:
        query = (
            select(counts.insurer, func.count(), *sums)
            .join_from(s.insurer_counts, s.receptions, counts.reception == s.receptions.c.number)
            .where(part, _counted(source))
            .group_by(counts.insurer)
        )
        for insurer, files, *values in rows(source, query):
            sum_ = found.setdefault(insurer, Counter())
            sum_.update({"files": files, **dict(zip(COUNTS, values, strict=True))})
    titles = {insurer.code: insurer.title for insurer in source.site.insurers}
    return [
        {
            "insurer": code,
            "title": titles.get(code, ""),
            **{name: found[code][name] for name in ("files", *COUNTS)},
        }
        for code in sorted(found)
    ]


def by_code(source: Source, selection: Selection) -> dict[str, int]:
    """Lines by the code that they were told, and files by theirs."""
    findings, receptions = s.finding_counts.c, s.receptions.c
    found: Counter[str] = Counter()
    for part in selection.parts:
        lines = (
            select(findings.code, func.sum(findings.count))
            .join_from(s.finding_counts, s.receptions, findings.reception == receptions.number)
            .where(part)
            .group_by(findings.code)
        )
        files = (
            select(receptions.code, func.count())
            .where(part, receptions.code.is_not(None))
            .group_by(receptions.code)
        )
        for code, count in [*rows(source, lines), *rows(source, files)]:
            found[code] += count
    return dict(sorted(found.items()))


def balanced(source: Source, selection: Selection) -> bool:
    """Whether each reception's lines add up: by insurer, and to the lines that the gate counted.

    Receptions under way are left out; `koukan ledger verify` goes to the files themselves.
    """
    counts, receptions = s.insurer_counts.c, s.receptions.c
    parts_of_it = counts.accepted + counts.rejected + counts.duplicate + counts.held
    torn = func.coalesce(func.sum(case((counts.received != parts_of_it, 1), else_=0)), 0)
    received = func.coalesce(func.sum(counts.received), 0)
    for part in selection.parts:
        query = (
            select(receptions.number)
            .join_from(
                s.receptions,
                s.insurer_counts,
                counts.reception == receptions.number,
                isouter=True,
            )
            .where(part, receptions.outcome.is_not(None), receptions.outcome != "refused")
            .group_by(receptions.number, receptions.rows)
            .having((torn > 0) | (received != receptions.rows))
            .limit(1)
        )
        if rows(source, query):
            return False
    return True


def registering(source: Source) -> frozenset[str]:
    """Formats whose files write the history."""
    return frozenset(
        form
        for right in source.catalogue.rights
        if right.function.startswith(REGISTRATION)
        for form in right.formats
    )


def _counted(source: Source) -> ColumnElement[bool]:
    """Registration files that passed the gate and were not refused later."""
    table = s.receptions.c
    passed = table.outcome.is_(None) | (table.outcome != "refused")
    return table.format.in_(sorted(registering(source))) & passed

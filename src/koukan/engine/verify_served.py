"""Verify flows 4 and 2-(5): every answer lies there as it was sealed, or is gone with its record.

What was issued is counted again from the rows of `pmh_issues` and the records of what was erased,
what was recorded from those of `provision_records`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import polars as pl

from koukan.engine import artefacts, entrusted, forgetting
from koukan.engine.centre import Centre
from koukan.engine.problems import Problem, differing, parsed, problem
from koukan.engine.steps.hand_out import recorded
from koukan.errors import IntegrityError, SecretError
from koukan.flows import served
from koukan.flows.disclosure import RECORDS
from koukan.flows.pmh import ISSUES
from koukan.flows.served import Flow
from koukan.ledger.served import Answer
from koukan.tables import encrypted
from koukan.tables.definition import bucket_labels


def problems(centre: Centre) -> Iterator[Problem]:
    """Everything about these answers, and what they left in tables, that contradicts the ledger."""
    for flow in served.FLOWS:
        yield from of_answers(centre, flow)
    yield from of_issues(centre, _fresh(centre, served.PMH))
    yield from of_records(centre)


def _fresh(centre: Centre, flow: Flow) -> int:
    return sum(item.fresh for item in flow.book.answers(centre.ledger))


def of_answers(centre: Centre, flow: Flow) -> Iterator[Problem]:
    """One flow's answers: rows are those given and those with a reason."""
    erased = [row for row in centre.ledger.erasures() if row.what == flow.erased]
    records = {row.number: row.record for row in erased}
    reasons: dict[int, int] = {}
    for reception, _, rows in flow.book.reasons(centre.ledger):
        reasons[reception] = reasons.get(reception, 0) + rows
    for item in flow.book.answers(centre.ledger):
        where = {"reception": item.reception, "file": item.name}
        parts = item.given + reasons.get(item.reception, 0)
        if parts != item.rows:
            yield problem("served.verify_rows", **where, known=differing(item.rows, parts))
        if item.erased:
            yield from of_erased(centre, flow, item, records)
        else:
            yield from of_waiting(centre, item)


def of_waiting(centre: Centre, item: Answer) -> Iterator[Problem]:
    """What waits is what was sealed, here and in the outbox."""
    where = {"reception": item.reception, "file": item.name}
    lines = artefacts.sealed_lines(centre, item.reception, served.ONLY, item.file_sha256)
    if lines != item.lines:
        yield problem("served.verify_sealed", **where, known=differing(item.lines, lines))
    if item.state == "laid_out":
        lying = centre.outbox(item.sender).holds(item.name)
        if lying not in (None, item.sha256):
            yield problem("served.verify_other", **where)


def of_erased(
    centre: Centre, flow: Flow, item: Answer, records: Mapping[int, str]
) -> Iterator[Problem]:
    """What was erased has its record, and nothing is left."""
    where = {"reception": item.reception, "file": item.name}
    record = parsed(records.get(item.reception, ""))
    said = record if record is not None and centre.signer.verify(record) else {}
    if any(said.get(name) != value for name, value in recorded(flow, item).items()):
        yield problem("served.verify_record", **where)
    name = entrusted.package_name(item.reception, served.ONLY)
    paths = (
        centre.folder("packages", name),
        centre.folder("keyring", "random", "package", f"{name}.key"),
        centre.outbox(item.sender).folder / item.name,
    )
    if any(path.exists() for path in paths):
        yield problem("served.verify_left", **where)


def of_issues(centre: Centre, issued: int) -> Iterator[Problem]:
    """As many rows as were issued, less those erased; nobody and nothing in them twice."""
    gone = forgetting.counted(centre).get(ISSUES, {})
    left = issued - sum(rows for by in gone.values() for rows in by.values())
    table = centre.snapshot(ISSUES)
    rows = repeated = 0
    try:
        for label in bucket_labels(centre.site.buckets):
            lazies = [
                table.scan(file).select("link_number", "pmh_id")
                for file in table.files(bucket=label)
            ]
            if lazies:
                found = pl.concat(encrypted.collect_all(lazies, path=centre.folder("tables")))
                rows += found.height
                repeated += found.height - min(found.n_unique(name) for name in found.columns)
    except (IntegrityError, SecretError) as error:
        artefacts.require_damage(error)
        return  # told of the table already
    if rows != left:
        yield problem("pmh.verify_issued", known=differing(left, rows))
    if repeated:
        yield problem("pmh.verify_twice", known=str(repeated))


def of_records(centre: Centre) -> Iterator[Problem]:
    """Of each request as many 情報提供等記録 as its answer made, with those that were erased."""
    made = {item.reception: item.fresh for item in served.DISCLOSURE.book.answers(centre.ledger)}
    found: Counter[int] = Counter()
    for reception, by in forgetting.counted(centre).get(RECORDS, {}).items():
        found[reception] += sum(by.values())
    table = centre.snapshot(RECORDS)
    counts = [table.scan(file).group_by("reception").len() for file in table.files()]
    try:
        for part in encrypted.collect_all(counts, path=centre.folder("tables")):
            for reception, rows in part.iter_rows():
                found[reception] += rows
    except (IntegrityError, SecretError) as error:
        artefacts.require_damage(error)
        return  # told of the table already
    for reception in sorted(made.keys() | found.keys()):
        pair = made.get(reception, 0), found[reception]
        if pair[0] != pair[1]:
            known = differing(*pair)
            yield problem("records.verify_rows", reception=reception, known=known)

"""Verify flow 4: every answer lies there as it was sealed, or is gone and has its signed record.

What was issued is counted again from the rows of `pmh_issues` and the records of what was erased.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import polars as pl

from koukan.engine import artefacts, entrusted, forgetting
from koukan.engine.centre import Centre
from koukan.engine.problems import Problem, differing, parsed, problem
from koukan.engine.steps.hand_out import WHAT, recorded
from koukan.errors import IntegrityError, SecretError
from koukan.flows import pmh
from koukan.flows.pmh import ISSUES
from koukan.ledger import pmh as asked
from koukan.ledger.pmh import Answer
from koukan.tables import encrypted
from koukan.tables.definition import bucket_labels

GONE = -1  # a sealed file that does not open, or is not what was sealed


def problems(centre: Centre) -> Iterator[Problem]:
    """Everything about PMH-IDs that contradicts the ledger."""
    records = {row.number: row.record for row in centre.ledger.erasures() if row.what == WHAT}
    reasons: dict[int, int] = {}
    for reception, _, rows in asked.reasons(centre.ledger):
        reasons[reception] = reasons.get(reception, 0) + rows
    answers = asked.answers(centre.ledger)
    for item in answers:
        where = {"reception": item.reception, "file": item.name}
        parts = item.given + reasons.get(item.reception, 0)
        if parts != item.rows:
            yield problem("pmh.verify_rows", **where, known=differing(item.rows, parts))
        yield from of_erased(centre, item, records) if item.erased else of_waiting(centre, item)
    yield from of_issues(centre, sum(item.fresh for item in answers))


def of_waiting(centre: Centre, item: Answer) -> Iterator[Problem]:
    """What waits is what was sealed, here and in the outbox."""
    where = {"reception": item.reception, "file": item.name}
    rows = sealed_rows(centre, item)
    if rows != item.rows:
        yield problem("pmh.verify_sealed", **where, known=differing(item.rows, rows))
    if item.state == "laid_out":
        lying = centre.outbox(item.sender).holds(item.name)
        if lying not in (None, item.sha256):
            yield problem("pmh.verify_other", **where)


def sealed_rows(centre: Centre, item: Answer) -> int:
    """Lines of a sealed answer; `GONE` when it is not the one that was sealed."""
    digest, lines = hashlib.sha256(), 0
    try:
        for block in entrusted.result_blocks(centre, item.reception, pmh.ONLY):
            digest.update(block)
            lines += block.count(b"\n")
    except (IntegrityError, SecretError) as error:
        artefacts.require_damage(error)
        return GONE
    return lines if digest.hexdigest() == item.file_sha256 else GONE


def of_erased(centre: Centre, item: Answer, records: Mapping[int, str]) -> Iterator[Problem]:
    """What was erased has its record, and nothing is left."""
    where = {"reception": item.reception, "file": item.name}
    record = parsed(records.get(item.reception, ""))
    said = record if record is not None and centre.signer.verify(record) else {}
    if any(said.get(name) != value for name, value in recorded(item).items()):
        yield problem("pmh.verify_record", **where)
    name = entrusted.package_name(item.reception, pmh.ONLY)
    paths = (
        centre.folder("packages", name),
        centre.folder("keyring", "random", "package", f"{name}.key"),
        centre.outbox(item.sender).folder / item.name,
    )
    if any(path.exists() for path in paths):
        yield problem("pmh.verify_left", **where)


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

"""The state digest: one number for all that a centre has come to know, however it came about.

Two centres with the same keyring that took the same files in the same order have the same digest,
whether in one run or in many, killed in between or not. So nothing goes in that tells only how: no
time, nonce, key, group, attempt, or name that was drawn. What goes in are the rows of every table,
every reception with its numbers and counts, files of questions, requests and packages with the
hashes of their archives, what was handed over to partners' hosts, and the names that lie in the
outboxes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.engine.centre import Centre
from koukan.engine.reading import steady
from koukan.flows import served
from koukan.flows.disclosure import RECORDS
from koukan.flows.registration import INCIDENTAL
from koukan.keys.secret import canonical
from koukan.ledger import (
    Reception,
    asking,
    code_lists,
    codes,
    copies,
    hosts,
    reviews,
    usage,
    withholding,
)
from koukan.ledger import identity as asked
from koukan.ledger.corrections import corrections
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, partition_name
from koukan.tables.table import DataFile

SLICE = 100_000  # rows that are text at the same time
WHEN = {RECORDS: ("provided_at",)}  # columns that tell only when something was done
TOLD = (  # what of a reception is state
    "number",
    "sender",
    "door",
    "format",
    "file_name",
    "sequence",
    "sha256",
    "state",
    "outcome",
    "code",
    "line",
    "rows",
    "first",
    "original_erased",
    "remarks",
)


HOW_DELETED = ("group_number", "since", "erased_by")


class Part(NamedTuple):
    """Rows of one partition of a table, wherever compaction has put them."""

    table: str
    partition: str
    files: tuple[DataFile, ...]


@steady
def state_digest(centre: Centre) -> str:
    """SHA-256 over the state, 64 hexadecimal digits. Of a centre at rest: take it between runs.

    Memory holds the partition (bucket or insurer, and section) that is being sorted, by worker.

    Raises:
        TableRefused: a table or a file of it is not what the ledger says.
    """
    whole = hashlib.sha256()
    for rows in table_state(centre):
        _add(whole, "table", rows)
    for reception in centre.ledger.receptions():
        _add(whole, "reception", told(centre, reception))
    for kind, content in identity_state(centre):
        _add(whole, kind, content)
    for kind, content in (
        *served_state(centre),
        *usage_state(centre),
        *code_state(centre),
        *copy_state(centre),
    ):
        _add(whole, kind, content)
    for correction in corrections(centre.ledger):
        _add(whole, "correction", vars(correction))
    for review in reviews.reviews(centre.ledger):
        _add(whole, "review", {"number": review.number, "state": review.state})
    for notice in reviews.notices(centre.ledger):
        # Its hash covers the day on which it was written.
        _add(whole, "notice", _without(vars(notice), "sha256"))
    for handed in hosts.handovers_of(centre.ledger):
        # Its hash covers days and what was encrypted.
        _add(whole, "handover", _without(vars(handed), "sha256", "at"))
    for sender in sorted(sender.name for sender in centre.site.senders):
        _add(whole, "outbox", {"sender": sender, "names": list(outbox_names(centre, sender))})
    return whole.hexdigest()


def table_state(centre: Centre) -> Iterator[dict[str, object]]:
    """Digests of the partitions that have any row."""
    parts = [part for name in sorted(centre.tables) for part in parts_of(centre, name)]
    for part, digest in zip(parts, centre.workers.map(part_digest, parts), strict=True):
        if digest is not None:
            yield {"table": part.table, "partition": part.partition, "rows": digest}


def parts_of(centre: Centre, table: str) -> list[Part]:
    """A table's partitions, by name."""
    found: dict[str, list[DataFile]] = {}
    snapshot = centre.snapshot(table)
    if snapshot.table.definition.spread:
        for label, files in snapshot.by_bucket():
            for file in files:
                name = partition_name({**file.partition, BUCKET: label})
                found.setdefault(name, []).append(file)
    else:
        for file in snapshot.files():
            found.setdefault(partition_name(file.partition), []).append(file)
    return [Part(table, name, tuple(files)) for name, files in sorted(found.items())]


def part_digest(centre: Centre, part: Part) -> str | None:
    """Task: hash the rows of a partition in the order of their content, as text; None without any.

    Of the text it matters that equal rows give equal bytes and others do not: strings are quoted
    where they must be, an empty one always, and nothing stands for what is absent.
    """
    table = centre.tables[part.table]
    columns = table.definition.columns(part.files[0].partition)
    left_out = (*INCIDENTAL, *WHEN.get(part.table, ()))
    chosen = [name for name in columns if name not in left_out]
    lazies = [table.open_file(file).select(chosen) for file in part.files]
    rows = pl.concat(encrypted.collect_all(lazies, path=table.folder))
    if rows.is_empty():
        return None
    rows = ordered(rows)
    digest = hashlib.sha256()
    for share in rows.iter_slices(SLICE):
        text = share.write_csv(include_header=False, quote_style="necessary", null_value="")
        digest.update(text.encode())
    return digest.hexdigest()


def ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows by their numbers, then by everything else.

    The numbers (reception and line, token, 紐付番号) almost always tell all rows apart, and sorting
    by them alone is then the same at a tenth of the cost.
    """
    numbers = [name for name, dtype in rows.schema.items() if dtype.is_integer()]
    found = rows.sort(numbers)
    repeated = found.select(
        pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in numbers).any()
    ).item()
    others = [name for name in rows.columns if name not in numbers]
    return rows.sort([*numbers, *others]) if repeated else found


def told(centre: Centre, reception: Reception) -> dict[str, object]:
    """A reception as far as it is state, with counts and findings by insurer."""
    counts = [vars(item) for item in centre.ledger.counts(reception.number)]
    return {
        **{name: getattr(reception, name) for name in TOLD},
        "counts": counts,
        "findings": [list(item) for item in centre.ledger.findings(reception.number)],
    }


def identity_state(centre: Centre) -> Iterator[tuple[str, dict[str, object]]]:
    """本人確認: who asked and was answered what, without times and what was encrypted."""
    for questions in asked.questions(centre.ledger):
        yield "questions", _without(vars(questions), "start", "asked_at")
    for request in asked.requests(centre.ledger):
        # Its hash covers the day on which it was cut.
        yield "request", _without(vars(request), "sha256", "created_at", "sent_at")
    for share in asked.shares(centre.ledger):
        yield "share", vars(share)
    for repeat in asking.all_repeats(centre.ledger):
        yield "repeat", _without(vars(repeat), "wished_at")
    for waiting in withholding.all_withheld(centre.ledger):
        yield "withheld", _without(vars(waiting), "since")
    for decision in withholding.all_decisions(centre.ledger):
        yield "decision", _without(vars(decision), "created_at")
    for package in asked.packages(centre.ledger):
        yield "package", _without(vars(package), "sha256", "built_at", "closed_at")


def served_state(centre: Centre) -> Iterator[tuple[str, dict[str, object]]]:
    """Answers to systems that asked, and why lines of theirs got nothing."""
    for flow in served.FLOWS:
        for answer in flow.book.answers(centre.ledger):
            without = ("group_number", "sha256", "built_at", "closed_at")
            yield f"{flow.name} answer", _without(vars(answer), *without)
        for number, code, rows in flow.book.reasons(centre.ledger):
            yield f"{flow.name} reason", {"reception": number, "code": code, "rows": rows}


def usage_state(centre: Centre) -> Iterator[tuple[str, dict[str, object]]]:
    """資格確認実績ログ: which were split, and what became of the packages and of held lines."""
    for log in usage.all_logs(centre.ledger):
        yield "usage log", _without(vars(log), "allotted_at")
    for package in usage.all_packages(centre.ledger):
        yield "usage package", _without(vars(package), "sha256", "built_at", "closed_at")
    for item in usage.all_held(centre.ledger):
        yield "usage held", _without(vars(item), "since")


def code_state(centre: Centre) -> Iterator[tuple[str, dict[str, object]]]:
    """機関別符号: what was asked of whom in numbers, without times and how it came about."""
    for request in codes.all_requests(centre.ledger):
        how = ("group_number", "until_group", "sha256", "created_at", "sent_at", "repeated_at")
        yield "code request", _without(vars(request), *how)
    sums: dict[tuple[str, int, str], int] = {}
    for told in codes.all_events(centre.ledger):
        key = told["event"], told["request"], told["detail"]
        sums[key] = sums.get(key, 0) + told["rows"]
    for (event, number, detail), rows in sorted(sums.items()):
        yield "code event", {"event": event, "request": number, "detail": detail, "rows": rows}
    for item in code_lists.all_lists(centre.ledger):
        yield "code list", _without(vars(item), "group_number", "registered_at", "checked_at")
    for medium in code_lists.all_media(centre.ledger):
        signed = ("record", "destruction", "approved_at", "destroyed_at")
        yield "medium", _without(vars(medium), *signed)
    for copy in code_lists.all_copies(centre.ledger):
        yield "medium copy", _without(vars(copy), "record", "copied_at")
    for telling in codes.all_tellings(centre.ledger):
        yield "code telling", {"number": telling.number, "state": telling.state}
    for one in codes.all_told(centre.ledger):
        yield "code told", _without(vars(one), "sha256")


def copy_state(centre: Centre) -> Iterator[tuple[str, dict[str, object]]]:
    """副本: how many were deleted and are erased, and what became of packages of them."""
    for item in copies.all_deletions(centre.ledger):
        erased = item.erased_by is not None
        yield "copy deletion", {**_without(vars(item), *HOW_DELETED), "erased": erased}
    for package in copies.all_packages(centre.ledger):
        yield "copy package", _without(vars(package), "sha256", "built_at", "closed_at")


def _without(values: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in names}


def outbox_names(centre: Centre, sender: str) -> Iterator[str]:
    """Names in an outbox, sorted; unfinished files have none."""
    folder = centre.outbox(sender).folder
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return (name for name in sorted(names) if not name.startswith(durable.TEMPORARY))


def _add(whole: hashlib._Hash, kind: str, content: dict[str, object]) -> None:
    whole.update(canonical({"kind": kind, **content}) + b"\n")

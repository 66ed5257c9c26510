"""Verify flow 2: what was asked and set is in the table, once, and nothing of what went is left.

Rows are counted again by group, event and request, less those that signed records say were
forgotten; a request that waits is what was sealed, one that was answered is gone.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from koukan.engine import artefacts, entrusted, forgetting, reissuing
from koukan.engine.centre import Centre
from koukan.engine.people import people_of
from koukan.engine.problems import Problem, differing, problem
from koukan.engine.steps.instruct import WHAT, recorded
from koukan.engine.verify_identity import of_request, signed
from koukan.errors import IntegrityError, SecretError
from koukan.flows.codes import CODES
from koukan.ledger import code_lists
from koukan.ledger import codes as asked
from koukan.rules.linkage import ASKED, SET
from koukan.tables import encrypted

BY = ["group_number", "event", "request"]
SEEN = (*BY, "link_number", "request_record_number", "linkage_code")


def problems(centre: Centre) -> Iterator[Problem]:
    """Everything about 機関別符号 that contradicts the ledger."""
    records = {
        row.number: row.record for row in centre.ledger.erasures() if row.what == "code_request"
    }
    for item in asked.all_requests(centre.ledger):
        place = entrusted.code_request_name(item.number)
        yield from of_request(centre, item, place, records.get(item.number))
    yield from of_lists(centre)
    yield from of_media(centre)
    table = centre.snapshot(CODES)
    try:
        lazies = [table.scan(file).select(SEEN) for file in table.files()]
        parts = encrypted.collect_all(lazies, path=centre.folder("tables"))
    except (IntegrityError, SecretError) as error:
        artefacts.require_damage(error)
        return  # told of the table already
    if parts:
        yield from of_rows(centre, pl.concat(parts))


def of_lists(centre: Centre) -> Iterator[Problem]:
    """A list that waits is whole; one that was checked is gone, and has its record."""
    records = {row.number: row.record for row in centre.ledger.erasures() if row.what == WHAT}
    for item in code_lists.all_lists(centre.ledger):
        name = reissuing.list_name(item.number)
        if item.state != "erased":
            try:
                rows = reissuing.lines_of(centre, item.number).height
            except (IntegrityError, SecretError, FileNotFoundError) as error:
                if not isinstance(error, FileNotFoundError):
                    artefacts.require_damage(error)
                rows = -1
            if rows != item.rows:
                yield problem("codes.verify_list", known=differing(item.rows, rows))
            continue
        said = signed(centre, records.get(item.number))
        key = centre.folder("keyring", "random", "request", f"{name}.key")
        left = key.exists() or centre.folder("requests", name).exists()
        if left or any(said.get(part) != value for part, value in recorded(item).items()):
            yield problem("codes.verify_list_left", known=name)


def of_media(centre: Centre) -> Iterator[Problem]:
    """Every entry of 媒体管理簿 is what the centre signed, and every copy is on a known medium."""
    media = code_lists.all_media(centre.ledger)
    for medium in media:
        entries = [(medium.record, ("label", "approved_by", "approved_at"))]
        if medium.destruction is not None:
            entries.append((medium.destruction, ("label", "destroyed_by", "destroyed_at")))
        for text, names in entries:
            said = signed(centre, text)
            if any(said.get(name) != getattr(medium, name) for name in names):
                yield problem("media.verify_record", known=medium.label)
    labels = {medium.label for medium in media}
    for copy in code_lists.all_copies(centre.ledger):
        said = signed(centre, copy.record)
        values = {name: value for name, value in vars(copy).items() if name != "record"}
        if copy.label not in labels or any(said.get(name) != values[name] for name in values):
            yield problem("media.verify_record", known=copy.label)


def of_rows(centre: Centre, rows: pl.DataFrame) -> Iterator[Problem]:
    """As many rows as the ledger counts; no number asked twice, no code two persons'."""
    gone = forgetting.counted(centre).get(CODES, {})
    left = sum(item["rows"] for item in asked.all_events(centre.ledger))
    left -= sum(count for by in gone.values() for count in by.values())
    if rows.height != left:
        yield problem("codes.verify_rows", known=differing(left, rows.height))
    elif not gone:
        yield from of_groups(centre, rows)
    questions = rows.filter(pl.col("event") == ASKED)["request_record_number"]
    if questions.is_duplicated().any():
        yield problem("codes.verify_numbers", known=str(int(questions.is_duplicated().sum())))
    held = rows.filter(pl.col("event") == SET).select("link_number", "linkage_code").unique()
    persons = people_of(centre).canonical(held["link_number"].to_numpy())
    owners = held.with_columns(person=pl.Series(persons, dtype=pl.Int64))
    shared = owners.group_by("linkage_code").agg(pl.col("person").n_unique())
    twice = shared.filter(pl.col("person") > 1).height
    if twice or held["linkage_code"].null_count():
        yield problem("codes.verify_shared", known=str(twice or held["linkage_code"].null_count()))


def of_groups(centre: Centre, rows: pl.DataFrame) -> Iterator[Problem]:
    """Group by group, where nothing was forgotten."""
    wanted: dict[tuple[int, str, int], int] = {}
    for item in asked.all_events(centre.ledger):
        key = item["group_number"], item["event"], item["request"]
        wanted[key] = wanted.get(key, 0) + item["rows"]
    found = {
        (group, event, request): count
        for group, event, request, count in rows.group_by(BY).len().iter_rows()
    }
    for key in sorted(wanted.keys() | found.keys()):
        pair = wanted.get(key, 0), found.get(key, 0)
        if pair[0] != pair[1]:
            yield problem("codes.verify_group", group=key[0], known=differing(*pair))

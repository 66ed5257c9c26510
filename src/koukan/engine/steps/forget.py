"""forget: members whom their insurer no longer needs (管理終了), and copies (副本) that it deleted.

Rows cannot be erased inside a file, and a file's key belongs to its partition: every file of a
partition concerned (the insurer's 委託区画 and 副本区画; buckets of 資格履歴; buckets of vault,
PMH-IDs and 機関別符号 for persons whom nobody has any more; what was stated of persons) is written
anew without them, under a new key. Then the old keys are destroyed, the old files unlinked, and a
record is signed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from sqlalchemy import Connection

from koukan.engine import copies, rewriting
from koukan.engine.centre import Centre
from koukan.engine.datafiles import in_time, new_name, origin_of, together
from koukan.engine.forgetting import WAITED
from koukan.engine.issued import code_events_under, issues_under
from koukan.engine.online import leave_forgotten
from koukan.engine.rewriting import Replaced
from koukan.engine.steps import commit
from koukan.flows.codes import CODES
from koukan.flows.copies import REPLICA
from koukan.flows.pmh import ISSUES
from koukan.flows.registration import (
    FORMER,
    HISTORY,
    PARTITION,
    PERSON_LINKS,
    QUALIFICATION,
    ROSTER,
    VAULT,
)
from koukan.flows.tables import sorted_by
from koukan.ledger import Group, rewritings
from koukan.ledger import copies as known
from koukan.rules.copies import ended, no_endings
from koukan.rules.forgetting import (
    is_forgotten,
    members_of,
    persons_without,
    statements_left,
)
from koukan.rules.persons import MEMBERS, People
from koukan.rules.register import Ints
from koukan.sites import Job
from koukan.tables import encrypted
from koukan.tables.definition import (
    BUCKET,
    MIXED,
    SECTION,
    bucket_label,
    bucket_of_link,
    key_partition,
)
from koukan.tables.table import DataFile

Counted = Mapping[str, object]  # what, reception, insurer, rows
PERSON = ("link_number", "insurer_code", "member_id")
NOBODY: Ints = np.zeros(0, np.int64)
NO_COPIES = no_endings()


class Gone(NamedTuple):
    """Whose rows go."""

    members: Ints  # ascending: insurer and 被保険者枝番 as one number
    links: Ints  # raw links of persons whom nobody has any more; the vault forgets their numbers
    copies: pl.DataFrame = NO_COPIES  # of one insurer, up to their last deletion: `rules.copies`


class Look(NamedTuple):
    """Files of one table in which some rows are looked for."""

    table: str
    files: tuple[DataFile, ...]
    gone: Gone


class Strip(NamedTuple):
    """A file that is written anew without some of its rows."""

    table: str
    file: DataFile
    gone: Gone
    group: int
    number: int


class Stripped(NamedTuple):
    replaced: Replaced
    counts: list[Counted]


def run(centre: Centre, job: Job) -> None:
    """Forget whoever was withdrawn, and copies that were deleted, since the last time."""
    commit.finish_written(centre)
    statements = centre.snapshot(PERSON_LINKS)
    rows = statements.read(statements.files())
    people = People.of(rows)
    members, deleted = members_of(people), known.open_deletions(centre.ledger)
    if not len(members) and not deleted:
        return
    group = rewritings.begin(centre.ledger, rewritings.FORGET, centre.now())
    centre.observe("grouped", step="forget")
    with centre.log.operation("forget", job=job.name, group=group.number) as operation:
        links = links_of(centre, members)
        dead = persons_without(people, links, events_under(centre, people, links))
        gone = Gone(members, dead)
        leave_forgotten(centre, group.number, people.raw_links(links)[1])
        done = [state(centre, group, rows, people, gone)] if len(members) else []
        strips = list(plan(centre, group, gone, links, {one.insurer for one in deleted}))
        for stripped in centre.workers.map(strip, strips):
            done.append(stripped)
            centre.observe("wrote", step="forget", done=len(done))
        counts = [count for item in done for count in item.counts]
        operation.note(files=len(done), erased=sum(int(str(one["rows"])) for one in counts))
    replaced = [item.replaced for item in done]

    def note(transaction: Connection) -> None:
        known.set_erased(transaction, deleted, group.number)

    rewriting.replace(centre, group, replaced, summed(counts), note)


# --- who and where


def links_of(centre: Centre, members: Ints) -> Ints:
    """Raw links under which anything of the members lies, ascending: 委託区画 has all of it."""
    partition = centre.snapshot(PARTITION)
    looks = []
    for insurer in np.unique(members // MEMBERS).tolist():
        for section in (QUALIFICATION, ROSTER):
            files = partition.files(insurer=f"{insurer:08d}", section=section)
            looks.append(Look(PARTITION, tuple(files), Gone(members, NOBODY)))
    found = [NOBODY, *centre.workers.map(look_for_links, looks)]
    return np.unique(np.concatenate(found))


def look_for_links(centre: Centre, item: Look) -> Ints:
    """Task: raw links of some members in files of one insurer."""
    table = centre.tables[item.table]
    found = [NOBODY]
    for file in item.files:
        chosen = table.open_file(file).filter(mine(item.table, file, item.gone))
        rows = encrypted.collect(chosen.select("link_number"), path=table.folder / file.path)
        found.append(rows["link_number"].drop_nulls().unique().to_numpy())
    return np.concatenate(found)


def events_under(centre: Centre, people: People, links: Ints) -> pl.DataFrame:
    """PERSON of every event under any raw link of the persons of these links."""
    _, every = people.raw_links(links)
    every = np.unique(every)
    looks = [
        Look(HISTORY, tuple(files), Gone(NOBODY, every))
        for files in by_bucket(centre, every, section=QUALIFICATION).values()
    ]
    types = centre.tables[HISTORY].definition.sections[QUALIFICATION]
    empty = pl.DataFrame(schema={name: types[name] for name in PERSON})
    return pl.concat([empty, *centre.workers.map(look_for_events, looks)])


def look_for_events(centre: Centre, item: Look) -> pl.DataFrame:
    """Task: whose events lie under some raw links in files of one bucket."""
    table = centre.tables[item.table]
    wanted = pl.col("link_number").is_in(pl.Series(item.gone.links).implode())
    parts = []
    for file in item.files:
        chosen = table.open_file(file).filter(wanted).select(PERSON)
        parts.append(encrypted.collect(chosen, path=table.folder / file.path).unique())
    return pl.concat(parts)


def by_bucket(centre: Centre, links: Ints, **where: str) -> dict[str, list[DataFile]]:
    """Files of the 資格履歴 in the buckets of these links, and those with rows of all buckets.

    None for nobody: who deletes copies alone leaves the 資格履歴 as it is.
    """
    if not len(links):
        return {}
    history, buckets = centre.snapshot(HISTORY), centre.site.buckets
    places = np.unique(bucket_of_link(links, buckets)).tolist()
    found = {}
    for label in [*(bucket_label(bucket, buckets) for bucket in places), MIXED]:
        files = history.files(**{BUCKET: label}, **where)
        if files:
            found[label] = files
    return found


# --- what is written anew


def plan(
    centre: Centre, group: Group, gone: Gone, links: Ints, deleting: Collection[str]
) -> Iterator[Strip]:
    """Every file of the partitions concerned; a new key for each of these is made here.

    Args:
        deleting: insurers that deleted copies.
    """
    partition = centre.snapshot(PARTITION)
    insurers = np.unique(gone.members // MEMBERS).tolist()
    chosen = [(PARTITION, partition.files(insurer=f"{insurer:08d}")) for insurer in insurers]
    chosen += [(HISTORY, files) for files in by_bucket(centre, links).values()]
    chosen += [(VAULT, files) for files in vault_buckets(centre, gone.links)]
    for name, rows in ((ISSUES, issues_under), (CODES, code_events_under)):
        under = rows(centre, gone.links)["link_number"].to_numpy()
        chosen += [(name, files) for files in buckets_of(centre, name, under)]
    whole = [(name, files, gone) for name, files in chosen]
    whole += copies_concerned(centre, gone, deleting)
    number = 1  # 0 is the file of what was stated
    for name, files, going in whole:
        if files:
            renew(centre, name, files)
        for file in files:
            yield Strip(name, file, going, group.number, number)
            number += 1


def copies_concerned(
    centre: Centre, gone: Gone, deleting: Collection[str]
) -> Iterator[tuple[str, list[DataFile], Gone]]:
    """副本区画 with rows that go. Each insurer's in its turn: nobody sees another's copies."""
    table = centre.snapshot(REPLICA)
    withdrawing = {f"{insurer:08d}" for insurer in np.unique(gone.members // MEMBERS).tolist()}
    for insurer in sorted(withdrawing | set(deleting)):
        files = table.files(insurer=insurer)
        ends = copies.endings(centre, insurer) if insurer in deleting else NO_COPIES
        if ends.height or holds_any(centre, Look(REPLICA, tuple(files), gone)):
            yield REPLICA, files, gone._replace(copies=ends)


def renew(centre: Centre, name: str, files: Sequence[DataFile]) -> None:
    """A new key for the partition that all these files are of."""
    owner = key_partition(centre.tables[name].definition, files[0].partition)
    centre.keyring.new_partition_key(name, owner)


def vault_buckets(centre: Centre, links: Ints) -> Iterator[list[DataFile]]:
    """Files of the buckets in which there is a token of any of these links."""
    vault = centre.snapshot(VAULT)
    looks = []
    for label in sorted({file.partition[BUCKET] for file in vault.files()}):
        looks.append(Look(VAULT, tuple(vault.files(bucket=label)), Gone(NOBODY, links)))
    for item, found in zip(looks, centre.workers.map(holds_any, looks), strict=True):
        if found:
            yield list(item.files)


def buckets_of(centre: Centre, name: str, links: Ints) -> Iterator[list[DataFile]]:
    """Files of the buckets of a table in which these links lie."""
    table, buckets = centre.snapshot(name), centre.site.buckets
    for bucket in np.unique(bucket_of_link(links, buckets)).tolist():
        yield table.files(bucket=bucket_label(bucket, buckets))


def holds_any(centre: Centre, item: Look) -> bool:
    """Task: whether files of a partition have any row of the members or links that go."""
    table = centre.tables[item.table]
    for file in item.files:
        chosen = table.open_file(file).filter(mine(item.table, file, item.gone))
        if encrypted.collect(chosen.select(pl.len()), path=table.folder / file.path).item():
            return True
    return False


def mine(name: str, file: DataFile, gone: Gone) -> pl.Expr:
    """Which rows of a file go."""
    if name in (VAULT, ISSUES, CODES):
        return pl.col("link_number").is_in(pl.Series(gone.links).implode())
    own = name in (PARTITION, REPLICA)
    insurer = pl.lit(file.partition["insurer"]) if own else pl.col("insurer_code")
    return is_forgotten(insurer, gone.members)


def strip(centre: Centre, item: Strip) -> Stripped:
    """Task: write a file anew without the rows that go; none, if nothing is left."""
    table = centre.tables[item.table]
    opened = table.open_file(item.file)
    rows = encrypted.collect(opened, path=table.folder / item.file.path)
    going = rows.select(mine(item.table, item.file, item.gone).alias("going"))["going"]
    insurer = item.file.partition.get("insurer", "")
    if item.gone.copies.height:
        going |= ended(copies.under_current(centre, insurer, rows), item.gone.copies)
    left = rows.filter(~going)
    come = []
    if left.height:
        name = new_name(item.group, item.number, origin_of(item.file))
        come.append(table.write(item.file.partition, left, name))
    roster = item.file.partition.get(SECTION) == ROSTER
    counts = counted(ROSTER if roster else item.table, rows.filter(going), insurer)
    return Stripped(Replaced(item.table, tuple(come), (item.file,)), counts)


def state(centre: Centre, group: Group, rows: pl.DataFrame, people: People, gone: Gone) -> Stripped:
    """What was stated of persons, without what is not needed any more, in one file."""
    files = in_time(centre.snapshot(PERSON_LINKS).files())
    staying = statements_left(rows, people, gone.links)
    left = rows.filter(staying).sort(sorted_by(PERSON_LINKS, ""), maintain_order=True)
    renew(centre, PERSON_LINKS, files)
    come = []
    if left.height:
        origin = together(files, max(origin_of(file).depth for file in files))
        name = new_name(group.number, 0, origin)
        come.append(centre.tables[PERSON_LINKS].write({}, left, name))
    replaced = Replaced(PERSON_LINKS, tuple(come), tuple(files))
    return Stripped(replaced, counted(PERSON_LINKS, rows.filter(~staying), ""))


# --- how many


def counted(what: str, rows: pl.DataFrame, insurer: str) -> list[Counted]:
    """Rows by reception and by the insurer whose lines they were, as the ledger counts them.

    Reception 0 where none is kept. Rows of who waited for a 個人番号 are counted apart (`WAITED`):
    they are in a 委託区画 only.

    Args:
        insurer: whose 委託区画 the rows are of; empty where they name one themselves.
    """
    whose = [pl.col(name) for name in (FORMER, "insurer_code") if name in rows.columns]
    kind = pl.lit(what)
    if what == PARTITION:
        kind = pl.when(pl.col("link_number").is_null()).then(pl.lit(WAITED)).otherwise(kind)
    found = rows.group_by(
        what=kind,
        reception="reception" if "reception" in rows.columns else pl.lit(0, pl.Int64),
        insurer=pl.coalesce(*whose, pl.lit(insurer)),
    ).agg(rows=pl.len())
    return list(found.sort("what", "reception", "insurer").to_dicts())


def summed(counts: Sequence[Counted]) -> list[Counted]:
    """The same over all files."""
    if not counts:
        return []
    by = ["what", "reception", "insurer"]
    table = pl.DataFrame([dict(one) for one in counts])
    return list(table.group_by(by).agg(pl.col("rows").sum()).sort(by).to_dicts())

"""commit: accepted lines into the tables, results sealed; visible when the ledger says so.

Order: data files and sealed results; then the ledger names the files and takes the counts (group
`written`); then one commit for each table; then the ledger takes their versions (`committed`).
Killed before `written`, the group starts again from its originals; killed after it, only the
commits that are missing are made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan import durable
from koukan.codecs.gate import NOBODY
from koukan.engine.centre import Centre, held_version, version_of
from koukan.engine.groups import Chunk, is_large, receptions_of, relieve, stage_of
from koukan.engine.lookup import beside, side_by_side, tokens_of
from koukan.engine.rendering import Rendered, Rendering, render, renderings
from koukan.engine.steps.gate import close, turn_away
from koukan.engine.steps.link import EMPTY, Outcome
from koukan.engine.steps.validate import Failed, explained
from koukan.engine.workers import AHEAD
from koukan.engine.writing import Share, Written, write
from koukan.flows import registration
from koukan.flows.codes import CODES
from koukan.flows.copies import REPLICA
from koukan.flows.disclosure import RECORDS
from koukan.flows.pmh import ISSUES
from koukan.flows.registration import HISTORY, PARTITION, PERSON_LINKS, ROSTER, VAULT
from koukan.ledger import Counts, Group, Ledger, Reception
from koukan.ledger.corrections import set_mended
from koukan.ledger.withdrawals import put_withdrawals
from koukan.rules.acknowledge import ACCEPTED, DUPLICATE, REJECTED, UNTAKEN
from koukan.rules.persons import WITHDRAWN
from koukan.rules.remarks import SHARE_PASSED, with_remark
from koukan.tables.definition import BUCKET, MIXED, bucket_label, bucket_of_token
from koukan.tables.table import DataFile

ORDER = (VAULT, PARTITION, HISTORY, PERSON_LINKS, ISSUES, CODES, RECORDS, REPLICA)


class LineCounts(NamedTuple):
    """Lines of a group by reception."""

    counts: dict[int, list[Counts]]
    findings: dict[int, list[tuple[str, str, int]]]  # insurer, code, lines


def work(centre: Centre, item: Share | Rendering) -> list[Written | Rendered]:
    """Task: one share of rows, or result files."""
    if isinstance(item, Rendering):
        return list(render(centre, item))
    with durable.together():
        return list(write(centre, item))


def file_name(group: int, attempt: int, number: int) -> str:
    """Data files of a group, by attempt: leavings of an older one are never taken for these."""
    return f"g{group:08d}-{attempt:03d}-{number:05d}"


def run(
    centre: Centre, group: Group, chunks: list[Chunk], failed: Sequence[Failed], outcome: Outcome
) -> None:
    """Write files and results of a group; from here on nothing has to be worked out again.

    Why single lines failed is worked out here, beside data files, which do not ask for it.
    """
    receptions = receptions_of(centre, group)
    with centre.log.operation("write", group=group.number) as operation:
        findings = explained(centre, failed)
        make_keys(centre, outcome)
        made: list[Written | Rendered] = []
        told = [item for item in receptions if item.number not in outcome.refused]
        first, rest = in_order(
            plan(centre, receptions, chunks), renderings(told, chunks), centre.site.workers.count
        )
        if is_large(chunks):  # one after another, before anything else needs its memory
            made += write_people(centre, group, outcome, at_once=True)
            outcome = outcome._replace(tokens=EMPTY.tokens, roster=EMPTY.roster)
            relieve(chunks)
            outcome = settled(centre, group, chunks, outcome, findings)
            writing = centre.workers.map(work, [*first, *rest], ahead=AHEAD)
        else:
            begun = centre.workers.map(work, first)
            with beside(
                partial(write_people, centre, group, outcome), outcome.lines.height
            ) as people:
                outcome = settled(centre, group, chunks, outcome, findings)
                writing = chain(begun, centre.workers.map(work, rest, ahead=AHEAD))
                made += people()
            outcome = outcome._replace(tokens=EMPTY.tokens, roster=EMPTY.roster)
        counted = LineCounts(counts_of(outcome), findings_of(outcome))  # while others write
        for done, found in enumerate(writing, 1):
            made += found
            centre.observe("wrote", step="commit", done=done, total=len(first) + len(rest))
        note(centre, group, outcome, counted, made)
        operation.note(files=len(made), rows=outcome.lines.height)
    centre.observe("written", step="commit")


def in_order(
    shares: Sequence[Share], results: Sequence[Rendering], workers: int
) -> tuple[list[Share | Rendering], list[Share | Rendering]]:
    """Long tasks first, as what is begun last is waited for: the result of one file is one task.

    Returns:
        what asks for no findings of single lines, and all that follows.
    """
    early = max(workers - 1, 1)  # one explains lines meanwhile
    return [*shares[:early]], [*results, *shares[early:]]


def make_keys(centre: Centre, outcome: Outcome) -> None:
    """Keys of partitions that are new with the group's new persons; tasks would wait for each."""
    insurers = outcome.roster["insurer"].unique().sort().to_list()
    centre.tables[PARTITION].make_keys({"insurer": text_of(insurer)} for insurer in insurers)
    centre.tables[HISTORY].make_keys([{BUCKET: MIXED}])


def settled(
    centre: Centre,
    group: Group,
    chunks: list[Chunk],
    outcome: Outcome,
    pending: Iterator[pl.DataFrame],
) -> Outcome:
    """The outcome with all findings, which are left as stages for the result files, too.

    Args:
        pending: findings of single lines.
    """
    findings = pl.concat([outcome.findings, *pending]).sort("row", "field", "code")
    stage = stage_of(centre, group.number, group.attempt)
    bounds = np.searchsorted(findings["row"].to_numpy(), [chunk.row for chunk in chunks]).tolist()
    for chunk, (start, stop) in zip(chunks, pairwise([*bounds, findings.height]), strict=True):
        stage.put(f"{chunk.number:05d}.findings", findings[start:stop])
    return outcome._replace(findings=findings)


def plan(centre: Centre, receptions: list[Reception], chunks: list[Chunk]) -> list[Share]:
    """Shares of rows, each as large as the site allows, the widest section first.

    Of a large group the sections of a share are one task: enough others are beside it, and what
    became of its lines is opened once.
    """
    form = centre.bundle_of(receptions[0]).form
    limit = centre.site.limits.piece_rows * len(form.required)
    parts = min(-(-sum(chunk.rows for chunk in chunks) // limit), len(chunks))
    shares: list[list[Chunk]] = [[] for _ in range(parts)]
    for number, chunk in enumerate(chunks):  # evenly: the longest share is what is waited for
        shares[number * parts // len(chunks)].append(chunk)
    sections: list[tuple[str, ...]] = [(record.section,) for record in form.records]
    if is_large(chunks):
        sections = [tuple(record.section for record in form.records)]
    wanted = [(share, some) for share in shares for some in sections]
    return [
        Share(some, tuple(share), file_name(share[0].group, share[0].attempt, number))
        for number, (share, some) in enumerate(wanted, 1)
    ]


def write_people(
    centre: Centre, group: Group, outcome: Outcome, *, at_once: bool = False
) -> list[Written]:
    """What the vault and the rosters learn, and what was stated of persons.

    Args:
        at_once: side by side, where nothing else keeps the other core busy.
    """

    def written(files: Callable[[Centre, Group, Outcome], Iterator[Written]]) -> list[Written]:
        with durable.together():
            return list(files(centre, group, outcome))

    found = side_by_side(centre, written, PEOPLE) if at_once else map(written, PEOPLE)
    return [made for files in found for made in files]


def files_of_vault(centre: Centre, group: Group, outcome: Outcome) -> Iterator[Written]:
    """Numbers that the vault learns, bucket by bucket."""
    if outcome.tokens.height:
        tokens = tokens_of(centre, outcome.tokens["my_number"].to_numpy())
        rows = tokens.drop("my_number").with_columns(
            outcome.tokens["link_number"],
            outcome.tokens["origin"],
            outcome.tokens["reception"],
            pl.lit(group.number, pl.Int64).alias("group_number"),
        )
        name = file_name(group.number, group.attempt, 0)
        found = bucket_of_token(rows["token_hi"], centre.site.buckets).unique().sort().to_list()
        labels = [bucket_label(bucket, centre.site.buckets) for bucket in found]
        centre.tables[VAULT].make_keys({BUCKET: label} for label in labels)
        for bucket, frame in registration.vault_frames(rows, centre.site.buckets):
            yield Written(VAULT, centre.tables[VAULT].write({"bucket": bucket}, frame, name))


def files_of_rosters(centre: Centre, group: Group, outcome: Outcome) -> Iterator[Written]:
    """New 被保険者枝番, insurer by insurer."""
    if outcome.roster.height:
        rows = outcome.roster.with_columns(pl.lit(group.number, pl.Int64).alias("group_number"))
        name = file_name(group.number, group.attempt, 0)
        for insurer, frame in registration.roster_frames(rows):
            where = {"insurer": insurer, "section": ROSTER}
            yield Written(PARTITION, centre.tables[PARTITION].write(where, frame, name))


def files_of_statements(centre: Centre, group: Group, outcome: Outcome) -> Iterator[Written]:
    """What insurers said of persons."""
    if outcome.statements.height:
        name = file_name(group.number, group.attempt, 0)
        file = centre.tables[PERSON_LINKS].write({}, outcome.statements, name)
        yield Written(PERSON_LINKS, file)


PEOPLE = (files_of_vault, files_of_rosters, files_of_statements)


def text_of(insurer: int) -> str:
    """保険者コード as the ledger has it; lines of systems are nobody's."""
    return f"{insurer:08d}" if insurer >= 0 else NOBODY


def counts_of(outcome: Outcome) -> dict[int, list[Counts]]:
    """Lines by reception and insurer."""
    classes, place = pl.col("class"), pl.col("row")
    table = (
        outcome.lines.lazy()
        .with_row_index("row")
        .group_by("reception", "insurer")
        .agg(
            place.min(),
            received=pl.len(),
            accepted=(classes == ACCEPTED).sum(),
            rejected=(classes == REJECTED).sum(),
            duplicate=(classes == DUPLICATE).sum(),
            held=(classes == UNTAKEN).sum(),
        )
        # A file's lines stand one after another; before the first is the control record.
        .with_columns(first_line=place - place.min().over("reception") + 2)
        .drop("row")
        .sort("reception", "insurer")
        .collect()
    )
    found: dict[int, list[Counts]] = {}
    for row in table.iter_rows(named=True):  # as many as insurers in files
        number, insurer = row.pop("reception"), text_of(row.pop("insurer"))
        found.setdefault(number, []).append(Counts(insurer, **row))
    return found


def findings_of(outcome: Outcome) -> dict[int, list[tuple[str, str, int]]]:
    """Lines with a code, by reception, insurer and code."""
    places = outcome.lines.select("reception", "insurer")[outcome.findings["row"]]
    table = (
        outcome.findings.select("row", "code")
        .with_columns(places.get_columns())
        .group_by("reception", "insurer", "code")
        .agg(count=pl.col("row").n_unique())
        .sort("reception", "insurer", "code")
    )
    found: dict[int, list[tuple[str, str, int]]] = {}
    for number, insurer, code, count in table.iter_rows():
        found.setdefault(number, []).append((text_of(insurer), code, count))
    return found


def withdrawn_of(outcome: Outcome) -> dict[int, int]:
    """How many members each reception withdraws."""
    told = outcome.statements.filter(pl.col("act") == WITHDRAWN)
    members = told.unique(["reception", "insurer_code", "member_id"])
    counts = members.group_by("reception").len().sort("reception")
    return {int(reception): int(count) for reception, count in counts.iter_rows()}


def remarks_of(reception: Reception, outcome: Outcome) -> str:
    """A reception's remarks, with that of too many bad lines where there were."""
    many = reception.number in outcome.remarked
    return with_remark(reception.remarks, SHARE_PASSED if many else None)


def note(
    centre: Centre,
    group: Group,
    outcome: Outcome,
    counted: LineCounts,
    made: Sequence[Written | Rendered],
) -> None:
    """One transaction: the files that the commits will add, the counts, what is out."""
    counts, findings = counted
    results = {item.reception: item for item in made if isinstance(item, Rendered)}
    named = [
        {
            "name": item.table,
            "path": item.file.path,
            "partition": json.dumps(dict(item.file.partition), sort_keys=True),
            "rows": item.file.rows,
            "size": item.file.size,
            "sha256": item.file.sha256,
        }
        for item in made
        if isinstance(item, Written)
    ]
    receptions = receptions_of(centre, group)
    received = {number: centre.ledger.counts(number) for number in outcome.refused}
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group.number, named)
        for reception in receptions:
            Ledger.put_findings(transaction, reception.number, findings.get(reception.number, []))
            refusal = outcome.refused.get(reception.number)
            if refusal:
                turn_away(centre, transaction, reception, refusal, received[reception.number])
                continue
            result = results[reception.number]
            Ledger.put_counts(transaction, reception.number, counts.get(reception.number, []))
            Ledger.set(
                transaction,
                reception.number,
                result_sha256=result.sha256,
                result_lines=result.lines,
                remarks=remarks_of(reception, outcome),
                judged_at=centre.now(),
            )
            if reception.number in outcome.mended:
                set_mended(transaction, reception.number, outcome.mended[reception.number])
        put_withdrawals(transaction, group.number, withdrawn_of(outcome))
        Ledger.set_group(transaction, group.number, "written")


def finish(centre: Centre, group: Group) -> None:
    """Make the commits of a written group that are missing, then let the ledger say so."""
    with centre.log.operation("commit", group=group.number) as operation:
        added: dict[str, list[DataFile]] = {}
        for row in centre.ledger.group_files(group.number):
            partition = json.loads(row.partition)
            file = DataFile(row.path, partition, row.rows, row.size, row.sha256)
            added.setdefault(row.name, []).append(file)
        held = centre.ledger.table_versions()
        versions = []
        for name in ORDER:
            if name in added:
                version = centre.tables[name].commit(
                    added[name], [], transaction=group.number, expected=version_of(held[name])
                )
                versions.append(held_version(name, version))
                centre.observe("table committed", step="commit")
        receptions = receptions_of(centre, group)
        with centre.ledger.begin() as transaction:
            for held_now in versions:
                Ledger.put_table_version(transaction, held_now)
            for reception in receptions:
                if reception.outcome != "refused" and reception.group_number == group.number:
                    close(centre, transaction, reception, "accepted", None)
            Ledger.set_group(transaction, group.number, "committed")
        operation.note(files=sum(len(files) for files in added.values()))
    centre.observe("committed", step="commit")
    stage_of(centre, group.number, group.attempt).drop()
    centre.observe("stages dropped", step="commit")


def finish_written(centre: Centre) -> None:
    """Before anything else is done with the tables: their versions must be the ledger's."""
    for group in centre.ledger.open_groups():
        if group.state == "written":
            finish(centre, group)

"""link: who is who. Rules over the lines of a group, then 紐付番号 and 被保険者枝番.

Groups are linked one at a time (lease `vault`), their receptions in ascending number, against the
tables as the ledger knows them; so a rerun issues the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.fates import COUNTED, LINES, fates_of, leave
from koukan.engine.groups import (
    Chunk,
    is_large,
    positions_of,
    receptions_of,
    relieve,
    stage_of,
)
from koukan.engine.leases import lease
from koukan.engine.linking import link_group
from koukan.engine.lookup import beside
from koukan.engine.mending import NO_ORIGINAL, called, mended
from koukan.engine.registry import Registry
from koukan.engine.repetitions import repeated_lines
from koukan.engine.steps.validate import ROW
from koukan.flows.registration import BASIC, CLASS, LINKS, QUALIFICATION
from koukan.ledger import Group, Reception
from koukan.rules.acknowledge import ACCEPTED, DUPLICATE, REJECTED
from koukan.rules.checks import FINDINGS
from koukan.rules.fitting import SPAN, Days, misfits
from koukan.rules.hindsight import Spoken, nothing, spoken_of, supposing
from koukan.rules.line_keys import KEYS
from koukan.rules.link import Issuable
from koukan.rules.register import (
    WITHDRAWAL,
    Ints,
    Judgement,
    Lines,
    Mask,
    Persons,
    barred_types,
    companions,
    judge,
    persons_of,
)
from koukan.rules.remarks import SHARE_PASSED
from koukan.rules.settling import Linked
from koukan.rules.shares import beyond


class Content(NamedTuple):
    """A group's lines as numbers."""

    receptions: list[Reception]
    lines: Lines
    undecodable: Mask  # lines with a character that cannot be read
    days: Days  # that lines tell; none once they were looked at


NO_DAYS = Days(np.zeros(0, np.int32), np.zeros(0, np.int32))


class Outcome(NamedTuple):
    """What became of a group's lines, for the step that commits it."""

    refused: dict[int, str]  # reception -> code of what refuses or holds it
    findings: pl.DataFrame  # row, field, code: not of single lines' rules until it is settled
    remarked: tuple[int, ...]  # receptions with more bad lines than their policy wants to see
    lines: pl.DataFrame  # at least `COUNTED`
    tokens: pl.DataFrame  # my_number, link_number, origin, reception: numbers the vault must learn
    roster: pl.DataFrame  # insurer, link_number, member_id, reception
    statements: pl.DataFrame  # LINKS: what `person_links` must learn
    mended: Mapping[int, int] = MappingProxyType({})  # correction -> rejected lines of its root


EMPTY = Outcome(  # of files that hold no data line
    refused={},
    findings=FINDINGS.to_frame(),
    remarked=(),
    lines=pl.DataFrame(schema=LINES),
    # Declared, not derived: a query at import starts threads, and who imports could not fork.
    tokens=pl.DataFrame(
        schema={
            "my_number": pl.Int64,
            "link_number": pl.Int64,
            "reception": pl.Int64,
            "origin": pl.String,
        }
    ),
    roster=pl.DataFrame(
        schema={
            "insurer": pl.Int32,
            "link_number": pl.Int64,
            "member_id": pl.Int64,
            "reception": pl.Int64,
        }
    ),
    statements=pl.DataFrame(schema=LINKS),
)


def run(centre: Centre, group: Group, chunks: list[Chunk]) -> Outcome:
    """Decide what becomes of every line of the group and leave it as stages for `commit`."""
    with (
        lease(centre.folder("locks"), centre.ledger, "vault", centre.clock()),
        centre.log.operation("link", group=group.number) as operation,
    ):
        receptions = receptions_of(centre, group)
        if not chunks:
            return EMPTY
        content = gather(centre, group, receptions, chunks)
        mending = called(centre, receptions, content.lines)
        judgement, told, issuable = looked_at(centre, group, chunks, content, mending.uncalled)
        persons = judgement.persons
        refused, remarked, out = refusals(centre, content, judgement, mending.lost)
        spoken = said(centre, chunks, content, judgement, out)
        # From here on persons count. What only rules over lines ask for is the most that there is.
        content = content._replace(lines=content.lines.judged(), days=NO_DAYS)
        relieve(chunks)
        numbers = np.array([reception.number for reception in receptions], np.int64)
        registry = Registry.of(centre, group.number, numbers)
        linked = link_group(registry, persons, out, issuable, spoken)
        outcome = conclude(content, judgement, linked, refused, told)
        statements = registry.told(persons, linked.statements)
        outcome = outcome._replace(statements=statements, remarked=remarked)
        if mending.people:
            accepted = accepted_of(content.lines, outcome.lines)
            outcome = outcome._replace(mended=mended(mending, accepted))
        fates = fates_of(outcome.lines, content.lines.record_number, persons, linked)
        leave(centre, chunks, fates)
        operation.note(linked=int(np.count_nonzero(~linked.rejected)))
    centre.observe("linked", step="link", done=1, total=1)
    return outcome


def gather(
    centre: Centre, group: Group, receptions: list[Reception], chunks: list[Chunk]
) -> Content:
    """The lines of the group, of the numbers that `validate` left."""
    numbers = stage_of(centre, group.number, group.attempt).take_numbers()
    lines = Lines(reception=positions_of(chunks), **{name: numbers[name] for name in KEYS})
    days = Days(*(numbers[name] for name in SPAN))
    return Content(receptions, lines, numbers["undecodable"], days)


def accepted_of(lines: Lines, counts: pl.DataFrame) -> pl.DataFrame:
    """Reception, insurer, record_number of accepted lines."""
    return (
        counts.lazy()
        .with_columns(record_number=pl.Series(lines.record_number))
        .filter(pl.col("class") == ACCEPTED)
        .select("reception", "insurer", "record_number")
        .collect()
    )


def refusals(
    centre: Centre, content: Content, judgement: Judgement, lost: Collection[int]
) -> tuple[dict[int, str], tuple[int, ...], Mask]:
    """Files with too many bad lines, out or let through, and all persons that are out by now.

    Args:
        lost: corrections whose original went while they waited; out, too.
    """
    receptions = content.receptions
    fallen = judgement.rejected[judgement.persons.of_line] & ~judgement.duplicate
    refused, remarked = beyond_shares(centre, content, fallen)
    refused |= dict.fromkeys(lost, NO_ORIGINAL)
    gone = np.array([reception.number in refused for reception in receptions])
    out = judgement.rejected | judgement.repeating | gone[judgement.persons.reception]
    return refused, remarked, out


def beyond_shares(
    centre: Centre, content: Content, fallen: Mask
) -> tuple[dict[int, str], tuple[int, ...]]:
    """Files with too many bad lines: those out by now, with the code, and those let through.

    Args:
        fallen: rejected lines.
    """
    receptions = content.receptions
    of_line, count = content.lines.reception, len(receptions)
    form = centre.bundle_of(receptions[0]).form
    counted = [
        np.bincount(chosen, minlength=count)
        for chosen in (of_line, of_line[content.undecodable], of_line[fallen])
    ]
    refused, remarked = {}, []
    for position, reception in enumerate(receptions):
        rows, undecodable, rejected = (int(share[position]) for share in counted)
        if not undecodable and not rejected:
            continue
        policy = centre.policy_of(reception)
        if SHARE_PASSED in reception.remarks:  # an operator has let it in
            policy = policy.model_copy(update={"reject_share_beyond": "warn"})
        code = beyond(form, rows, undecodable, rejected, policy)
        if code == SHARE_PASSED:
            remarked.append(reception.number)
        elif code:
            refused[reception.number] = code
    return refused, tuple(remarked)


def said(
    centre: Centre, chunks: list[Chunk], content: Content, judgement: Judgement, out: Mask
) -> Spoken:
    """What the group's lines say, if any of them supposes that something was told before."""
    persons = judgement.persons
    if not supposing(persons, out).any():
        return nothing(persons)
    classes = np.zeros(len(out), np.int8)
    if np.any(~out & (persons.process == WITHDRAWAL)):
        stage = stage_of(centre, chunks[0].group, chunks[0].attempt)
        for chunk in chunks:
            if stage.holds(name := f"{chunk.number:05d}.{BASIC}"):
                number = pl.col(CLASS).cast(pl.String).cast(pl.Int8, strict=False)
                basic = stage.get(name).select(ROW, number)
                person = persons.of_line[basic[ROW].to_numpy()]
                classes[person] = basic[CLASS].fill_null(0).to_numpy()
    records = centre.bundle_of(content.receptions[0]).form.records
    (code,) = (int(record.code) for record in records if record.section == QUALIFICATION)
    return spoken_of(content.lines, persons, code, classes)


def looked_at(
    centre: Centre, group: Group, chunks: list[Chunk], content: Content, uncalled: Ints
) -> tuple[Judgement, pl.DataFrame, Issuable]:
    """What `judge`, `misfits` and `issue` give, none of which asks for the others.

    Args:
        uncalled: as `judge` takes it.
    """
    form, lines = centre.bundle_of(content.receptions[0]).form, content.lines
    kinds = {int(insurer.code): insurer.kind for insurer in centre.site.insurers}
    grouped = persons, _ = persons_of(lines)

    remarks = partial(misfits, form, lines, persons.of_line, content.days, kinds)
    # Of a large group alone: with the rest beside it, its memory would be the most that there is.
    alone = is_large(chunks)
    with (
        beside(partial(issue, centre, group, persons), len(lines)) as issuable,
        beside(remarks, 0 if alone else len(lines)) as told,
    ):
        skip = 11 if form.file.syntax == "csv" else 10
        twice = repeated_lines(centre, chunks, lines, skip)
        barred = barred_types(form, kinds)
        judgement = judge(form, lines, *twice, barred=barred, uncalled=uncalled, grouped=grouped)
        relieve(chunks)
        return judgement, told(), issuable()


def issue(centre: Centre, group: Group, persons: Persons) -> Issuable:
    """The 紐付番号 and 被保険者枝番 that each person would issue, if it is to.

    A reception's range is as long as its data lines; a person's place in it is its first line's.
    """
    starts = np.array([start for _, start in group.members], np.int64)
    begins = np.full(len(starts), np.iinfo(np.int64).max, np.int64)
    np.minimum.at(begins, persons.reception, persons.first)
    counters = starts[persons.reception] + persons.first - begins[persons.reception]
    return Issuable(centre.link_issuer.issue(counters), centre.member_issuer.issue(counters))


def conclude(
    content: Content,
    judgement: Judgement,
    linked: Linked,
    refused: dict[int, str],
    told: pl.DataFrame,
) -> Outcome:
    """Every line's class, findings of all rules, and what vault and rosters learn.

    Args:
        told: remarks on lines, of which those on accepted ones count.
    """
    persons = judgement.persons
    numbers = np.array([reception.number for reception in content.receptions], np.int64)
    return Outcome(
        refused=refused,
        findings=findings_of(content.lines, judgement, linked, told),
        remarked=(),
        lines=pl.DataFrame(counted(content, judgement, linked), schema=COUNTED),
        tokens=_of_receptions(linked.numbers, persons, numbers),
        roster=_of_receptions(linked.roster, persons, numbers),
        statements=EMPTY.statements,
    )


def _of_receptions(rows: pl.DataFrame, persons: Persons, numbers: Ints) -> pl.DataFrame:
    """Rows by person as rows by reception."""
    reception = numbers[persons.reception[rows["person"].to_numpy()]]
    return rows.drop("person").with_columns(pl.Series("reception", reception))


def classes(judgement: Judgement, linked: Linked) -> npt.NDArray[np.int8]:
    """処理結果区分 of every line."""
    fates = np.where(linked.rejected, np.int8(REJECTED), np.int8(ACCEPTED))
    kinds = fates[judgement.persons.of_line]
    kinds[judgement.duplicate] = DUPLICATE
    return kinds


def counted(
    content: Content, judgement: Judgement, linked: Linked
) -> dict[str, npt.NDArray[np.integer[Any]]]:
    """Of every line what counts and findings need: the columns of `COUNTED`."""
    numbers = np.array([reception.number for reception in content.receptions], np.int32)
    return {
        "reception": numbers[content.lines.reception],
        "insurer": content.lines.insurer,
        "class": classes(judgement, linked),
    }


def findings_of(
    lines: Lines, judgement: Judgement, linked: Linked, told: pl.DataFrame
) -> pl.DataFrame:
    """Findings of rules over lines and against the history, with those that follow from them."""
    rows = told["row"].to_numpy()
    silent = linked.rejected[judgement.persons.of_line[rows]] | judgement.duplicate[rows]
    first = judgement.persons.first
    rejects = linked.rejects.select(
        row=pl.Series("row", first).gather(linked.rejects["person"]).cast(pl.Int64),
        field="field",
        code="code",
    )
    remarks = [
        pl.DataFrame({"row": first[whose].astype(np.int64)}).with_columns(
            field=pl.lit(field), code=pl.lit(code)
        )
        for whose, field, code in (
            (linked.reused, "process_type_code", "W401"),
            (linked.waiting, "my_number", "W402"),
        )
    ]
    found = pl.concat([judgement.findings, rejects, *remarks, told.filter(~silent)])
    repeated = pl.DataFrame({"row": np.flatnonzero(judgement.duplicate)}).with_columns(
        field=pl.lit("record_number"), code=pl.lit("D301")
    )
    return pl.concat([companions(judgement, found, linked.rejected, lines.bad), repeated])

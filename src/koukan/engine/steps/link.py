"""link: who is who. Rules over the lines of a group, then 紐付番号 and 被保険者枝番.

Groups are linked one at a time (lease `vault`), their receptions in ascending number, against the
tables as the ledger knows them; so a rerun issues the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.filling import Filling
from koukan.engine.groups import Chunk, receptions_of, stage_of
from koukan.engine.leases import lease
from koukan.engine.lookup import links_of, roster_of, spread
from koukan.engine.repetitions import repeated_lines
from koukan.ledger import Group, Reception
from koukan.rules.acknowledge import ACCEPTED, DUPLICATE, REJECTED
from koukan.rules.fitting import Days, misfits
from koukan.rules.link import Known, Linked, entangled, joined, link
from koukan.rules.register import (
    KEYS,
    NONE,
    Ints,
    Judgement,
    Lines,
    Mask,
    Persons,
    Small,
    barred_types,
    companions,
    judge,
)
from koukan.rules.remarks import SHARE_PASSED
from koukan.rules.schema import FINDINGS
from koukan.rules.shares import beyond


class Content(NamedTuple):
    """A group's lines as numbers."""

    receptions: list[Reception]
    lines: Lines
    line_numbers: Small  # of each line in its file; the control record is line 1
    undecodable: Mask  # lines with a character that cannot be read
    days: Days  # that lines tell


class Outcome(NamedTuple):
    """What became of a group's lines, for the step that commits it."""

    refused: dict[int, str]  # reception -> code of what refuses or holds it
    findings: pl.DataFrame  # row, field, code: of rules over lines and against the history
    pending: Iterator[pl.DataFrame]  # of rules of single lines, still being worked out
    remarked: tuple[int, ...]  # receptions with more bad lines than their policy wants to see
    lines: pl.DataFrame  # at least `COUNTED`
    tokens: pl.DataFrame  # my_number, link_number, origin, reception: numbers the vault must learn
    roster: pl.DataFrame  # insurer, link_number, member_id, reception


class Learned(NamedTuple):
    """What earlier files of the group have taught: numbers with links, and 被保険者枝番."""

    numbers: pl.DataFrame  # my_number, link_number
    members: pl.DataFrame  # insurer, link_number, member_id


NOTHING = Learned(
    pl.DataFrame(schema={"my_number": pl.Int64, "link_number": pl.Int64}),
    pl.DataFrame(schema={"insurer": pl.Int32, "link_number": pl.Int64, "member_id": pl.Int64}),
)


COUNTED = {  # by line: the rest of `LINES` lies in stages, chunk by chunk
    "reception": pl.Int32,
    "line_number": pl.Int32,
    "insurer": pl.Int32,
    "class": pl.Int8,
}
LINES = {  # by line; no wider than it must be: a million lines take 42 MB
    "reception": pl.Int64,
    "line_number": pl.Int32,
    "record_number": pl.Int64,
    "type": pl.Int8,
    "insurer": pl.Int32,
    "class": pl.Int8,
    "link_number": pl.Int64,
    "member_id": pl.Int64,
}
EMPTY = Outcome(  # of files that hold no data line
    refused={},
    findings=FINDINGS.to_frame(),
    pending=iter(()),
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
)


def run(
    centre: Centre, group: Group, chunks: list[Chunk], found: Iterator[pl.DataFrame]
) -> Outcome:
    """Decide what becomes of every line of the group and leave it as stages for `commit`."""
    with (
        lease(centre.folder("locks"), centre.ledger, "vault", centre.clock()),
        centre.log.operation("link", group=group.number) as operation,
    ):
        receptions = receptions_of(centre, group)
        if not chunks:
            return EMPTY
        content = gather(centre, group, receptions, chunks)
        lines = content.lines
        form = centre.bundle_of(receptions[0]).form
        twice = repeated_lines(centre, chunks, lines, 11 if form.file.syntax == "csv" else 10)
        kinds = {int(insurer.code): insurer.kind for insurer in centre.site.insurers}
        judgement = judge(form, lines, *twice, barred=barred_types(form, kinds))
        issuable = issue(centre, group, judgement.persons)
        refused, remarked, out = refusals(centre, content, judgement)
        linked = link_group(centre, judgement.persons, out, issuable)
        told = misfits(form, lines, judgement.persons.of_line, content.days, kinds)
        outcome = conclude(content, judgement, linked, refused, told)
        outcome = outcome._replace(pending=found, remarked=remarked)
        stage = stage_of(centre, group.number, group.attempt)
        for chunk in chunks:
            rows = slice(chunk.row, chunk.row + chunk.rows)
            share = pl.DataFrame(
                outcomes(content, judgement, linked, outcome.lines, rows), schema=LINES
            )
            stage.put(f"{chunk.number:05d}.outcome", share)
        operation.note(linked=int(np.count_nonzero(~linked.rejected)))
    centre.observe("linked", step="link", done=1, total=1)
    return outcome


def gather(
    centre: Centre, group: Group, receptions: list[Reception], chunks: list[Chunk]
) -> Content:
    """The numbers of all lines of the group, and their line numbers in their files."""
    stage = stage_of(centre, group.number, group.attempt)
    whole = Filling(sum(chunk.rows for chunk in chunks))
    for chunk in chunks:  # one after another: what they hold is never in memory twice
        whole.put(chunk.row, stage.get(f"{chunk.number:05d}.keys"))
        stage.done_with(f"{chunk.number:05d}.keys")
    keys = whole.columns()
    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    counts = [piece.rows for piece in pieces]
    position = np.repeat(np.array([piece.position for piece in pieces], np.int32), counts)
    line_numbers = np.concatenate(
        [np.arange(piece.row + 2, piece.row + 2 + piece.rows, dtype=np.int32) for piece in pieces]
    )
    lines = Lines(reception=position, **{name: keys[name] for name in KEYS})
    days = Days(keys["begin"], keys["end"])
    return Content(receptions, lines, line_numbers, keys["undecodable"], days)


def refusals(
    centre: Centre, content: Content, judgement: Judgement
) -> tuple[dict[int, str], tuple[int, ...], Mask]:
    """Files with too many bad lines, out or let through, and all persons that are out by now."""
    receptions = content.receptions
    fallen = judgement.rejected[judgement.persons.of_line] & ~judgement.duplicate
    refused, remarked = beyond_shares(centre, content, fallen)
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


def issue(centre: Centre, group: Group, persons: Persons) -> tuple[Ints, Ints]:
    """The 紐付番号 and 被保険者枝番 that each person would issue, if it is to.

    A reception's range is as long as its data lines; a person's place in it is its first line's.
    """
    starts = np.array([start for _, start in group.members], np.int64)
    begins = np.full(len(starts), np.iinfo(np.int64).max, np.int64)
    np.minimum.at(begins, persons.reception, persons.first)
    counters = starts[persons.reception] + persons.first - begins[persons.reception]
    return centre.link_issuer.issue(counters), centre.member_issuer.issue(counters)


def link_group(centre: Centre, persons: Persons, out: Mask, issuable: tuple[Ints, Ints]) -> Linked:
    """Look everybody up and decide: all at once, or file by file where files are entangled."""
    if not entangled(persons, out):
        return link_persons(centre, persons, out, issuable, NOTHING)
    parts, learned = [], NOTHING
    bounds = np.flatnonzero(np.diff(persons.reception)) + 1
    for start, stop in pairwise([0, *bounds.tolist(), len(out)]):  # as many as files
        part, numbers = persons.part(start, stop), [column[start:stop] for column in issuable]
        linked = link_persons(centre, part, out[start:stop], (numbers[0], numbers[1]), learned)
        tokens = learned_numbers(part, linked)
        members = pl.DataFrame(
            {
                "insurer": part.insurer[linked.new_member],
                "link_number": linked.link[linked.new_member],
                "member_id": linked.member[linked.new_member],
            }
        )
        learned = Learned(
            pl.concat([learned.numbers, tokens.select("my_number", "link_number")]),
            pl.concat([learned.members, members]),
        )
        parts.append(linked)
    return joined(parts)


def link_persons(
    centre: Centre, persons: Persons, out: Mask, issuable: tuple[Ints, Ints], learned: Learned
) -> Linked:
    """Decide with what the tables know, and what earlier files of the group have taught."""
    here = ~out

    def links(numbers: Ints) -> Ints:
        asked = np.where(here, numbers, NONE)
        taught = spread(asked, learned.numbers["my_number"], learned.numbers["link_number"])
        return np.where(taught == NONE, links_of(centre, asked), taught)

    found = links(persons.my_number)
    member, owner = roster_of(centre, persons.insurer, found, persons.member_id)
    if learned.members.height:
        asked = pl.DataFrame({"insurer": persons.insurer, "link_number": found})
        taught = asked.join(
            learned.members, on=["insurer", "link_number"], how="left", maintain_order="left"
        )["member_id"]
        member = np.where(member == NONE, taught.fill_null(NONE).to_numpy(), member)
    known = Known(found, links(persons.new_my_number), member, owner)
    return link(persons, out, known, *issuable)


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
    learned = learned_numbers(persons, linked)
    new = linked.new_member
    roster = {
        "insurer": persons.insurer[new],
        "link_number": linked.link[new],
        "member_id": linked.member[new],
        "reception": numbers[persons.reception[new]],
    }
    return Outcome(
        refused=refused,
        findings=findings_of(content.lines, judgement, linked, told),
        pending=iter(()),
        remarked=(),
        lines=pl.DataFrame(counted(content, judgement, linked), schema=COUNTED),
        tokens=learned.with_columns(pl.Series("reception", numbers[learned["reception"]])),
        roster=pl.DataFrame(roster),
    )


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
        "line_number": content.line_numbers,
        "insurer": content.lines.insurer,
        "class": classes(judgement, linked),
    }


def outcomes(
    content: Content, judgement: Judgement, linked: Linked, counts: pl.DataFrame, rows: slice
) -> dict[str, npt.NDArray[np.integer[Any]] | pl.Series]:
    """What became of some lines: the columns of `LINES`.

    Args:
        counts: of `COUNTED`.
    """
    lines, of_line = content.lines, judgement.persons.of_line[rows]
    return {
        **counts[rows].to_dict(),
        "record_number": lines.record_number[rows],
        "type": lines.type[rows],
        "link_number": linked.link[of_line],
        "member_id": linked.member[of_line],
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
    reused = pl.DataFrame({"row": first[linked.reused].astype(np.int64)}).with_columns(
        field=pl.lit("process_type_code"), code=pl.lit("W401")
    )
    found = pl.concat([judgement.findings, rejects, reused, told.filter(~silent)])
    repeated = pl.DataFrame({"row": np.flatnonzero(judgement.duplicate)}).with_columns(
        field=pl.lit("record_number"), code=pl.lit("D301")
    )
    return pl.concat([companions(judgement, found, linked.rejected, lines.bad), repeated])


def learned_numbers(persons: Persons, linked: Linked) -> pl.DataFrame:
    """個人番号 that the vault must learn; lives in memory only, until it is a token.

    Returns:
        my_number, link_number, reception (its position in the group), origin.
    """
    parts = [
        pl.DataFrame(
            {
                "my_number": numbers[chosen],
                "link_number": linked.link[chosen],
                "reception": persons.reception[chosen],
            }
        ).with_columns(origin=pl.lit(origin))
        for origin, numbers, chosen in (
            ("issued", persons.my_number, linked.new_link),
            ("replaced", persons.new_my_number, linked.new_number),
        )
    ]
    return pl.concat(parts)

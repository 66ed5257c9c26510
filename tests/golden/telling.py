"""What golden cases come to, as text that people can check: answers, tables, persons, spells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import polars as pl
from golden.cases import SYNTAXES
from golden.runner import Golden, Told
from plain_files import shipped_format

from koukan.engine.centre import Centre
from koukan.engine.people import people_of
from koukan.flows.registration import (
    HISTORY,
    INCIDENTAL,
    PARTITION,
    PERSON_LINKS,
    QUALIFICATION,
    ROSTER,
)
from koukan.rules.spells import spells

TIMES = ("received_at", "requested_at", "rung_at")  # blanked
FORMER = "former_insurer_code"


class Tables:
    """Partition, history and persons of a centre, read once for all cases."""

    def __init__(self, centre: Centre) -> None:
        self.catalogue = centre.catalogue
        form = shipped_format(SYNTAXES["member_registration"])
        self.sections = [record.section for record in form.records]
        history, partition = centre.snapshot(HISTORY), centre.snapshot(PARTITION)
        self.history = {
            section: history.read(history.files(section=section), section=section)
            for section in self.sections
        }
        self.people = people_of(centre)
        self.links = centre.snapshot(PERSON_LINKS).read(centre.snapshot(PERSON_LINKS).files())
        self.partition: dict[str, dict[str, pl.DataFrame]] = defaultdict(dict)
        for insurer in {file.partition["insurer"] for file in partition.files()}:
            for section in (ROSTER, *self.sections):
                files = partition.files(insurer=insurer, section=section)
                self.partition[insurer][section] = partition.read(files, section=section)


def told_of(golden: Golden, tables: Tables, one: Told) -> str:
    """What is expected of a case: answers, partitions, history and spells, with labels."""
    parts = [f"# {one.case.title}\n# {one.case.title_en}\n"]
    for label, name, lines in golden.answers(one, tables.catalogue):
        parts.append(f"== {name.replace(name[-14:-4], label)}\n")
        for line in lines:
            parts.append(",".join(_labelled(one, label, line)) + "\n")
    parts += _partitions(tables, one)
    parts += _history(tables, one)
    parts += _person_links(tables, one)
    parts += _spells(tables, one)
    return "".join(parts)


def _labelled(one: Told, reception: str, line: dict[str, str]) -> Iterator[str]:
    for name, value in line.items():
        if name in TIMES:
            yield "…"
        elif name == "reception_number":
            yield reception
        elif name == "original_reception_number":
            yield one.receptions(int(value))
        elif name == "insurer_code" and value:
            yield f"{{insurer:{one.insurer(value)}}}"
        elif name == "member_id" and value:
            yield one.members(int(value))
        else:
            yield value


def _partitions(tables: Tables, one: Told) -> Iterator[str]:
    """Roster, and which line lies there as what."""
    for letter, code in one.codes.items():
        found = tables.partition.get(code)
        if not found:
            continue
        yield f"== entrusted_partition {letter}\n"
        for row in sorted(found[ROSTER].to_dicts(), key=one.by_reception):
            member, link = one.members(row["member_id"]), one.persons(row["link_number"])
            yield f"{one.receptions(row['reception'])} roster {member} {link}\n"
        for section in tables.sections:
            rows = found[section].sort("reception", "line_number")
            for row in rows.iter_rows(named=True):
                member, link = one.members(row["member_id"]), one.persons(row["link_number"])
                yield f"{_place(one, row)} {section} {member} {link}\n"


def _place(one: Told, row: dict[str, object]) -> str:
    reception = row["reception"]
    assert isinstance(reception, int)
    return f"{one.receptions(reception)} line {row['line_number']}"


def _history(tables: Tables, one: Told) -> Iterator[str]:
    """Events with all that they say, under the number that their line named."""
    mine = pl.col("insurer_code").is_in(list(one.codes.values()))
    lines = []
    shown = ("link_number", "member_id", "reception", "line_number", "insurer_code", *INCIDENTAL)
    for section, rows in tables.history.items():
        for row in rows.filter(mine).sort("reception", "line_number").iter_rows(named=True):
            values = {name: value for name, value in row.items() if name not in shown and value}
            if former := values.get(FORMER):
                values[FORMER] = one.insurer(former)
            said = " ".join(f"{name}={value}" for name, value in values.items())
            who = f"{one.persons(row['link_number'])} {one.insurer(row['insurer_code'])}"
            member = one.members(row["member_id"])
            lines.append(f"{_place(one, row)} {section} {who} {member} {said}\n")
    if lines:
        yield "== qualification_history\n"
        yield from lines


def _person_links(tables: Tables, one: Told) -> Iterator[str]:
    """What the case's insurers said of which numbers are one person."""
    mine = tables.links.filter(pl.col("insurer_code").is_in(list(one.codes.values())))
    if mine.height:
        yield "== person_links\n"
    lines = []
    for row in mine.iter_rows(named=True):
        who = f"{one.insurer(row['insurer_code'])} {one.members(row['member_id'])}"
        links = f"{one.persons(row['link_number'])} {one.persons(row['survivor'])}"
        lines.append(
            f"{one.receptions(row['reception'])} {row['act']} {who} {links}"
            f" {one.members(row['successor'])}\n"
        )
    yield from sorted(lines)


def _spells(tables: Tables, one: Told) -> Iterator[str]:
    """What the events come to, person by person."""
    events = tables.people.attribute(tables.history[QUALIFICATION])
    mine = pl.col("insurer_code").is_in(list(one.codes.values()))
    found = spells(events.filter(mine))
    if found.height:
        yield "== spells\n"
    for row in sorted(found.to_dicts(), key=one.by_day):
        who = f"{one.persons(row['link_number'])} {one.insurer(row['insurer_code'])}"
        end = _text(row["disqualification_date"]) or "…"
        reason = f" loss_reason={row['loss_reason']}" if row["loss_reason"] else ""
        yield (
            f"{who} {one.members(row['member_id'])} {_text(row['qualification_date'])}–{end}"
            f"{reason} told by {_place(one, row)}\n"
        )


def _text(value: object) -> str:
    return "" if value is None else str(value)

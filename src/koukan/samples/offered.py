"""What `koukan sample` can write: one file of any format that comes in, by a sender that fits."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from koukan import durable
from koukan.errors import UsageError
from koukan.formats.model import Format
from koukan.samples.answers import answer_frames, invented_packages, receipt_frames
from koukan.samples.bulk import PAIRS, Make, write_bulk, write_lines
from koukan.samples.draws import Ints
from koukan.samples.faults import ROW_FAULTS
from koukan.samples.file_faults import FILE_FAULTS, QUESTION_FAULTS, FileFault, file_faults
from koukan.samples.laying import NIGHT_DAY
from koukan.samples.line_faults import line_faults
from koukan.samples.population import Population
from koukan.samples.questions import IMMEDIATE, KINDS, MOST_IMMEDIATE, question_frames
from koukan.samples.scenario import JUKI_NET, SCENARIO, SampleSender
from koukan.samples.writing import PART

RECEIPT = "package_receipt"
USUAL = "kenpo-a"  # the sender when none is named and the format is its
ROWS, LINES_OF_A_PERSON = 300, 3


def formats_offered() -> list[str]:
    """Names of the formats, sorted."""
    return sorted({one.format for one in (*SCENARIO.senders, JUKI_NET)} | {*KINDS, RECEIPT})


def sender_of(format_name: str, name: str | None) -> SampleSender:
    """The sender of that name, or one that may send this format by its first door.

    Raises:
        UsageError: the named one does not send this format.
    """
    if format_name == JUKI_NET.format:
        fitting = [JUKI_NET]
    elif format_name in (*KINDS, RECEIPT):
        fitting = SCENARIO.asking(format_name)
    else:
        fitting = [one for one in SCENARIO.senders if one.format == format_name]
    found = [one for one in fitting if one.name == (name or USUAL)]
    if name and not found:
        known = ", ".join(one.name for one in fitting)
        raise UsageError("cli.bad_choice", key="--sender", known=known)
    return found[0] if found else fitting[0]


@dataclass(frozen=True)
class Wish:
    """What the file is to be.

    Args:
        rows: data lines; some by default.
        codes: faults of lines, each in one person or line.
        spoilt: the fault of the whole file.
        mode: 照会方式, for formats that have one.
        whole_record: with lines of the sections that not every person has.
    """

    rows: int | None = None
    seed: int = 1
    codes: tuple[str, ...] = ()
    spoilt: FileFault | None = None
    mode: str | None = None
    whole_record: bool = False


def with_whole_record(form: Format, wished: Wish) -> Wish:
    """The same file with lines of every section.

    Raises:
        UsageError: a format whose records have no optional sections.
    """
    if form.required == form.records:
        raise UsageError("samples.no_whole_record", format=form.name)
    return replace(wished, whole_record=True)


def wish(
    form: Format, faults: Sequence[str], *, rows: int | None, seed: int, mode: str | None
) -> Wish:
    """Sort the faults into those of lines and that of the whole file.

    Raises:
        UsageError: no such fault, two of the whole file, or a mode for a format without one.
    """
    if mode is not None and all(item.name != "query_mode" for item in form.control):
        raise UsageError("samples.no_mode", format=form.name)
    in_lines, whole = line_faults(form) or ROW_FAULTS, {**FILE_FAULTS, **QUESTION_FAULTS}
    names = {one.code: name for name, one in reversed(list(whole.items()))}  # the first
    spoilt = [names.get(one, one) for one in faults if one not in in_lines]
    for one in spoilt:
        if one not in whole:
            known = ", ".join([*in_lines, *file_faults(form)])
            raise UsageError("samples.fault", code=one, known=known)
    if len(spoilt) > 1:
        raise UsageError("cli.one_file_fault")
    codes = tuple(one for one in faults if one in in_lines)
    return Wish(rows, seed, codes, whole[spoilt[0]] if spoilt else None, mode)


def write_sample(path: Path, form: Format, sender: SampleSender, wished: Wish) -> int:
    """Write the file under its final name; returns its data lines."""
    if wished.spoilt is None:  # written piece by piece: memory does not grow with the file
        try:
            return _written(path, form, sender, wished)
        except BaseException:
            path.with_name(path.name + PART).unlink(missing_ok=True)
            raise
    content = io.BytesIO()
    lines = _written(content, form, sender, wished)
    _, whole = wished.spoilt(path.name, content.getvalue(), form)
    durable.write(path, whole)
    return lines


def _written(target: Path | BinaryIO, form: Format, sender: SampleSender, wished: Wish) -> int:
    """Write a file with nothing wrong but the codes; returns its data lines."""
    if line_faults(form):
        return _lines(target, form, sender, wished)
    needed = sum(2 if code == PAIRS else 1 for code in wished.codes)
    bulk = write_bulk(
        target,
        form,
        seed=wished.seed,
        insurer=SCENARIO.insurer(sender.insurers[0]),
        persons=max(-(-(wished.rows or ROWS) // LINES_OF_A_PERSON), needed),
        sender=sender.name,
        as_of=NIGHT_DAY,
        bad_persons=len(wished.codes),
        codes=wished.codes,
        whole_record=wished.whole_record,
    )
    return bulk.file.lines


def _lines(target: Path | BinaryIO, form: Format, sender: SampleSender, wished: Wish) -> int:
    immediate = wished.mode == IMMEDIATE
    usual = MOST_IMMEDIATE if immediate else ROWS
    pairs = sum(line_faults(form)[code].pairs for code in wished.codes)
    bulk = write_lines(
        target,
        form,
        _maker(form, sender, wished.seed),
        seed=wished.seed,
        rows=max(wished.rows or usual, len(wished.codes) + pairs),
        sender=sender.name,
        as_of=NIGHT_DAY,
        control=_control(wished),
        bad_rows=len(wished.codes),
        codes=wished.codes,
    )
    return bulk.file.lines


def _control(wished: Wish) -> Mapping[str, str]:
    return {} if wished.mode is None else {"query_mode": wished.mode}


def _maker(form: Format, sender: SampleSender, seed: int) -> Make:
    """What makes the lines about persons of the seed's population."""
    population = Population(seed)
    if form.name == JUKI_NET.format:
        return lambda persons, first: answer_frames(
            form, population, _numbers(persons), first_record_number=first
        )
    insurer = SCENARIO.insurer(sender.insurers[0])
    if form.name == RECEIPT:
        return lambda persons, first: receipt_frames(
            form,
            invented_packages(sender.name, seed, _numbers(persons) + 1),
            insurer=insurer,
            first_record_number=first,
        )
    return lambda persons, first: question_frames(
        form, population, _numbers(persons), insurer=insurer, first_record_number=first
    )


def _numbers(persons: range) -> Ints:
    return np.arange(persons.start, persons.stop, dtype=np.int64)

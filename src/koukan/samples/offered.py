"""What `koukan sample` can write: one file of any format that comes in, by a sender that fits."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from koukan import durable
from koukan.errors import UsageError
from koukan.flows import registration
from koukan.formats.model import Catalogue, Format
from koukan.samples.answers import answer_frames, invented_packages, receipt_frames
from koukan.samples.bulk import PAIRS, Make, write_bulk, write_lines
from koukan.samples.copies import COPIES, COPY_QUERY, copy_frames, copy_query_frames
from koukan.samples.draws import Ints
from koukan.samples.faults import ROW_FAULTS
from koukan.samples.file_faults import FILE_FAULTS, QUESTION_FAULTS, FileFault, file_faults
from koukan.samples.laying import NIGHT_DAY
from koukan.samples.line_faults import line_faults
from koukan.samples.national import (
    CODES,
    DISCLOSURE,
    RESPONSE,
    WISH,
    code_frames,
    disclosure_frames,
    response_frames,
    wish_frames,
)
from koukan.samples.population import Population
from koukan.samples.questions import (
    BULK,
    IMMEDIATE,
    KINDS,
    MOST_IMMEDIATE,
    asked_frames,
    question_frames,
)
from koukan.samples.registration import SampleInsurer
from koukan.samples.scenario import JUKI_NET, NWS, OQS, PMH, SCENARIO, SampleSender, Scenario
from koukan.samples.usage import usage_frames
from koukan.samples.writing import PART
from koukan.sites import Site

RECEIPT, PMH_RECEIPT, NWS_RECEIPT = "package_receipt", "pmh_receipt", "nws_receipt"
USUAL = "kenpo-a"  # the sender when none is named and the format is its
ROWS, LINES_OF_A_PERSON = 300, 3
MODES = (IMMEDIATE, BULK)
OWN: Mapping[
    str, Callable[..., Mapping[str, pl.DataFrame]]
] = {  # what an insurer sends of its members, by 被保険者枝番
    WISH: wish_frames,
    COPIES: copy_frames,
    COPY_QUERY: copy_query_frames,
}
SYSTEMS = {
    one.format: one
    for one in (
        *(JUKI_NET, NWS, OQS, PMH),
        *(replace(PMH, format=PMH_RECEIPT), replace(OQS, format=RESPONSE)),
        *(replace(NWS, format=name) for name in (DISCLOSURE, NWS_RECEIPT)),
    )
}  # of national systems
# Of persons that are numbers and nothing else.
BY_NUMBER = {CODES: code_frames, RESPONSE: response_frames, DISCLOSURE: disclosure_frames}
# 保険者番号 of 国保 has six digits and stands padded in the eight of 保険者コード.
KOKUHO, SIX_OF_EIGHT = ("municipal_nhi", "nhi_society"), 2


def formats_offered() -> list[str]:
    """Names of the formats, sorted."""
    own = {one.format for one in (*SCENARIO.senders, *SYSTEMS.values())}
    return sorted(own | {*KINDS, RECEIPT, *OWN})


def scenario_of(site: Site) -> Scenario:
    """The insurers and senders of a site, so that samples fit it."""
    own = [
        SampleInsurer(one.code, one.kind, one.code[SIX_OF_EIGHT if one.kind in KOKUHO else 0 :])
        for one in site.insurers
    ]
    senders = [
        SampleSender(one.name, one.title, one.doors, one.insurers, "")
        for one in site.senders
        if one.insurers
    ]
    return Scenario(tuple(own), (), tuple(senders))


def sender_of(
    format_name: str, name: str | None, catalogue: Catalogue, scenario: Scenario = SCENARIO
) -> SampleSender:
    """The sender of that name, or one that may send this format; its first door is the right one.

    Raises:
        UsageError: the named one, or everybody, may not send this format.
    """
    if format_name in SYSTEMS:
        fitting = [SYSTEMS[format_name]]
    else:
        entitled = (_entitled(one, format_name, catalogue, scenario) for one in scenario.senders)
        fitting = [one for one in entitled if one is not None]
    usual = [one for one in fitting if one.format == format_name] or fitting
    found = [one for one in fitting if one.name == name] if name else usual
    if not found:
        known = ", ".join(one.name for one in fitting) or "–"
        raise UsageError("samples.no_sender", format=format_name, known=known)
    return next((one for one in found if one.name == USUAL), found[0])


def _entitled(
    sender: SampleSender, format_name: str, catalogue: Catalogue, scenario: Scenario
) -> SampleSender | None:
    """The sender with the one door through which this format may come from it."""
    kind = scenario.insurer(sender.insurers[0]).kind
    for door in sender.doors:
        for mode in MODES:
            if catalogue.allowed(format_name, kind, door, {"query_mode": mode}) is None:
                return replace(sender, doors=(door,))
    return None


@dataclass(frozen=True)
class Wish:
    """What the file is to be.

    Args:
        rows: data lines; some by default.
        codes: faults of lines, each in one person or line.
        spoilt: the fault of the whole file.
        mode: 照会方式, for formats that have one.
        sequence: 送信通番.
        whole_record: with lines of the sections that not every person has.
    """

    rows: int | None = None
    seed: int = 1
    codes: tuple[str, ...] = ()
    spoilt: FileFault | None = None
    mode: str | None = None
    sequence: int = 1
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
    form: Format,
    faults: Sequence[str],
    *,
    rows: int | None,
    seed: int,
    mode: str | None,
    sequence: int = 1,
) -> Wish:
    """Sort the faults into those of lines and that of the whole file.

    Raises:
        UsageError: no such fault, two of the whole file, or a mode for a format without one.
    """
    if mode is not None and all(item.name != "query_mode" for item in form.control):
        raise UsageError("samples.no_mode", format=form.name)
    in_lines = ROW_FAULTS if form.name in registration.FORMATS else line_faults(form)
    whole = {**FILE_FAULTS, **QUESTION_FAULTS}
    names = {one.code: name for name, one in reversed(list(whole.items()))}  # the first
    spoilt = [names.get(one, one) for one in faults if one not in in_lines]
    for one in spoilt:
        if one not in whole:
            known = ", ".join([*in_lines, *file_faults(form)])
            raise UsageError("samples.fault", code=one, known=known)
    if len(spoilt) > 1:
        raise UsageError("cli.one_file_fault")
    codes = tuple(one for one in faults if one in in_lines)
    return Wish(rows, seed, codes, whole[spoilt[0]] if spoilt else None, mode, sequence)


def write_sample(
    path: Path, form: Format, sender: SampleSender, wished: Wish, scenario: Scenario = SCENARIO
) -> int:
    """Write the file under its final name; returns its data lines."""
    if wished.spoilt is None:  # written piece by piece: memory does not grow with the file
        try:
            return _written(path, form, sender, scenario, wished)
        except BaseException:
            path.with_name(path.name + PART).unlink(missing_ok=True)
            raise
    content = io.BytesIO()
    lines = _written(content, form, sender, scenario, wished)
    _, whole = wished.spoilt(path.name, content.getvalue(), form)
    durable.write(path, whole)
    return lines


def _written(
    target: Path | BinaryIO,
    form: Format,
    sender: SampleSender,
    scenario: Scenario,
    wished: Wish,
) -> int:
    """Write a file with nothing wrong but the codes; returns its data lines."""
    insurer = scenario.insurer(sender.insurers[0]) if sender.insurers else None
    if form.name == OQS.format:
        return _lines(target, form, sender.name, _usage(form, scenario, wished), wished)
    if insurer is None or line_faults(form):
        return _lines(target, form, sender.name, _maker(form, sender, insurer, wished), wished)
    needed = sum(2 if code == PAIRS else 1 for code in wished.codes)
    bulk = write_bulk(
        target,
        form,
        seed=wished.seed,
        insurer=insurer,
        persons=max(-(-(wished.rows or ROWS) // LINES_OF_A_PERSON), needed),
        sender=sender.name,
        sequence=wished.sequence,
        as_of=NIGHT_DAY,
        bad_persons=len(wished.codes),
        codes=wished.codes,
        whole_record=wished.whole_record,
    )
    return bulk.file.lines


def _lines(target: Path | BinaryIO, form: Format, sender: str, make: Make, wished: Wish) -> int:
    immediate = wished.mode == IMMEDIATE
    usual = MOST_IMMEDIATE if immediate else ROWS
    pairs = sum(line_faults(form)[code].pairs for code in wished.codes)
    rows = max(wished.rows or usual, len(wished.codes) + pairs)
    bulk = write_lines(
        target,
        form,
        make,
        seed=wished.seed,
        rows=rows,
        sender=sender,
        sequence=wished.sequence,
        as_of=NIGHT_DAY,
        control=_control(form, wished, rows),
        bad_rows=len(wished.codes),
        codes=wished.codes,
    )
    return bulk.file.lines


def _usage(form: Format, scenario: Scenario, wished: Wish) -> Make:
    """What makes the lines of a log, about the welfare offices that there are."""
    own = [one.number for one in scenario.insurers if one.welfare]
    payers = own or [one.number for one in SCENARIO.insurers if one.welfare]
    return lambda persons, first: usage_frames(
        form,
        wished.seed,
        _numbers(persons),
        payers=payers,
        as_of=NIGHT_DAY,
        first_record_number=first,
    )


def _control(form: Format, wished: Wish, rows: int) -> Mapping[str, str]:
    if form.name == OQS.format:
        return {"log_number": f"{wished.sequence:010d}"}  # each file is a log of its own
    if form.name == RESPONSE:  # and each answers the push of the same number
        return {"push_sequence": f"{wished.sequence:06d}", "person_count": f"{rows:010d}"}
    return {} if wished.mode is None else {"query_mode": wished.mode}


def _maker(form: Format, sender: SampleSender, insurer: SampleInsurer | None, wished: Wish) -> Make:
    """What makes the lines about persons of the seed's population; systems are no insurer's."""
    population = Population(wished.seed)
    if form.name in BY_NUMBER:
        frames = BY_NUMBER[form.name]
        return lambda persons, first: frames(
            form, wished.seed, _numbers(persons), first_record_number=first
        )
    if form.name in OWN and insurer is not None:
        about = OWN[form.name]
        return lambda persons, first: about(
            form, wished.seed, _numbers(persons), insurer=insurer, first_record_number=first
        )
    if form.name == PMH.format:
        return lambda persons, first: asked_frames(
            form, population, _numbers(persons), first_record_number=first
        )
    if form.name in (RECEIPT, PMH_RECEIPT, NWS_RECEIPT):
        return lambda persons, first: receipt_frames(
            form,
            invented_packages(sender.name, wished.seed, _numbers(persons) + 1),
            insurer=insurer,
            first_record_number=first,
        )
    if insurer is None:
        return lambda persons, first: answer_frames(
            form, population, _numbers(persons), first_record_number=first
        )
    return lambda persons, first: question_frames(
        form, population, _numbers(persons), insurer=insurer, first_record_number=first
    )


def _numbers(persons: range) -> Ints:
    return np.arange(persons.start, persons.stop, dtype=np.int64)

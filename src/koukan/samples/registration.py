"""Frames of a member registration file from invented persons, with everything in it right.

A frame has one column for each field of the format and one row for each line. Mistakes are put into
frames (`faults`) or into the written bytes (`file_faults`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from koukan.formats.model import Format, Record
from koukan.rules.checkdigits import complete
from koukan.samples.draws import Draws, Ints, day_number, day_text
from koukan.samples.further import further_frames
from koukan.samples.population import PERSON, YEAR, text, wide
from koukan.samples.writing import WrittenFile, write_file

__all__ = ["Frames", "SampleInsurer", "WrittenFile", "joined", "registration_frames", "write_file"]

Frames = Mapping[str, pl.DataFrame]
NEW, RE_ENTRY, CHANGE, LOSS = "1", "2", "3", "4"
WITHDRAWAL, PARTING = "7", "8"
# 資格取得年月日 lies in this window; re-entries and losses lie behind it.
FIRST_DAY, LAST_DAY = day_number(date(2006, 4, 1)), day_number(date(2026, 3, 1))
RECENT = 28  # days
SEVENTY_FIVE = 75 * 365 + 19  # days; 18 or 19 of them are leap days
UNION = "elderly_union"
OLDEST = day_number(date(2027, 1, 1)) - SEVENTY_FIVE  # nobody born earlier is anywhere else
RATIO = {UNION: "010", "welfare": "000"}  # 一部負担金割合; everybody else 030
MUTUALS = ("national_mutual", "local_mutual", "private_school")


@dataclass(frozen=True)
class SampleInsurer:
    """An invented insurer.

    Args:
        code: 保険者コード, eight digits.
        kind: one of the kinds of rights.toml.
        number: 保険者番号 (six digits for 国保, else eight), or 公費負担者番号 of a welfare office.
    """

    code: str
    kind: str
    number: str
    title: str = ""

    @property
    def welfare(self) -> bool:
        return self.kind == "welfare"


def registration_frames(
    form: Format,
    people: pl.DataFrame,
    *,
    insurer: SampleInsurer,
    as_of: date,
    process_type: str | pl.Series = NEW,
    member_ids: pl.Series | None = None,
    new_my_numbers: pl.Series | None = None,
    first_record_number: int = 1,
    whole_record: bool = False,
) -> dict[str, pl.DataFrame]:
    """The three sections of every person, row by row in the order of `people`.

    Args:
        people: as `Population.people` gives them.
        process_type: 処理種別コード of all or of each person.
        member_ids: 被保険者枝番 of each person; needed for changes and losses, null for new ones.
        new_my_numbers: 更新後個人番号 of each person, null for most.
        as_of: the day on which the insurer writes the file.
        whole_record: some persons have lines of the other sections, too; else these are empty.

    Returns:
        section -> frame of strings with the format's fields in file order; null is empty.
    """
    first = first_record_number
    numbers = np.arange(first, first + people.height, dtype=np.int64)
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, people.height)
    types = process_type if isinstance(process_type, pl.Series) else pl.lit(process_type)
    frame = people.with_columns(
        record_number=text(numbers, 10),
        process_type_code=types,
        insurer_code=pl.lit(insurer.code),
        member_id=nothing if member_ids is None else member_ids,
        new_my_number=nothing if new_my_numbers is None else new_my_numbers,
    )
    persons = people[PERSON].to_numpy()
    frame = frame.with_columns(
        access_group_code=pl.concat_str(pl.lit("A"), text(persons % 50 + 1, 7)),
    )
    frame = _with_days(frame, insurer, as_of)
    frame = _with_basic(frame, insurer)
    frame = _with_qualification(frame, insurer)
    frame = _with_certificate(frame, insurer)
    rows = dict.fromkeys((record.section for record in form.required), frame)
    if whole_record:
        rows |= further_frames(frame, kind=insurer.kind, insurer_code=insurer.code, as_of=as_of)
    return {
        record.section: _section(form, record, rows.get(record.section, frame[:0]))
        for record in form.records
    }


def joined(parts: Iterable[Frames]) -> dict[str, pl.DataFrame]:
    """Several insurers' frames as one file's."""
    parts = list(parts)
    return {name: pl.concat([part[name] for part in parts]) for name in parts[0]}


def _section(form: Format, record: Record, frame: pl.DataFrame) -> pl.DataFrame:
    given = set(frame.columns)
    return frame.select(
        (
            pl.lit(record.code)
            if item.name == "record_type_code"
            else pl.col(item.name)
            if item.name in given
            else pl.lit(None, pl.String)
        ).alias(item.name)
        for item in form.fields(record)
    )


def _type_is(*types: str) -> pl.Expr:
    return pl.col("process_type_code").is_in(list(types))


def _only(condition: pl.Expr, value: pl.Expr | str) -> pl.Expr:
    """`value` where the condition holds, else empty."""
    return pl.when(condition).then(pl.lit(value) if isinstance(value, str) else value)


def _with_days(frame: pl.DataFrame, insurer: SampleInsurer, as_of: date) -> pl.DataFrame:
    """Dates of qualification and loss: drawn for person and insurer, so a change repeats them."""
    draws, persons = Draws(int(insurer.code)), frame[PERSON].to_numpy()
    today = day_number(as_of)
    recent = today - draws.below("recent", persons, RECENT)
    entry = FIRST_DAY + draws.below("entry", persons, LAST_DAY - FIRST_DAY)
    born, spread = frame["born"].to_numpy(), draws.below("aged", persons, 20 * YEAR)
    if insurer.kind == UNION:
        frame = _reborn(frame, np.minimum(born, entry - SEVENTY_FIVE - spread))
    elif not insurer.welfare:
        frame = _reborn(frame, np.where(born < OLDEST, OLDEST + spread, born))
    again = (frame["process_type_code"] == RE_ENTRY).to_numpy()
    entry = np.maximum(np.where(again, recent, entry), frame["born"].to_numpy())
    end = np.maximum(recent, entry + 1)
    return frame.with_columns(
        qualification_date=day_text(entry),
        end=day_text(end),
        last=day_text(end - 1),
        today=pl.lit(as_of.strftime("%Y%m%d")),
        change=pl.Series(draws.below("change", persons, 3)),
        spread=pl.Series(draws.below("spread", persons, 100)),
    )


def _reborn(frame: pl.DataFrame, born: Ints) -> pl.DataFrame:
    """Persons of an age that fits the insurer; what is not known of a birth stays so."""
    given, days = pl.col("birth_date"), pl.lit(day_text(born))
    text = (
        pl.when(given.str.ends_with("0000"))
        .then(days.str.head(4) + "0000")
        .when(given.str.ends_with("00"))
        .then(days.str.head(6) + "00")
        .otherwise(days)
    )
    return frame.with_columns(born=pl.Series(born), birth_date=text)


def _with_basic(frame: pl.DataFrame, insurer: SampleInsurer) -> pl.DataFrame:
    today, change, spread = pl.col("today"), pl.col("change"), pl.col("spread")
    standing = "5" if insurer.welfare else "4" if insurer.kind in MUTUALS else "1"
    moved = _type_is(CHANGE) & (change == 0)
    renamed = _type_is(CHANGE) & (change == 1)
    return frame.with_columns(
        sex_1=pl.col("sex"),
        death_flag=pl.when(_type_is(LOSS) & (spread < 20)).then(pl.lit("1")).otherwise(pl.lit("0")),
        standing=pl.when((spread < 3) & pl.lit(standing == "1"))
        .then(pl.lit("2"))
        .otherwise(pl.lit(standing)),
        member_class_code=pl.lit("4" if insurer.welfare else "1"),
        address_change_date=_only(moved, today),
        post_number_change_date=_only(moved, today),
        name_change_date=_only(renamed, today),
        name_kana_change_date=_only(renamed, today),
        standing_change_date=_only(_type_is(CHANGE) & (change == 2), today),
    )


def _with_qualification(frame: pl.DataFrame, insurer: SampleInsurer) -> pl.DataFrame:
    persons, place = frame[PERSON].to_numpy(), frame["place"].to_numpy()
    office = insurer.title or "架空市福祉事務所"
    recipients = text(complete("recipient_number", persons % 1_000_000), 7)
    reason = pl.when(pl.col("death_flag") == "1").then(pl.lit("01")).otherwise(pl.lit("03"))
    if insurer.welfare:
        reason = pl.when(pl.col("death_flag") == "1").then(pl.lit("01")).otherwise(pl.lit("07"))
    head = pl.col("place") == 0
    columns: dict[str, pl.Expr | pl.Series] = {
        "disqualification_date": _only(_type_is(LOSS), pl.col("end")),
        "loss_reason": _only(_type_is(LOSS), reason),
        "personal_family_type": pl.when(head).then(pl.lit("1")).otherwise(pl.lit("2")),
        "insured_name": pl.col("head_name"),
    }
    if insurer.welfare:
        columns |= {
            "welfare_office_name": pl.lit(office),
            "public_payer_number": pl.lit(insurer.number),
            "recipient_number": recipients,
        }
    else:
        household = persons - place
        number = wide(household // 10_000 % 10_000, 4) + wide(household % 10_000, 4)
        columns |= {
            "insurer_number": pl.lit(insurer.number),
            "insured_symbol": "架空" + wide(household // 10**8 % 1_000 + 1),
            "insured_number": number,
            "insured_branch_number": text(place + 1, 2),
        }
    return frame.with_columns(**columns)


def _with_certificate(frame: pl.DataFrame, insurer: SampleInsurer) -> pl.DataFrame:
    lost = _type_is(LOSS)
    until = pl.lit("20270731") if insurer.kind == UNION else pl.lit(None, pl.String)
    return frame.with_columns(
        certificate_class=pl.lit("07" if insurer.welfare else "06"),
        issue_date=pl.col("qualification_date"),
        valid_from_date=pl.col("qualification_date"),
        valid_to_date=pl.when(lost).then(pl.col("last")).otherwise(until),
        contribution_ratio=pl.lit(RATIO.get(insurer.kind, "030")),
        return_date=_only(lost, pl.col("today")),
    )

"""Frames of what goes to and fro about 機関別符号 and by them, and of 処理結果電文: for samples.

Members, requests and pushes are invented, so a centre tells of each line that it knows none of
them. The demo's files come from the counterparts (scripts/counterparts), which share nothing with
this.
"""

from __future__ import annotations

import polars as pl

from koukan.formats.model import Format
from koukan.samples.draws import Draws, Ints
from koukan.samples.population import text
from koukan.samples.questions import numbered
from koukan.samples.registration import SampleInsurer

WISH, CODES, RESPONSE = "linkage_code_query", "linkage_code_answer", "online_response"
DISCLOSURE = "self_disclosure_request"
REFUSED = 20  # of a thousand
NO_RESIDENT_CODE, TAKEN, NOT_TAKEN = "1001", "0000", "0101"


def wish_frames(
    form: Format, seed: int, members: Ints, *, insurer: SampleInsurer, first_record_number: int = 1
) -> dict[str, pl.DataFrame]:
    """An insurer asks that codes be acquired for these of its members, one line each."""
    numbers = text(Draws(seed).below("member", members, 10**10), 10).alias("member_id")
    frame = numbers.to_frame()
    return numbered(form, frame, first_record_number, insurer_code=insurer.code)


def code_frames(
    form: Format, seed: int, persons: Ints, *, first_record_number: int = 1
) -> dict[str, pl.DataFrame]:
    """What is returned for each of these questions, whose numbers are counted from 1."""
    draws = Draws(seed)
    refused = pl.lit(pl.Series(draws.below("answer", persons, 1000) < REFUSED))
    codes = pl.lit("X" + text(draws.below("code", persons, 10**18), 20))
    frame = pl.DataFrame({"request_record_number": text(persons + 1, 16)}).with_columns(
        code_answer_class=pl.when(refused).then(pl.lit("2")).otherwise(pl.lit("1")),
        linkage_code=pl.when(~refused).then(codes),
        result_detail_code=pl.when(refused).then(pl.lit(NO_RESIDENT_CODE)).otherwise(pl.lit(TAKEN)),
        result_message=pl.when(refused).then(pl.lit("住民票コードなし")).otherwise(pl.lit("正常")),
    )
    return numbered(form, frame, first_record_number)


def disclosure_frames(
    form: Format, seed: int, persons: Ints, *, first_record_number: int = 1
) -> dict[str, pl.DataFrame]:
    """マイナポータル asks for each of these persons, by the codes of `code_frames`."""
    (record,) = form.records
    usual = {item.name: pl.lit(item.sample) for item in record.own if item.type == "text"}
    codes = pl.lit("X" + text(Draws(seed).below("code", persons, 10**18), 20))
    minutes = text(Draws(seed).below("minute", persons, 60), 2)
    frame = pl.DataFrame({"processing_sequence": text(persons + 1, 16)}).with_columns(
        processing_branch=pl.lit("0001"),
        linkage_code=codes,
        requested_at=pl.concat_str(pl.lit("2026040109"), minutes, pl.lit("00")),
        **usual,
    )
    return numbered(form, frame, first_record_number)


def response_frames(
    form: Format, seed: int, persons: Ints, *, first_record_number: int = 1
) -> dict[str, pl.DataFrame]:
    """What became of each person of a push; the numbers of the lines are those of its persons."""
    numbers = text(persons - persons.min() + first_record_number, 10)
    refused = Draws(seed).below("response", persons, 1000) < REFUSED
    lines = pl.DataFrame({"record_number": numbers, "refused": refused})
    return {
        record.section: lines.filter(pl.col("refused") == no).select(
            "record_number",
            record_type_code=pl.lit(record.code),
            push_result_code=pl.lit(NOT_TAKEN if no else TAKEN),
        )
        for record, no in zip(form.records, (False, True), strict=True)
    }

"""Mistakes in lines that stand for themselves: questions, receipts, answers of 住基ネット.

One line is one question, so a bad one rejects nobody else. As with registrations, what a fault does
to the counts stands beside it and is handed back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from koukan.errors import UsageError
from koukan.formats.model import Format
from koukan.rules.checkdigits import complete
from koukan.rules.copies import KEY
from koukan.samples.answers import FOUND, NOT_FOUND, UNANSWERABLE
from koukan.samples.edits import of, one_number_for_two, with_fields, wrong_digit
from koukan.samples.faults import Expectation, Persons
from koukan.samples.registration import Frames

Apply = Callable[[pl.DataFrame, pl.Series], pl.DataFrame]
TAKEN, REPEATED = "R306", "D301"
NOBODYS = "9999"  # the first digits of a request record number that no centre gives
UNKNOWN_PAYER = str(complete("public_payer_number", np.array([1_299_899])).item())
SOMEBODYS = str(complete("my_number", np.array([12_345_678_901])).item())  # a 個人番号
GAIJI, GETA = "\ue000", "〓"


@dataclass(frozen=True)
class LineFault:
    """One injector; the numbers are lines for each line taken.

    Args:
        pairs: it takes lines by twos, and both are rejected.
        found: it takes only answers of found persons.
        also: further codes that such a line carries.
    """

    apply: Apply
    added: int = 0
    rejected: int = 1
    duplicate: int = 0
    held: int = 0
    pairs: bool = False
    found: bool = False
    also: tuple[str, ...] = ()


def line_faults(form: Format) -> Mapping[str, LineFault]:
    """Code -> fault, of a format whose lines stand for themselves; none for other formats."""
    return LINE_FAULTS.get(form.name, {})


def inject_lines(
    form: Format, frames: Frames, plan: Mapping[str, Persons]
) -> tuple[dict[str, pl.DataFrame], list[Expectation]]:
    """Frames with these faults in, and what each does to the counts.

    Args:
        frames: the format's only section; nothing was done to it. Lines that a fault adds have
            record numbers behind all others.
        plan: code -> positions of lines by their order of record numbers, each line at most once.

    Raises:
        UsageError: no such code, or the lines are not what the code needs.
    """
    (record,) = form.records
    frame, faults, expectations = frames[record.section], line_faults(form), []
    numbers = frame["record_number"].sort()
    for code, positions in plan.items():
        fault = faults.get(code)
        if fault is None:
            raise UsageError("samples.fault", code=code, known=", ".join(faults))
        chosen = numbers.gather(np.asarray(positions, np.int64))
        _require(frame, code, fault, chosen)
        frame = fault.apply(frame, chosen)
        count = chosen.len()
        counts = (fault.added, fault.rejected, fault.duplicate, fault.held)
        expectations.append(Expectation(code, count, *(each * count for each in counts)))
    return {record.section: frame}, expectations


def _require(frame: pl.DataFrame, code: str, fault: LineFault, chosen: pl.Series) -> None:
    if fault.pairs and chosen.len() % 2:
        raise UsageError("samples.unfit", code=code, known="pairs")
    if fault.found and not (frame.filter(of(chosen))["answer_class"] == FOUND).all():
        raise UsageError("samples.unfit", code=code, known=FOUND)


def _set(**values: pl.Expr | str | None) -> Apply:
    return lambda frame, chosen: with_fields(frame, chosen, **values)


def _added(frame: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """The frame with further lines, each under a record number that no other line has."""
    last = frame["record_number"].cast(pl.Int64).max()
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int64) + last
    return pl.concat([frame, more.with_columns(record_number=place.cast(pl.String).str.zfill(10))])


def _again(frame: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
    return _added(frame, frame.filter(of(chosen)))


def _emptied(frame: pl.DataFrame, answer_class: str) -> dict[str, str | None]:
    """An answer that has nothing but its number and class."""
    kept = {"record_number", "record_type_code", "request_record_number"}
    return {name: None for name in frame.columns if name not in kept} | {
        "answer_class": answer_class
    }


def _unanswerable(frame: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
    return with_fields(frame, chosen, **_emptied(frame, UNANSWERABLE))


def _contradicted(frame: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
    """A found person is said not to be there, too."""
    lines = frame.filter(of(chosen))
    return _added(frame, with_fields(lines, chosen, **_emptied(frame, NOT_FOUND)))


def _told_twice(frame: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
    """The second of each pair of lines tells of the copy of the first, and something else."""
    first, second = chosen.gather_every(2), chosen.gather_every(2, 1)
    pairs = pl.DataFrame({"record_number": second, "of": first})
    told = frame.select(pl.col("record_number").alias("of"), *(pl.col(name) for name in KEY))
    told = pairs.join(told, on="of").drop("of").with_columns(content_2=pl.lit("2"))
    return frame.update(told, on="record_number")


_NAME, _TAIL = pl.col("resident_name"), pl.col("resident_name").str.slice(1)
_SHORT = pl.col("my_number").str.head(-1)

QUESTION: Mapping[str, LineFault] = {
    TAKEN: LineFault(one_number_for_two, pairs=True),
    REPEATED: LineFault(_again, added=1, rejected=0, duplicate=1),
}
LINE_FAULTS: Mapping[str, Mapping[str, LineFault]] = {
    "my_number_query": {
        "R101": LineFault(_set(birth_date=None), also=("R221",)),
        "R102": LineFault(_set(resident_name=_NAME + "長" * 40)),
        "R104": LineFault(_set(sex="9")),
        "R105": LineFault(_set(birth_date="20260231")),
        "R106": LineFault(_set(resident_name=GAIJI + _TAIL)),  # F040 in CP932: a 外字
        "R108": LineFault(_set(resident_name=GETA + _TAIL)),
        "R221": LineFault(_set(address=None)),
        **QUESTION,
    },
    "basic_four_query": {
        "R101": LineFault(_set(my_number=None)),
        "R102": LineFault(_set(my_number=_SHORT)),
        "R103": LineFault(_set(my_number=_SHORT + "X")),
        "R201": LineFault(_set(my_number=wrong_digit("my_number"))),
        **QUESTION,
    },
    "package_receipt": {
        "R101": LineFault(_set(archive_sha256=None)),
        "R102": LineFault(_set(archive_sha256=pl.col("archive_sha256").str.head(-1))),
        "R103": LineFault(_set(package_name="ＰＫ" + pl.col("package_name").str.slice(2))),
        "R110": LineFault(_set(package_name=pl.col("package_name").str.strip_suffix(".age"))),
        "R501": LineFault(
            _set(package_name="PK_" + pl.col("archive_sha256").str.head(40) + ".age")
        ),
        "R502": LineFault(_set(archive_sha256=pl.col("archive_sha256").str.reverse())),
        **QUESTION,
    },
    "juki_net_answer": {
        "R101": LineFault(_set(request_record_number=None)),
        "R102": LineFault(_set(my_number=_SHORT), found=True),
        "R103": LineFault(_set(my_number=_SHORT + "X"), found=True),
        "R104": LineFault(_set(sex="9"), found=True),
        "R105": LineFault(_set(birth_date="20260231"), found=True),
        "R106": LineFault(_set(resident_name=GAIJI + _TAIL), found=True),
        "R108": LineFault(_set(resident_name=GETA + _TAIL), found=True),
        "R109": LineFault(_set(address=pl.col("address") + ",1"), found=True),
        "R201": LineFault(_set(my_number=wrong_digit("my_number")), found=True),
        "R203": LineFault(_set(municipality_code=wrong_digit("municipality_code")), found=True),
        "R220": LineFault(_set(address=None), found=True),
        "R503": LineFault(_unanswerable),
        "H201": LineFault(
            _set(request_record_number=NOBODYS + pl.col("request_record_number").str.tail(12)),
            rejected=0,
            held=1,
        ),
        "H203": LineFault(_contradicted, added=1, rejected=0, held=2, found=True),
        REPEATED: LineFault(_again, added=1, rejected=0, duplicate=1),
    },
    "usage_log": {
        "R101": LineFault(_set(recipient_number=None)),
        "R102": LineFault(_set(recipient_number=pl.col("recipient_number").str.head(-1))),
        "R103": LineFault(_set(recipient_number=pl.col("recipient_number").str.head(-1) + "X")),
        "R104": LineFault(_set(qualification_check_method="9")),
        "R105": LineFault(_set(processed_at="20260231090000")),
        "R204": LineFault(_set(public_payer_number=wrong_digit("public_payer_number"))),
        "R205": LineFault(_set(recipient_number=wrong_digit("recipient_number"))),
        "R206": LineFault(_set(medical_institution_code=wrong_digit("medical_institution_code"))),
        "H205": LineFault(_set(public_payer_number=UNKNOWN_PAYER), rejected=0, held=1),
        **QUESTION,
    },
}
LINE_FAULTS = {
    **LINE_FAULTS,
    "linkage_code_query": {
        "R101": LineFault(_set(member_id=None)),
        "R102": LineFault(_set(member_id=pl.col("member_id").str.head(-1))),
        "R103": LineFault(_set(member_id=pl.col("member_id").str.head(-1) + "X")),
    },
    "linkage_code_answer": {
        "R101": LineFault(_set(request_record_number=None)),
        "R102": LineFault(_set(linkage_code="X")),
        "R104": LineFault(_set(code_answer_class="9")),
        "R227": LineFault(_set(code_answer_class="1", linkage_code=None)),
    },
}
LINE_FAULTS = {
    **LINE_FAULTS,
    **dict.fromkeys(("pmh_receipt", "nws_receipt"), LINE_FAULTS["package_receipt"]),
    "self_disclosure_request": {
        "R101": LineFault(_set(task_name=None)),
        "R102": LineFault(_set(linkage_code="X")),
        "R103": LineFault(_set(processing_sequence=pl.lit("X" * 16))),
        "R104": LineFault(_set(nondisclosure_code="9")),
        "R105": LineFault(_set(requested_at="20260231090000")),
        **QUESTION,
    },
    "copy_registration": {
        "R101": LineFault(_set(member_id=None)),
        "R102": LineFault(_set(content_1="長" * 101)),
        "R103": LineFault(_set(member_id=pl.col("member_id").str.head(-1) + "X")),
        "R104": LineFault(_set(specific_information_code="9999")),
        "R105": LineFault(_set(period_start_month="202113")),
        "R106": LineFault(_set(content_1=GAIJI)),
        "R108": LineFault(_set(content_1=GETA)),
        "R207": LineFault(_set(content_2=SOMEBODYS)),
        "R228": LineFault(_set(period_end_month="201903")),
        "R229": LineFault(_set(copy_class="3")),
        "R230": LineFault(_set(content_1=None)),
        "R308": LineFault(_told_twice, pairs=True),
        **QUESTION,
    },
    "copy_query": {
        "R102": LineFault(_set(member_id=pl.col("member_id").str.head(-1))),
        "R103": LineFault(_set(member_id=pl.col("member_id").str.head(-1) + "X")),
        **QUESTION,
    },
}
"""Format -> code -> fault. A file alone cannot bring about D501 (confirmed before) and H202
(answered before): the same lines in a second file do."""

"""The sections of the whole record that not every person has a line of."""

from __future__ import annotations

from datetime import date

import polars as pl

from koukan.rules.ages import ages
from koukan.rules.checkdigits import complete
from koukan.samples.draws import Draws, day_number, day_text
from koukan.samples.population import PERSON, YEAR, text

Frames = dict[str, pl.DataFrame]
FURTHER = (
    "information_control",
    "medical_ticket",
    "elderly_certificate",
    "limit_certificate",
    "specific_disease_certificate",
)
LIMITS = {"elderly_union": ("B04", "B05", "B06")}  # 適用区分; everybody else ア to オ
BELOW_SEVENTY = ("A01", "A02", "A03", "A04", "A05")
# Of a hundred persons so many have a line of the section.
CONTROLLED, LIMITED, DISEASED, TICKETED = 30, 10, 2, 60


def further_frames(
    frame: pl.DataFrame, *, kind: str, insurer_code: str, as_of: date
) -> dict[str, pl.DataFrame]:
    """Who has which further section, with the columns of its own.

    Args:
        frame: the persons, with the common fields and the days of their qualification.
        kind: of the insurer, as in rights.toml.

    Returns:
        section -> some of the persons in their order; a section that the kind has not is missing.
    """
    persons = frame[PERSON].to_numpy()
    draws = Draws(int(insurer_code))

    def some(what: str, of_hundred: int) -> pl.DataFrame:
        return frame.filter(pl.Series(draws.below(what, persons, 100) < of_hundred))

    if kind == "welfare":
        return {"medical_ticket": _ticket(some("ticket", TICKETED), as_of)}
    found = {
        "information_control": some("control", CONTROLLED).with_columns(
            opt_out=pl.lit("0"),
            self_disclosure_barred_flag=pl.lit("0"),
            checkup_consent_flag=pl.lit("1"),
        ),
        "limit_certificate": _limit(some("limit", LIMITED), kind),
        "specific_disease_certificate": _valid(some("disease", DISEASED)).with_columns(
            specific_disease_class=pl.lit("1"), payment_limit_amount=pl.lit("10000")
        ),
    }
    if kind != "elderly_union":
        seventy = day_number(as_of) - 70 * YEAR - 18  # leap days of 70 years
        aged = frame.filter(pl.col("born").is_between(seventy - 5 * YEAR, seventy - 62))
        found["elderly_certificate"] = _elderly(aged)
    return found


def _valid(some: pl.DataFrame) -> pl.DataFrame:
    """A certificate as long as the one that everybody has."""
    return some.with_columns(
        issue_date=pl.col("qualification_date"),
        valid_from_date=pl.col("qualification_date"),
        valid_to_date=pl.col("valid_to_date"),
        return_date=pl.col("return_date"),
    )


def _elderly(some: pl.DataFrame) -> pl.DataFrame:
    """A certificate from the month after the 70th birthday, or the qualification, on."""
    births = day_text(some["born"].to_numpy()).cast(pl.Int64).to_numpy()
    first = pl.max_horizontal("valid_from_date", day_text(ages(births).elderly))
    valid = _valid(some).with_columns(valid_from_date=first, contribution_ratio=pl.lit("020"))
    return valid.with_columns(issue_date="valid_from_date")


def _limit(some: pl.DataFrame, kind: str) -> pl.DataFrame:
    classes = LIMITS.get(kind, BELOW_SEVENTY)
    place = some[PERSON].to_numpy() % len(classes)
    return _valid(some).with_columns(
        limit_certificate_class=pl.lit("01"),
        limit_class=pl.Series(list(classes), dtype=pl.String).gather(place),
    )


def _ticket(some: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """A 医療券 of the month in which the file is written."""
    persons = some[PERSON].to_numpy()
    following = date(as_of.year + as_of.month // 12, as_of.month % 12 + 1, 1)
    last = date.fromordinal(following.toordinal() - 1)
    places = text(complete("institution_code", 131_000_000 + persons % 1_000), 10)
    return some.with_columns(
        ticket_number=text(persons % 10**12, 12),
        ticket_type=pl.lit("1"),
        issue_number=text(persons % 10_000, 4),
        treatment_month=pl.lit(as_of.strftime("%Y%m")),
        start_date=pl.lit(as_of.strftime("%Y%m01")),
        end_date=pl.lit(last.strftime("%Y%m%d")),
        single_combined_type=pl.lit("1"),
        institution_code=places,
        institution_name=pl.lit("架空病院"),
        institution_address=pl.lit("架空県見本市本町１丁目２番３号"),
        disease_1=pl.lit("架空の傷病"),
        treatment_type=pl.Series(["1", "2", "3"]).gather(persons % 3),
        self_payment_amount=pl.lit("0"),
        case_worker_name=pl.lit("架空　担当"),
        officer_name=pl.lit("架空　取扱"),
        officer_title=pl.lit("主事"),
        social_insurance_status=pl.lit("0"),
        infection_law_37_2_status=pl.lit("0"),
        elderly_care_status=pl.lit("0"),
        prefecture_status=pl.lit("0"),
        case_number="C" + text(persons % 10**9, 9),
        household_member_number=text(some["place"].to_numpy() + 1, 2),
        insurer_number=pl.lit(None, pl.String),
        insured_symbol=pl.lit(None, pl.String),
        insured_number=pl.lit(None, pl.String),
        remark_1=pl.select(
            pl.when(pl.Series(persons % 10 == 0)).then(pl.lit("架空の備考"))
        ).to_series(),
    )

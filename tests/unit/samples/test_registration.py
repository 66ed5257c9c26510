"""What insurers of each kind fill in, and what each kind of report needs."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from koukan.formats.model import Catalogue, Format
from koukan.rules.checkdigits import valid_numbers
from koukan.rules.checks import rules_of
from koukan.samples.population import Population
from koukan.samples.registration import Frames, SampleInsurer, registration_frames
from koukan.samples.scenario import SCENARIO

DAY = date(2026, 4, 2)
PEOPLE = Population(5).people(0, 2_000)
IDS = pl.Series([f"{number:010d}" for number in range(2_000)])


def _frames(form: Format, insurer: SampleInsurer, process_type: str = "1") -> Frames:
    return registration_frames(
        form,
        PEOPLE,
        insurer=insurer,
        as_of=DAY,
        process_type=process_type,
        member_ids=None if process_type == "1" else IDS,
    )


@pytest.mark.parametrize("process_type", ["1", "2", "3", "4"])
@pytest.mark.parametrize("insurer", SCENARIO.insurers, ids=lambda insurer: insurer.kind)
def test_no_line_breaks_a_rule(
    form: Format, catalogue: Catalogue, insurer: SampleInsurer, process_type: str
) -> None:
    frames = _frames(form, insurer, process_type)
    for record in form.records:
        frame = frames[record.section]
        assert frame.columns == [item.name for item in form.fields(record)]
        assert set(frame.dtypes) == {pl.String}
        for rule in rules_of(form, record, catalogue.codes):
            assert not frame.select(rule.fails).to_series().any(), rule.code


@pytest.mark.parametrize("insurer", SCENARIO.insurers, ids=lambda insurer: insurer.kind)
def test_numbers_are_those_of_the_kind(csv_form: Format, insurer: SampleInsurer) -> None:
    frame = _frames(csv_form, insurer)["qualification"]
    if insurer.kind == "welfare":
        assert frame["insurer_number"].null_count() == frame.height
        assert set(frame["public_payer_number"]) == {insurer.number}
        recipients = frame["recipient_number"].cast(pl.Int64).to_numpy()
        assert valid_numbers("recipient_number", recipients).all()
        assert frame["welfare_office_name"].null_count() == 0
    else:
        assert set(frame["insurer_number"]) == {insurer.number}
        assert len(insurer.number) == (6 if "nhi" in insurer.kind else 8)
        for name in ("public_payer_number", "recipient_number", "welfare_office_name"):
            assert frame[name].null_count() == frame.height


def test_a_loss_has_date_reason_and_a_certificate_that_ends_the_day_before(
    csv_form: Format,
) -> None:
    frames = _frames(csv_form, SCENARIO.insurers[1], "4")
    lost = frames["qualification"]["disqualification_date"].str.to_date("%Y%m%d")
    last = frames["certificate"]["valid_to_date"].str.to_date("%Y%m%d")

    assert frames["qualification"]["loss_reason"].null_count() == 0
    assert ((lost - last).dt.total_days() == 1).all()
    assert (lost <= DAY).all()


def test_a_change_repeats_the_qualification_date_and_a_re_entry_does_not(csv_form: Format) -> None:
    dates = {
        kind: _frames(csv_form, SCENARIO.insurers[1], kind)["qualification"]["qualification_date"]
        for kind in "1234"
    }

    assert dates["1"].equals(dates["3"])
    assert dates["1"].equals(dates["4"])
    assert (dates["2"] > dates["1"]).mean() > 0.99
    marks = _frames(csv_form, SCENARIO.insurers[1], "3")["basic"].select("^.*_change_date$")
    assert marks.select(pl.any_horizontal(pl.all().is_not_null())).to_series().all()
    assert "20260402" in set(marks["address_change_date"])


def test_numbers_and_ids_stand_in_every_section(csv_form: Format) -> None:
    new = Population(5).numbers(PEOPLE["person"].to_numpy() + 5_000)
    types = pl.Series(["3"] * 1_000 + ["1"] * 1_000)
    frames = registration_frames(
        csv_form,
        PEOPLE,
        insurer=SCENARIO.insurers[1],
        as_of=DAY,
        process_type=types,
        member_ids=IDS,
        new_my_numbers=new,
        first_record_number=41,
    )

    for section in ("basic", "qualification", "certificate"):
        frame = frames[section]
        assert frame["my_number"].equals(PEOPLE["my_number"])
        assert frame["member_id"].equals(IDS)
        assert frame["new_my_number"].equals(new)
        assert frame["process_type_code"].equals(types)
        assert frame["record_number"][0] == "0000000041"

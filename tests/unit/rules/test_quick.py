"""The quick look is never wider than the rules, and with it every row is judged the same."""

from __future__ import annotations

import random
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from field_values import GOOD, WRONG, WRONG_DIGITS
from plain_files import samples
from polars.testing import assert_frame_equal

from koukan.codecs.packed import LONGEST, packed
from koukan.formats import Catalogue, bundle
from koukan.formats.model import Field, Format
from koukan.rules import quick
from koukan.rules.checks import CHECK_KINDS, CHECKS, as_date, rules_of
from koukan.rules.quick import dates, look
from koukan.rules.validate import BAD, validators

SECTIONS = [  # every record type that comes in
    *(("member_registration", name) for name in ("basic", "qualification", "certificate")),
    *(("my_number_query", "question"), ("basic_four_query", "question")),
    *(("juki_net_answer", "answer"), ("package_receipt", "receipt")),
]


@pytest.fixture(scope="module")
def form(catalogue: Catalogue) -> Format:
    return catalogue.formats["member_registration"]


def values_of(item: Field, catalogue: Catalogue) -> list[str | None]:
    kind = "digits" if item.type == "datetime" else item.type
    values = [*GOOD.get(item.name, []), *WRONG_DIGITS.get(item.name, []), *WRONG[kind]]
    if item.codes is not None:
        values += catalogue.codes[item.codes].values
    return [*(value or None for value in values), item.sample or None, None]


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_what_it_calls_right_breaks_no_rule(
    catalogue: Catalogue, name: str, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "DOUBTS", 0)  # however many rows are in doubt
    form = catalogue.formats[name]
    record = form.section(section)
    settled = 0
    for item in form.fields(record):
        frame = pl.DataFrame({item.name: values_of(item, catalogue)}, {item.name: pl.String})
        seen = look(frame, [item], catalogue.codes)
        short = item.type not in ("text", "kana") and item.shortest <= LONGEST
        short &= "package_name" not in item.checks  # a check that only the rules know
        assert seen.names == ({item.name} if short else set())
        if not short:
            continue
        fails = [
            rule.fails
            for rule in rules_of(form, record, catalogue.codes)
            if rule.field == item.name and set(rule.fails.meta.root_names()) == {item.name}
        ]
        broken = frame.select(pl.any_horizontal(fails)).to_series().to_numpy()
        certain = np.setdiff1d(np.arange(frame.height), seen.doubts.get(item.name, []))
        assert not broken[certain].any(), item.name
        settled += len(certain)
    assert settled > 10


def test_every_day_of_the_calendar_is_the_day_that_it_is() -> None:
    text = [
        f"{number:08d}"
        for year in (0, 1867, 1868, 1900, 2000, 2023, 2024, 9999)
        for number in range(year * 10_000, year * 10_000 + 10_000)
    ]
    found, right = dates(packed(pl.Series(text)))
    wanted = pl.DataFrame({"day": text}).select(as_date("day")).to_series()
    assert right.tolist() == wanted.is_not_null().to_list()
    assert pl.Series(found[right]).cast(pl.Int32).cast(pl.Date).to_list() == (
        wanted.drop_nulls().to_list()
    )
    days = [date(1868, 1, 1) + timedelta(day) for day in range(0, 2_900_000, 97)]
    found, right = dates(packed(pl.Series([f"{day:%Y%m%d}".zfill(8) for day in days])))
    assert right.all()
    assert found.tolist() == [(day - date(1970, 1, 1)).days for day in days]


def test_each_check_digit_has_its_kind() -> None:
    assert CHECK_KINDS.keys() == {name for name in CHECKS if name.endswith("_check_digit")}


def test_a_check_that_it_does_not_know_is_left_to_the_rules(form: Format) -> None:
    item = (
        form.section("basic")
        .own[0]
        .model_copy(update={"type": "digits", "length": 4, "checks": ("new_check",)})
    )
    assert not look(pl.DataFrame({item.name: ["1234"]}), [item], {}).names


@pytest.mark.parametrize("doubts", [0, 8, 10**9])
@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_rows_are_judged_the_same_with_it(
    catalogue: Catalogue, name: str, section: str, doubts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = catalogue.formats[name]
    draws = random.Random(section)
    validator = validators(bundle(catalogue, form.name))[section]
    fields = form.fields(form.section(section))
    rows = []
    for _ in range(600):
        row = {item.name: item.sample or None for item in fields}
        for item in draws.sample(fields, draws.choice([0, 0, 0, 1, 2])):
            row[item.name] = draws.choice(values_of(item, catalogue))
        rows.append(row)
    frame = pl.DataFrame(rows, {item.name: pl.String for item in fields})
    monkeypatch.setattr(quick, "DOUBTS", doubts)
    found = validator.check(frame, suspicious=None).columns
    monkeypatch.setattr(quick, "_is_short", lambda *_: False)
    wanted = validator.check(frame, suspicious=None).columns
    assert 0 < found[BAD].sum() < len(rows)
    right = ~wanted[BAD]
    assert_frame_equal(found.filter(right), wanted.filter(right))
    assert found[BAD].equals(wanted[BAD])


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_good_rows_leave_no_doubt(catalogue: Catalogue, name: str, section: str) -> None:
    form = catalogue.formats[name]
    validator = validators(bundle(catalogue, form.name))[section]
    good = {name: value or None for name, value in samples(form, section).items()}
    frame = pl.DataFrame([good] * 3, dict.fromkeys(good, pl.String))
    found = validator.check(frame, suspicious=np.zeros(0, np.int64)).columns
    assert not found[BAD].any()
    dates = [name for name, dtype in found.schema.items() if dtype == pl.Date]
    assert [f"{found[name][0]:%Y%m%d}" for name in dates] == [good[name] for name in dates]

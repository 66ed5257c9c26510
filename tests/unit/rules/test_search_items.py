"""The items without which nobody is looked up, and the days on which that is the rule."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest
import slow_rules
from plain_files import samples
from pydantic import ValidationError

from koukan.formats import Catalogue, Check, Format, bundle
from koukan.formats.docs import document
from koukan.rules.checks import CROSS_CHECKS
from koukan.rules.validate import BAD, validators

# Since 2023-12-01 (as the definition of a question says it); 性別 may be missing, 住所 may not.
POLICY = Check(
    use="search_items",
    fields=("resident_name",),
    code="R201",
    sets=(
        ("resident_name", "birth_date", "sex", "address"),
        ("resident_name", "birth_date", "address"),
    ),
    valid_from="20231201",
)
ITEMS = ("resident_name", "resident_name_kana", "birth_date", "sex", "address")


def test_one_set_of_items_must_be_wholly_present() -> None:
    rows = [dict(zip(ITEMS, present, strict=True)) for present in product(["x", None], repeat=5)]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(ITEMS, pl.String))
    fails = frame.select(CROSS_CHECKS["search_items"](POLICY)).to_series()
    enough = [all(row[name] for name in ("resident_name", "birth_date", "address")) for row in rows]
    assert fails.to_list() == [not one for one in enough]
    alone = {"resident_name_kana": "x", "birth_date": "x", "sex": "x"}
    row = pl.DataFrame([alone], schema=frame.schema)
    assert row.select(CROSS_CHECKS["search_items"](POLICY)).item() is True


def test_the_check_may_have_a_condition() -> None:
    check = POLICY.model_copy(update={"when": {"sex": ("1",)}})
    frame = pl.DataFrame({name: [None, None] for name in ITEMS}, schema_overrides={})
    frame = frame.cast(pl.String).with_columns(sex=pl.Series(["1", "2"]))
    assert frame.select(CROSS_CHECKS["search_items"](check)).to_series().to_list() == [True, False]


@pytest.fixture
def asking(catalogue: Catalogue) -> Catalogue:
    """The shipped definitions, with such a policy over the basic record."""
    policy = POLICY.model_copy(
        update={
            "fields": ("name",),
            "sets": (("name", "birth_date"), ("address", "post_number", "sex_2")),
            "valid_to": "20301231",
        }
    )
    form = catalogue.formats["member_registration"]
    values = form.model_dump()
    for field in values["records"][0]["own"]:
        field["required"] = False
    values["records"][0]["checks"] += (policy.model_dump(),)
    changed = Format.model_validate(values)
    return catalogue.model_copy(update={"formats": {form.name: changed}})


def test_fused_check_details_schema_and_plain_python_agree(asking: Catalogue) -> None:
    form = asking.formats["member_registration"]
    record = form.section("basic")
    rows = []
    names = ("name", "birth_date", "address", "post_number", "sex_2")
    for present in product([True, False], repeat=len(names)):
        row = {name: value or None for name, value in samples(form, "basic").items()}
        row["sex_2"] = "1"
        rows.append(
            {**row, **{n: row[n] if p else None for n, p in zip(names, present, strict=True)}}
        )
    frame = pl.DataFrame(rows, schema={item.name: pl.String for item in form.fields(record)})
    check = validators(bundle(asking, "member_registration"))["basic"]
    wanted = [
        (place, field, code)
        for place, row in enumerate(rows)
        for field, code in sorted(slow_rules.findings(form, record, row, asking))
    ]
    assert {code for _, _, code in wanted} == {"R201"} and 0 < len(wanted) < len(rows)
    assert check.details(frame).rows() == wanted
    assert check.details_with_pandera(frame).rows() == wanted
    bad = check.check(frame, suspicious=None).columns[BAD]
    assert bad.arg_true().to_list() == [place for place, _, _ in wanted]


def uses(catalogue: Catalogue, on: str | None) -> list[str]:
    form = bundle(catalogue, "member_registration", on).form
    return [check.use for check in form.section("basic").checks]


def test_a_policy_holds_on_its_days_only(asking: Catalogue, catalogue: Catalogue) -> None:
    for day in (None, "20231201", "20261101", "20301231"):
        assert "search_items" in uses(asking, day), day
    for day in ("20231130", "20310101"):
        assert uses(asking, day) == uses(catalogue, None), day
    whole, before = (bundle(asking, "member_registration", on) for on in ("20231201", "20231130"))
    assert whole == bundle(asking, "member_registration")
    assert before.digest != whole.digest
    assert bundle(catalogue, "member_registration", "19000101") == bundle(
        catalogue, "member_registration"
    )


def test_a_check_of_every_record_has_its_days_too(catalogue: Catalogue) -> None:
    form = catalogue.formats["member_registration"]
    last = form.checks[0].model_copy(update={"valid_to": "20260930"})
    changed = form.model_copy(update={"checks": (last, *form.checks[1:])})
    dated = catalogue.model_copy(update={"formats": {form.name: changed}})
    basic = form.section("basic")
    for day, held in (("20260930", True), ("20261001", False)):
        codes = [check.code for check in bundle(dated, form.name, day).form.checks_of(basic)]
        assert ("R215" in codes) == held
        assert codes[-1] == "R226"  # the record's own come last


@pytest.mark.parametrize(
    ("start", "end", "day", "holds"),
    [
        (None, None, "20231201", True),
        ("20231201", None, "20231130", False),
        ("20231201", None, "20231201", True),
        (None, "20231201", "20231201", True),
        (None, "20231201", "20231202", False),
        ("20231201", "20231201", "20231201", True),
    ],
)
def test_both_days_belong_to_the_policy(
    start: str | None, end: str | None, day: str, holds: bool
) -> None:
    check = POLICY.model_copy(update={"valid_from": start, "valid_to": end})
    assert check.valid_on(day) == holds


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"sets": ()}, "definitions.sets"),
        ({"use": "exactly_one"}, "definitions.sets"),
        ({"sets": (("name",), ())}, "definitions.empty_set"),
        ({"valid_to": "20231130"}, "definitions.valid_order"),
        ({"valid_from": "2023-12"}, "String should match pattern"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_told(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Check.model_validate({**POLICY.model_dump(), **values})


def test_the_document_tells_sets_and_days(asking: Catalogue) -> None:
    rows = [line for line in document(asking).splitlines() if "`search_items`" in line]
    (told,) = [line for line in rows if asking.reasons["R201"].title in line]
    first, second = told.split("<br>または or ")
    assert [name in first for name in ("`name` + ", "`birth_date`")] == [True, True]
    assert [name in second for name in ("`address` + ", "`post_number` + ", "`sex_2`")] == [
        True
    ] * 3
    assert told.endswith("|  | 20231201–20301231 |")
    title = asking.reasons["R215"].title
    (when,) = {line for line in document(asking).splitlines() if f"R215 {title} |" in line}
    assert "`empty_when`" in when
    assert "`member_id` | " in when
    assert "`process_type_code` = 1 |  |" in when

"""What is declared valid is one thing said three ways, and a fourth time in plain Python."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import date

import numpy as np
import pandera.polars as pa
import polars as pl
import pytest
import slow_rules
from field_values import GOOD, WRONG, WRONG_DIGITS
from plain_files import samples
from polars.testing import assert_frame_equal

from koukan.formats import Catalogue, Record, bundle
from koukan.formats.model import Check, Field, Format
from koukan.rules.checks import (
    CAN_BREAK,
    CHECKS,
    CROSS_CHECKS,
    FINDINGS,
    PRIVATE,
    as_date,
    breakable,
    can_break,
    failing,
    rules_of,
    unknown_checks,
)
from koukan.rules.fitting import SPAN, span_columns
from koukan.rules.line_keys import KEYS, key_columns
from koukan.rules.schema import schema_of, validate_with_pandera
from koukan.rules.validate import BAD, KEPT, PROVEN, RARE, Validator, validators

REGISTRATION = "member_registration"
SECTIONS = [  # every record type that comes in
    *((REGISTRATION, name) for name in ("basic", "qualification", "certificate")),
    *((REGISTRATION, name) for name in ("information_control", "medical_ticket")),
    *((REGISTRATION, f"{name}_certificate") for name in ("elderly", "limit", "specific_disease")),
    *(("my_number_query", "question"), ("basic_four_query", "question")),
    *(("juki_net_answer", "answer"), ("package_receipt", "receipt")),
    *(("linkage_code_query", "wanted_code"), ("linkage_code_answer", "code_answer")),
    *(("copy_registration", "copy"), ("copy_query", "wanted_copy")),
]
WORDLESS = ("basic_four_query", "package_receipt", "information_control", "elderly_certificate")
WORDLESS += (
    "limit_certificate",
    "specific_disease_certificate",
    "linkage_code_query",
    "copy_query",
)
WORDED = [case for case in SECTIONS if not set(case) & set(WORDLESS)]
Row = dict[str, str | None]


def value_of(draws: random.Random, item: Field, codes: Catalogue) -> str | None:
    """Absent, good in another way, or wrong."""
    turn = draws.randrange(4)
    if turn == 0:
        return None
    kind = "digits" if item.type == "datetime" else item.type
    if turn == 1:
        return draws.choice([value for value in WRONG[kind] if value])
    if item.codes:
        return draws.choice(sorted(codes.codes[item.codes].values))
    if item.type == "date":
        return draws.choice(["20260331", "20260401", "20260402", "20991231"])
    own = GOOD.get(item.name, []) + WRONG_DIGITS.get(item.name, [])
    return draws.choice(own) if own else item.sample or None


def generated(
    form: Format, record: Record, catalogue: Catalogue, count: int, draws: random.Random
) -> list[Row]:
    rows: list[Row] = []
    for _ in range(count):
        row: Row = {name: value or None for name, value in samples(form, record.section).items()}
        if "process_type_code" in row:
            row["process_type_code"] = draws.choice("12345678")
            if row["process_type_code"] not in "12":
                row["member_id"] = "1234567890"
            if row["process_type_code"] == "8":
                row["new_my_number"] = "621498320257"
            if row["process_type_code"] == "7" and "member_class_code" in row:
                row["member_class_code"] = draws.choice("23")
            if row["process_type_code"] == "4" and "loss_reason" in row:
                row |= {"disqualification_date": "20260501", "loss_reason": "01"}
        for item in draws.sample(form.fields(record), draws.choice([0, 0, 1, 1, 2, 4])):
            row[item.name] = value_of(draws, item, catalogue)
        rows.append(row)
    return rows


def frame_of(form: Format, record: Record, rows: list[Row]) -> pl.DataFrame:
    schema = {item.name: pl.String for item in form.fields(record)}
    return pl.DataFrame(rows, schema=schema)


def wanted(form: Format, record: Record, rows: list[Row], catalogue: Catalogue) -> pl.DataFrame:
    found = [
        (place, field, code)
        for place, row in enumerate(rows)
        for field, code in slow_rules.findings(form, record, row, catalogue)
    ]
    return pl.DataFrame(found, schema=FINDINGS, orient="row").sort("row", "field", "code")


@pytest.fixture(scope="module")
def form(catalogue: Catalogue) -> Format:
    return catalogue.formats["member_registration"]


def validator(catalogue: Catalogue, section: str, name: str = REGISTRATION) -> Validator:
    return validators(bundle(catalogue, name))[section]


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_expression_details_schema_and_plain_python_agree(
    catalogue: Catalogue, name: str, section: str, long: bool
) -> None:
    form, check = catalogue.formats[name], validator(catalogue, section, name)
    record = form.section(section)
    declared = schema_of(form, record, rules_of(form, record, catalogue.codes))
    draws = random.Random(section)
    seen: Counter[str] = Counter()
    for _ in range(60 if long else 4):
        rows = generated(form, record, catalogue, 700, draws)
        frame = frame_of(form, record, rows)
        expected = wanted(form, record, rows, catalogue)
        assert_frame_equal(check.details(frame), expected)
        assert_frame_equal(validate_with_pandera(declared, frame), expected)
        assert_frame_equal(check.details_with_pandera(frame), expected)
        few = expected.filter(pl.col("row") < 3)  # of most rules nobody breaks any then
        assert_frame_equal(check.details_with_pandera(frame[:3]), few)
        bad = check.check(frame, suspicious=None).columns[BAD]
        assert bad.dtype == pl.Boolean and bad.null_count() == 0
        assert bad.arg_true().to_list() == expected["row"].unique(maintain_order=True).to_list()
        seen.update(expected["code"])
    own = {rule.code for rule in rules_of(form, record, catalogue.codes)}
    assert set(seen) == own  # each code that the section has was reached


def test_every_line_code_of_form_and_content_is_reachable(catalogue: Catalogue) -> None:
    reachable = {
        rule.code
        for name, section in SECTIONS
        for form in [catalogue.formats[name]]
        for rule in rules_of(form, form.section(section), catalogue.codes)
    }
    assert reachable == {
        code for code in catalogue.reasons if code[:2] in ("R1", "R2") and code != "R222"
    }  # which looks at the insurer


@pytest.mark.parametrize(("name", "section"), WORDED)
def test_what_the_decoder_knows_to_be_suspicious_gives_the_same_verdict(
    catalogue: Catalogue, name: str, section: str
) -> None:
    form, check = catalogue.formats[name], validator(catalogue, section, name)
    record = form.section(section)
    draws = random.Random(section * 2)
    rows = generated(form, record, catalogue, 1_500, draws)
    # Of what the rules forbid the gate and CP932 let only these through.
    beyond = "\x01\x7f\u200b\u200e\u2028\uf8ff\U000f0000"
    rows = [row for row in rows if not set("".join(v or "" for v in row.values())) & set(beyond)]
    frame = frame_of(form, record, rows)
    marks = [
        place
        for place, row in enumerate(rows)
        if any(
            one in "〓\ufffd" or "\ue000" <= one <= "\uefff"
            for v in row.values()
            for one in v or ""
        )
    ]
    assert marks
    known, settled = check.check(frame, suspicious=np.array(marks, np.int64))
    assert_frame_equal(known, check.check(frame, suspicious=None).columns)
    every = check.details(frame)
    assert every["code"].is_in(["R106", "R108"]).any()
    assert_frame_equal(check.details(frame, settled=settled), every)
    bad = known[BAD].arg_true().cast(pl.Int64).to_numpy()
    assert_frame_equal(check.details(frame, rows=bad, settled=settled), every)
    some = check.details(frame, rows=bad[::3], settled=settled)
    assert_frame_equal(some, every.filter(pl.col("row").is_in(bad[::3].tolist())))
    clean = frame.filter(~pl.int_range(pl.len()).is_in(marks))
    nothing = np.zeros(0, np.int64)
    unmarked = check.check(clean, suspicious=nothing)
    assert_frame_equal(unmarked.columns, check.check(clean, suspicious=None).columns)
    assert_frame_equal(check.details(clean, settled=unmarked.settled), check.details(clean))


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_why_lines_failed_is_known_when_they_were_checked(
    catalogue: Catalogue, name: str, section: str, long: bool
) -> None:
    form, check = catalogue.formats[name], validator(catalogue, section, name)
    record = form.section(section)
    good: Row = {name: value or None for name, value in samples(form, section).items()}
    draws = random.Random(section * 3)
    found = 0
    for few in (0, *[draws.choice((1, 3, 40)) for _ in range(60 if long else 8)]):
        rows = [good] * 400 + generated(form, record, catalogue, few, draws)
        frame = frame_of(form, record, rows)
        columns, settled = check.check(frame, suspicious=None)
        assert all(len(rows) for rows in settled.failing.values())
        assert few or not settled.failing
        assert_frame_equal(check.details(frame, settled=settled), check.details(frame))
        bad = columns[BAD].arg_true().to_list()
        assert bad == sorted({row for rows in settled.failing.values() for row in rows.tolist()})
        found += len(bad)
    assert found


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_fields_without_any_value_are_left_out_and_nothing_else_changes(
    catalogue: Catalogue, name: str, section: str
) -> None:
    form, check = catalogue.formats[name], validator(catalogue, section, name)
    record = form.section(section)
    good: Row = {name: value or None for name, value in samples(form, section).items()}
    frame = frame_of(form, record, [good] * 3)
    checked = check.check(frame, suspicious=None).columns
    assert not checked[BAD].any()
    held = {name for name, value in good.items() if value is not None}
    own = [item.name for item in record.own if item.name in held]
    kept = [item for item in KEPT if item in held]
    assert checked.columns == [*kept, *own, BAD]
    empty: Row = dict.fromkeys(good)
    bad = check.check(frame_of(form, record, [empty] * 2), suspicious=None).columns
    assert bad[BAD].all()  # what is required fails, whether the column is empty or not
    for rule in rules_of(form, record, catalogue.codes):
        if rule.code == "R101":
            one = frame_of(form, record, [{**good, rule.field: None}])
            assert check.check(one, suspicious=None).columns[BAD].all(), rule.field


@pytest.mark.parametrize(("name", "section"), SECTIONS)
@pytest.mark.parametrize("rows", [1, 20, 900])
def test_codes_as_places_in_their_list_are_the_same_codes(
    catalogue: Catalogue, name: str, section: str, rows: int
) -> None:
    form, check = catalogue.formats[name], validator(catalogue, section, name)
    record = form.section(section)
    good: Row = {name: value or None for name, value in samples(form, section).items()}
    # Some columns are looked at quickly, some are rarely given, and some are wrong too often.
    found = [*generated(form, record, catalogue, rows, random.Random(rows)), *[good] * rows]
    frame = frame_of(form, record, found)
    plain = check.check(frame, suspicious=None).columns
    coded = check.check(frame, suspicious=None, coded=True).columns
    assert coded.columns == plain.columns
    lists = {item.name: catalogue.codes[item.codes] for item in form.fields(record) if item.codes}
    for column in coded:
        if not isinstance(column.dtype, pl.Enum):
            assert column.equals(plain[column.name])
            continue
        values = lists.pop(column.name).values
        listed = plain[column.name].is_in(list(values))
        assert column.dtype == pl.Enum(list(values))
        assert column.cast(pl.String).filter(listed).equals(plain[column.name].filter(listed))
        assert not column.filter(~listed).is_not_null().any()
    brief = {name for name, one in lists.items() if max(map(len, one.values)) <= 2}
    assert not brief & set(coded.columns)


def test_lines_of_which_nothing_is_left_to_look_at_are_judged_one_by_one(
    catalogue: Catalogue,
) -> None:
    """All fields are proven by the gate, or optional and empty."""
    form, check = catalogue.formats["copy_query"], validator(catalogue, "wanted_copy", "copy_query")
    good: Row = {name: value or None for name, value in samples(form, "wanted_copy").items()}
    rows = [{**good, "member_id": None} for _ in range(3)]
    frame = frame_of(form, form.section("wanted_copy"), rows)
    checked = check.check(frame, suspicious=np.zeros(0, np.int64), proven=PROVEN).columns
    assert checked[BAD].to_list() == [False] * 3


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_what_the_gate_has_proven_needs_no_second_look(
    catalogue: Catalogue, name: str, section: str
) -> None:
    form, check = catalogue.formats[name], validator(catalogue, section, name)
    record = form.section(section)
    good = samples(form, section)
    rows: list[Row] = [
        {**row, **{item: good[item] for item in PROVEN if item in good}}
        for row in generated(form, record, catalogue, 800, random.Random(section * 3))
    ]
    frame = frame_of(form, record, rows)
    whole = check.check(frame, suspicious=None).columns
    assert_frame_equal(check.check(frame, suspicious=None, proven=PROVEN).columns, whole)
    assert 0 < whole[BAD].sum() < len(rows)
    leading = {item.name for item in form.leading}
    # The gate does not look at the value of 処理種別コード.
    assert set(PROVEN) & set(good) == leading - {"process_type_code"}


def test_columns_are_stored_as_days_where_they_are_days(catalogue: Catalogue, form: Format) -> None:
    qualification = validator(catalogue, "qualification")
    rows: list[Row] = [
        {
            **{n: v or None for n, v in samples(form, "qualification").items()},
            "qualification_date": day,
        }
        for day in ("20260401", "20260231", None)
    ]
    frame = frame_of(form, form.section("qualification"), rows)
    checked = qualification.check(frame, suspicious=None).columns
    assert checked["qualification_date"].to_list() == [date(2026, 4, 1), None, None]
    assert checked[BAD].to_list() == [False, True, True]
    basic = validator(catalogue, "basic")
    unknown: Row = {
        **{n: v or None for n, v in samples(form, "basic").items()},
        "birth_date": "19800000",
    }
    checked = basic.check(frame_of(form, form.section("basic"), [unknown]), suspicious=None).columns
    assert checked["birth_date"].to_list() == ["19800000"]  # kept as given
    assert not checked[BAD].any()


# --- pandera


@pytest.fixture
def schema(catalogue: Catalogue, form: Format) -> pa.DataFrameSchema:
    record = form.section("basic")
    return schema_of(form, record, rules_of(form, record, catalogue.codes))


@pytest.fixture
def bad_frame(form: Format) -> pl.DataFrame:
    row: Row = {name: value or None for name, value in samples(form, "basic").items()}
    return frame_of(form, form.section("basic"), [{**row, "my_number": "123456789012"}, row])


def test_rows_with_a_character_that_cannot_be_read_are_told(
    catalogue: Catalogue, form: Format
) -> None:
    record = form.section("basic")
    names = [item.name for item in form.fields(record)]
    row = dict.fromkeys(names, "1") | {"name": "漢字"}
    rows = pl.DataFrame([row, row | {"name": "漢\ufffd"}], dict.fromkeys(names, pl.String))
    assert validator(catalogue, "basic").undecodable(rows).to_list() == [False, True]


def test_pandera_sees_data_frames_only(schema: pa.DataFrameSchema, bad_frame: pl.DataFrame) -> None:
    assert validate_with_pandera(schema, bad_frame).rows() == [(0, "my_number", "R201")]
    schema.validate(bad_frame.lazy(), lazy=True).collect()  # the trap: no complaint
    with pytest.raises(AttributeError):
        validate_with_pandera(schema, bad_frame.lazy())  # type: ignore[arg-type]


def test_a_good_frame_has_no_findings(schema: pa.DataFrameSchema, bad_frame: pl.DataFrame) -> None:
    assert_frame_equal(validate_with_pandera(schema, bad_frame[1:]), FINDINGS.to_frame())
    assert_frame_equal(validate_with_pandera(schema, bad_frame[:0]), FINDINGS.to_frame())


@pytest.mark.parametrize("spoil", ["missing", "further", "order", "type"])
def test_a_frame_of_other_columns_is_a_bug_and_its_message_holds_no_value(
    schema: pa.DataFrameSchema, bad_frame: pl.DataFrame, spoil: str
) -> None:
    frame = {
        "missing": bad_frame.drop("address"),
        "further": bad_frame.with_columns(other=pl.lit("秘密")),
        "order": bad_frame.select(reversed(bad_frame.columns)),
        "type": bad_frame.with_columns(pl.col("post_number").cast(pl.Int64)),
    }[spoil]
    with pytest.raises(ValueError, match=r"^the schema itself does not fit the frame$") as found:
        validate_with_pandera(schema, frame)
    assert "架空" not in "".join(map(str, found.value.args))


# --- rules by themselves


def test_no_rule_is_ever_undecided(catalogue: Catalogue, form: Format) -> None:
    for record in form.records:
        empty: Row = {item.name: None for item in form.fields(record)}
        odd: Row = {item.name: "？" for item in form.fields(record)}
        frame = frame_of(form, record, [empty, odd])
        for rule in rules_of(form, record, catalogue.codes):
            assert frame.select(rule.fails).to_series().null_count() == 0, rule
        for clean in (True, False):
            tests = failing(
                *(form, record, catalogue.codes),
                fields={item.name for item in form.fields(record)},
                checks=range(len(form.checks_of(record))),
                clean=clean,
            )
            found = frame.select(**tests)
            assert not any(column.null_count() for column in found)
            assert found.select(pl.any_horizontal(pl.all())).to_series().to_list() == [True, True]


def test_an_absent_value_passes_every_rule_but_the_one_that_requires_it(
    catalogue: Catalogue, form: Format
) -> None:
    for record in form.records:
        good: Row = {name: value or None for name, value in samples(form, record.section).items()}
        for item in form.fields(record):
            codes = {
                code
                for field, code in slow_rules.findings(
                    form, record, {**good, item.name: None}, catalogue
                )
                if field == item.name
            }
            frame = frame_of(form, record, [{**good, item.name: None}])
            found = validator(catalogue, record.section).details(frame)
            assert set(found.filter(pl.col("field") == item.name)["code"]) == codes
            allowed = {"R101"} if item.required else set()
            across = {"R213", "R214", "R216", "R218", "R219", "R223"}
            assert codes - across == allowed


def test_an_undecidable_check_fails() -> None:
    frame = pl.DataFrame({"number": ["12345678901X", None, "123456789018"]})
    passes = CHECKS["my_number_check_digit"][1](pl.col("number"))
    assert frame.select(passes).to_series().to_list() == [None, None, True]


@pytest.mark.parametrize("name", ["member_registration", "member_registration_fixed"])
def test_every_check_that_a_format_names_was_written(catalogue: Catalogue, name: str) -> None:
    assert unknown_checks(catalogue.formats[name]) == []


def test_checks_that_nobody_wrote_are_named(form: Format) -> None:
    basic = form.section("basic")
    name = basic.own[0].model_copy(update={"checks": ("astrology",)})
    other = Check(use="parity", fields=("name",), code="R101")
    changed = basic.model_copy(update={"own": (name, *basic.own[1:]), "checks": (other,)})
    values = {**form.model_dump(), "records": [changed.model_dump()]}
    assert unknown_checks(Format.model_validate(values)) == ["astrology", "parity"]


def test_a_check_without_a_condition_always_applies() -> None:
    frame = pl.DataFrame({"a": ["1", None]})
    check = Check(use="empty_when", fields=("a",), code="R215")
    found = frame.select(
        empty=CROSS_CHECKS["empty_when"](check), present=CROSS_CHECKS["present_when"](check)
    )
    assert found.rows() == [(True, False), (False, True)]


def test_every_written_check_is_used_by_a_format(catalogue: Catalogue) -> None:
    fields = [item for form in catalogue.formats.values() for item in form.all_fields]
    assert {name for item in fields for name in item.checks} == set(CHECKS)
    checks = [
        check
        for form in catalogue.formats.values()
        for record in form.records
        for check in form.checks_of(record)
    ]
    assert {check.use for check in checks} == set(CROSS_CHECKS)


def test_private_characters_are_those_that_unicode_calls_private() -> None:
    codes = [
        0xDFFF + 1,
        0xF8FF,
        0xF0000,
        0xFFFFD,
        0x100000,
        0x10FFFD,
        0xFFFD,
        0xF900,
        0x9FFF,
        0x20BB7,
    ]
    column = pl.Series([chr(code) for code in codes])
    assert column.str.contains(PRIVATE).to_list() == [
        slow_rules.private(chr(code)) for code in codes
    ]


# --- what a frame cannot break


FEW: list[str | None] = [None, "1", "2"]


@pytest.mark.parametrize("use", sorted(CAN_BREAK))
def test_a_check_is_left_out_of_no_frame_that_breaks_it(use: str) -> None:
    left_out = 0
    for names in (("a", "b"), ("a", "b", "c")):
        if use in ("earlier", "not_later", "different", "both_or_none") and len(names) > 2:
            continue  # they look at two
        check = Check(use=use, fields=names, code="R101")
        rows = list(itertools.product(FEW, repeat=len(names)))
        frame = pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row")
        fails = frame.select(CROSS_CHECKS[use](check).alias("x"))["x"].to_list()
        for pair in itertools.product(range(len(rows)), repeat=2):
            values = dict(
                zip(names, zip(*(rows[place] for place in pair), strict=True), strict=True)
            )
            empty = {name for name in names if set(values[name]) == {None}}
            full = {name for name in names if None not in values[name]}
            possible = can_break(check, empty, full)
            assert possible or not any(fails[place] for place in pair)
            left_out += not possible
    assert left_out


def test_a_check_on_a_column_without_any_value_is_left_out() -> None:
    check = Check(use="never_when", fields=("a",), when={"a": ("1",), "b": ("2",)}, code="R226")
    assert can_break(check, set(), {"a", "b"})
    assert not can_break(check, {"b"}, {"a"})


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_small_frames_whose_columns_are_empty_or_full_are_judged_the_same(
    catalogue: Catalogue, name: str, section: str
) -> None:
    form, check = catalogue.formats[name], validator(catalogue, section, name)
    record = form.section(section)
    draws = random.Random(section * 4)
    broken = 0
    drawn = generated(form, record, catalogue, 60, draws)
    for rows in zip(drawn[::2], drawn[1::2], strict=True):
        found = check.check(frame_of(form, record, list(rows)), suspicious=None).columns[BAD]
        said = [bool(slow_rules.findings(form, record, row, catalogue)) for row in rows]
        assert found.to_list() == said
        broken += sum(said)
    assert 5 < broken < 55


def test_of_new_persons_with_numbers_few_checks_are_left(form: Format) -> None:
    """What costs a file of millions: nothing that its empty columns cannot break."""
    basic = form.section("basic")
    empty = {"member_id", "new_my_number", "new_member_id", "new_insurer_code"}
    full = {"process_type_code", "my_number", "member_class_code"}
    checks = form.checks_of(basic)
    left = [checks[place].code for place in sorted(breakable(form, basic, empty, full))]
    assert left == ["R216", "R224", "R226"]


@pytest.mark.parametrize("section", ["basic", "qualification", "certificate"])
def test_numbers_of_checked_rows_are_those_of_their_strings(
    form: Format, catalogue: Catalogue, section: str
) -> None:
    record = form.section(section)
    rows = generated(form, record, catalogue, 200, random.Random(section))
    frame = frame_of(form, record, rows)
    own = validator(catalogue, section)
    for _ in range(2):  # the second time with expressions that are there
        checked = own.check(frame, suspicious=None).columns
        found = own.numbers(frame, checked)
        keys = frame.with_columns(checked[BAD]).select(key_columns(form, record, BAD))
        spans = checked.select(span_columns(record, checked.columns))
        assert_frame_equal(found, keys.hstack(spans))
        assert found.schema == {**KEYS, **SPAN}


@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_what_few_rows_have_is_judged_like_what_all_have(
    catalogue: Catalogue, name: str, section: str
) -> None:
    form = catalogue.formats[name]
    record = form.section(section)
    draws = random.Random(section)
    clean = {name: value or None for name, value in samples(form, section).items()}
    optional = {item.name: None for item in form.fields(record) if not item.required}
    few = generated(form, record, catalogue, 6, draws)
    frame = frame_of(form, record, [clean | optional] * 4 * RARE + few)[:: draws.choice((1, -1))]
    check = validator(catalogue, section, name)
    checked = check.check(frame, suspicious=None).columns
    assert checked[BAD].arg_true().to_list() == sorted(set(check.details(frame)["row"]))
    dates = [name for name, dtype in checked.schema.items() if dtype == pl.Date]
    assert_frame_equal(checked.select(dates), frame.select(map(as_date, dates)))

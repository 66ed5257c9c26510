"""Outbound bytes: what was put in comes out by the definition, and nothing shifts a field."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.codecs import render
from koukan.codecs.records import joined
from koukan.formats import Catalogue, Format

WORDS = st.text(st.sampled_from("アイ漢字髙①AZaz09・。ソ表"), max_size=20)


@pytest.fixture(scope="module")
def form(catalogue: Catalogue) -> Format:
    return catalogue.formats["registration_result"]


def lines(content: bytes, form: Format) -> list[list[str]]:
    text = content.decode(form.file.encoding)
    assert text.endswith("\r\n")
    return [line.split(",") for line in text.split("\r\n")[:-1]]


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "line_number": st.integers(1, 10**9).map(str),
                "record_number": st.integers(0, 10**10 - 1).map(lambda number: f"{number:010d}"),
                "processing_result_class": st.sampled_from("123"),
                "member_id": st.one_of(st.none(), st.just("0123456789")),
                "processing_result_text": st.one_of(st.none(), WORDS),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_records_come_out_as_they_went_in(rows: list[dict[str, str | None]], form: Format) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    content = render.records(form, "line_result", frame)
    names = [item.name for item in form.fields(form.section("line_result"))]
    found = [dict(zip(names, line, strict=True)) for line in lines(content, form)]
    for given_row, row in zip(rows, found, strict=True):
        assert row["record_type_code"] == "21"
        for name in names[1:]:
            assert row[name] == (given_row.get(name) or "")


def test_what_a_sender_gave_goes_back_whatever_its_length(catalogue: Catalogue) -> None:
    form = catalogue.formats["member_registration"]
    names = [item.name for item in form.fields(form.section("basic"))]
    given_row = {name: f"{'長' * 300}{name}" for name in names} | {"address": None}
    content = render.as_given(
        form, "basic", pl.DataFrame([given_row], dict.fromkeys(names, pl.String))
    )
    assert lines(content, form) == [[given_row[name] or "" for name in names]]


def test_records_of_one_kind_only_carry_no_type(catalogue: Catalogue) -> None:
    form = catalogue.formats["pmh_answer"]
    names = [item.name for item in form.fields(form.section("answer"))]
    frame = pl.DataFrame([dict.fromkeys(names, "1")])
    assert "record_type_code" not in names
    assert lines(render.records(form, "answer", frame), form) == [["1"] * len(names)]


def test_no_rows_are_no_bytes(form: Format) -> None:
    frame = pl.DataFrame(schema={"line_number": pl.String})
    assert render.records(form, "line_result", frame) == b""


def test_control_and_end_carry_their_types(form: Format) -> None:
    control = render.control(
        form,
        {
            "reception_number": "0000000007",
            "received_file_name": "MR_kenpo-a_000001.csv",
            "received_at": "20260401013000",
        },
    )
    assert control == b"00,0000000007,MR_kenpo-a_000001.csv,20260401013000\r\n"
    assert render.end(form, {"record_count": "00000012"}) == b"99,00000012\r\n"


def test_the_microsoft_choice_goes_out(form: Format) -> None:
    frame = pl.DataFrame(
        {
            "line_number": ["2"],
            "record_number": ["0000000001"],
            "processing_result_class": ["2"],
            "processing_result_text": ["髙"],
        }
    )
    content = render.records(form, "line_result", frame)
    assert b"\xfb\xfc" in content
    assert b"\xee\xe0" not in content


@pytest.mark.parametrize(
    "wrong",
    [
        {"line_number": None},  # required
        {"line_number": "12345678901"},  # longer than its field
        {"field_label": "長" * 41},
        {"processing_result_text": "左,右"},
        {"processing_result_text": '左"右'},
        {"processing_result_text": "左\r右"},
        {"action_text": "左\n右"},
        {"processing_result_code": "R,01"},
        {"processing_result_code": 'R"01'},
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_our_own_bug(
    wrong: dict[str, str | None], form: Format
) -> None:
    good: dict[str, str | None] = {
        "line_number": "2",
        "record_number": "0000000001",
        "processing_result_class": "2",
        "field_label": "長" * 40,
        "processing_result_text": "文" * 300,
    }
    schema = dict.fromkeys([*good, *wrong], pl.String)
    render.records(form, "line_result", pl.DataFrame([good], schema=schema))
    (name,) = wrong
    spoilt = pl.DataFrame([good, {**good, **wrong}], schema=schema)
    with pytest.raises(ValueError, match=rf"^registration_result\.{name}: a value does not fit"):
        render.records(form, "line_result", spoilt)


PHRASES = ("processing_result_code", "field_label", "processing_result_text", "action_text")


def test_records_that_end_in_a_phrase_are_those_with_its_words(form: Format) -> None:
    words = [
        ("R102", "氏名", "長すぎます。", "短くしてください。"),
        (None, None, None, None),
        ("R101", "ソ表", "①", "髙"),
    ]
    phrases = pl.DataFrame(words, dict.fromkeys(PHRASES, pl.String), orient="row")
    chosen = np.array([2, 0, 0, 1, 2], np.int64)
    numbers = np.array([2, 3, 9, 10, 12_345])
    columns = {
        "line_number": numbers,
        "record_number": numbers,
        "processing_result_class": np.full(5, 2),
    }
    records = render.phrased(form, "line_result", columns, phrases, chosen)
    whole = pl.concat([as_texts(columns), phrases[chosen]], how="horizontal")
    assert joined(records) == render.records(form, "line_result", whole)
    assert len(records) == 5
    nothing = {name: values[:0] for name, values in columns.items()}
    assert not len(render.phrased(form, "line_result", nothing, phrases, chosen[:0]))


@pytest.mark.parametrize("name", ["record_number", "action_text"])
def test_a_phrase_or_what_stands_before_it_fits_and_shifts_no_field(
    form: Format, name: str
) -> None:
    columns = {
        "line_number": np.array([2]),
        "record_number": np.array([10**10 if name == "record_number" else 1]),
        "processing_result_class": np.array([2]),
    }
    phrases = pl.DataFrame(dict.fromkeys(PHRASES), dict.fromkeys(PHRASES, pl.String))
    if name == "action_text":
        phrases = phrases.with_columns(action_text=pl.lit("00,0000000"))
    with pytest.raises(ValueError, match=rf"^registration_result\.{name}: a value does not fit"):
        render.phrased(form, "line_result", columns, phrases, np.zeros(1, np.int64))


def test_a_control_record_that_does_not_fit_is_refused_too(form: Format) -> None:
    values = {
        "reception_number": "0000000007",
        "received_file_name": "n" * 101,
        "received_at": "20260401013000",
    }
    with pytest.raises(ValueError, match="received_file_name"):
        render.control(form, values)
    with pytest.raises(ValueError, match="reception_number"):
        render.control(form, {})


# --- fixed width


@pytest.fixture(scope="module")
def fixed(catalogue: Catalogue) -> Format:
    return catalogue.formats["juki_net_request"]


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "resident_name": st.one_of(st.none(), WORDS),
                "address": st.one_of(st.none(), st.text(st.sampled_from("ｱﾞ架 a１"), max_size=30)),
                "sex": st.one_of(st.none(), st.sampled_from("123")),
            }
        ),
        min_size=1,
        max_size=8,
    )
)
def test_fixed_width_fills_every_slot_by_bytes(
    rows: list[dict[str, str | None]], fixed: Format
) -> None:
    given_rows = [
        {
            "record_number": f"{number:010d}",
            "request_record_number": f"{number:016d}",
            "main_search_condition": "2",
            **row,
        }
        for number, row in enumerate(rows, 1)
    ]
    frame = pl.DataFrame(given_rows, schema=dict.fromkeys(given_rows[0], pl.String))
    content = render.records(fixed, "request", frame)
    fields = fixed.fields(fixed.section("request"))
    width = sum(item.slot for item in fields) + 2
    assert len(content) == width * len(rows)
    for number, row in enumerate(given_rows):
        line = content[number * width : (number + 1) * width]
        assert line.endswith(b"\r\n")
        place = 0
        for item in fields:
            value = line[place : place + item.slot].decode("cp932").rstrip(" ")
            place += item.slot
            expected = row.get(item.name) or item.value
            if item.name == "record_type_code":
                expected = "41"
            assert value == (expected or "").rstrip(" ")


def test_fixed_control_and_end_have_the_definitions_own_values(fixed: Format) -> None:
    values = {
        "file_sequence": "000003",
        "creation_date": "20260401",
        "query_mode": "2",
        "query_type": "1",
    }
    content = render.control(fixed, values)
    assert content == b"0000000000" + b"00" + b"JQ202604" + b"koukan".ljust(32) + (
        b"000003" + b"20260401" + b"2" + b"1\r\n"
    )
    with pytest.raises(ValueError, match="query_type"):
        render.control(fixed, {**values, "query_type": "12"})
    with pytest.raises(ValueError, match="query_mode"):
        render.control(
            fixed, {name: value for name, value in values.items() if name != "query_mode"}
        )


def test_what_takes_more_bytes_than_its_slot_does_not_fit(fixed: Format) -> None:
    values = {
        "file_sequence": "00000３",  # as long as its field in characters, but not in bytes
        "creation_date": "20260401",
        "query_mode": "2",
        "query_type": "1",
    }
    with pytest.raises(ValueError, match="file_sequence"):
        render.control(fixed, values)


# --- numbers without strings


def as_texts(columns: dict[str, np.ndarray]) -> pl.DataFrame:
    """What `records` takes: every field but the line number filled with zeros."""
    widths = {"line_number": 1, "record_number": 10, "processing_result_class": 1, "member_id": 10}
    return pl.DataFrame(
        {
            name: [f"{value:0{widths[name]}d}" for value in values.tolist()]
            for name, values in columns.items()
        },
        schema=dict.fromkeys(columns, pl.String),
    )


@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.integers(1, 120), st.integers(1, 10**10 - 1)),
            st.integers(0, 10**10 - 1),
            st.integers(0, 9),
            st.integers(0, 10**10 - 1),
        ),
        max_size=30,
    ),
    members=st.booleans(),
)
def test_numbers_are_the_same_bytes_as_texts(
    rows: list[tuple[int, ...]], members: bool, form: Format
) -> None:
    names = ["line_number", "record_number", "processing_result_class", "member_id"]
    table = np.array(rows, np.int64).reshape(-1, 4)
    columns = dict(zip(names, table.T, strict=True))
    columns["processing_result_class"] = columns["processing_result_class"].astype(np.int8)
    if not members:
        del columns["member_id"]
    wanted = render.records(form, "line_result", as_texts(columns))
    assert joined(render.numbers(form, "line_result", columns)) == wanted


def test_a_field_of_several_lengths_has_at_least_its_shortest(form: Format) -> None:
    record = form.section("line_result")
    own = tuple(
        item.model_copy(update={"min_length": 3}) if item.name == "line_number" else item
        for item in record.own
    )
    records = (record.model_copy(update={"own": own}),)
    other = form.model_copy(update={"records": records})
    columns = {
        "line_number": np.array([7, 1234]),
        "record_number": np.array([1, 1]),
        "processing_result_class": np.array([1, 1]),
    }
    found = lines(bytes(joined(render.numbers(other, "line_result", columns))), form)
    assert [line[1] for line in found] == ["007", "1234"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("record_number", -1),
        ("record_number", 10**10),
        ("processing_result_class", 10),
        ("line_number", 10**10),
        ("line_number", None),  # required
    ],
)
def test_a_number_that_does_not_fit_is_our_own_bug(
    name: str, value: int | None, form: Format
) -> None:
    columns = {
        "line_number": np.array([2, 3]),
        "record_number": np.array([1, 1]),
        "processing_result_class": np.array([1, 1]),
    }
    render.numbers(form, "line_result", columns)
    if value is None:
        del columns[name]
    else:
        columns[name] = np.array([1, value])
    with pytest.raises(ValueError, match=rf"^registration_result\.{name}: a value does not fit"):
        render.numbers(form, "line_result", columns)


def rendered(*lines: bytes) -> pa.LargeBinaryArray:
    return pa.array([line + b"\r\n" for line in lines], pa.large_binary())


def test_parts_are_merged_by_number_and_keep_their_order() -> None:
    parts = [
        (np.array([1, 4, 6]), rendered(b"one", b"four", b"six")),
        (np.array([2, 2, 3, 4]), rendered(b"two", b"2", b"", b"4")),
    ]
    whole = b"one\r\ntwo\r\n2\r\n\r\nfour\r\n4\r\nsix\r\n"
    assert joined(render.merged(parts)) == whole
    nothing = (np.zeros(0, np.int64), rendered())
    assert joined(render.merged([nothing, *parts])) == whole
    assert joined(render.merged(parts[:1])) == b"one\r\nfour\r\nsix\r\n"
    assert not len(render.merged([nothing, nothing]))

"""Decoding: what Python's csv reader (or a slice of bytes) says, each row at its place."""

from __future__ import annotations

import csv
import io
import random
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_files import line_of, persons, samples, shipped_format, small_format, together

from koukan.codecs import records
from koukan.codecs.gate import Gate
from koukan.codecs.records import Decoded, decode_piece, line_offsets, suspicious_rows
from koukan.codecs.text import decode_cp932
from koukan.errors import IntegrityError
from koukan.formats import Format
from koukan.rules.checks import FORBIDDEN, PRIVATE

BOTH = pytest.mark.parametrize("syntax", ["csv", "fixed"])
CSV = shipped_format("csv")
# Trail bytes 5C and 7C, half-width kana, what CSV readers take for something else, double codes.
WORDS = [
    "ソ表能",
    "ポ｜",
    "ｱｲｳﾞ",
    "NULL",
    "#架空",
    "'",
    "\\",
    "|",
    "①㈱",
    "髙﨑",
    " 前",
    "　",
    "-1",
    "1e5",
    "〓",
]
WORDS += ["\ue000", "架空　太郎", "", "", ""]
Row = dict[str, str | None]


def slow_rows(form: Format, content: bytes) -> list[tuple[str, Row]]:
    """Type and values of every line, in file order."""
    found = []
    ends = re.escape(form.file.line_end)
    for line in re.split(ends, content)[:-1]:
        at = 11 if form.file.syntax == "csv" else 10
        record = form.record(line[at : at + 2].decode())
        fields = form.fields(record)
        if form.file.syntax == "csv":
            text = decode_cp932(line, use_iconv=False)[0].decode()
            (parts,) = csv.reader(io.StringIO(text), quoting=csv.QUOTE_NONE)
        else:
            parts, position = [], 0
            for item in fields:
                piece = line[position : position + item.slot]
                parts.append(decode_cp932(piece, use_iconv=False)[0].decode().rstrip(" "))
                position += item.slot
        values = {item.name: part or None for item, part in zip(fields, parts, strict=True)}
        found.append((record.code, values))
    return found


def rows_of(found: list[Decoded]) -> list[tuple[str, Row]]:
    """The frames put together again by their row positions."""
    whole: dict[int, tuple[str, Row]] = {}
    for decoded in found:
        places = decoded.rows.tolist()
        assert len(places) == decoded.frame.height
        for place, values in zip(places, decoded.frame.iter_rows(named=True), strict=True):
            assert place not in whole
            whole[place] = (decoded.record.code, values)
    return [whole[place] for place in range(len(whole))]


def compare(form: Format, content: bytes) -> list[Decoded]:
    found = list(decode_piece(form, content))
    for decoded in found:
        assert set(decoded.frame.dtypes) == {pl.String}
        assert decoded.frame.columns == [item.name for item in form.fields(decoded.record)]
    assert rows_of(found) == slow_rows(form, content)
    return found


def any_line(draws: random.Random, form: Format, section: str, number: int) -> bytes:
    """A line with odd values in its texts: what passes the gate, whatever the rules say."""
    record = form.section(section)
    values = samples(form, section, record_number=f"{number:010d}")
    for item in record.own:
        if item.is_ascii:
            values[item.name] = draws.choice(["", values[item.name], "A b"[: item.length]])
        else:
            values[item.name] = draws.choice(WORDS)
    return line_of(form, form.fields(record), values)


@BOTH
@pytest.mark.parametrize("order", ["persons", "sorted by type", "mixed", "one type"])
def test_every_row_is_what_the_slow_reader_says_at_its_place(syntax: str, order: str) -> None:
    form = shipped_format(syntax)
    draws = random.Random(order)
    sections = [record.section for record in form.records] * 60
    if order == "sorted by type":
        sections.sort()
    elif order == "mixed":
        draws.shuffle(sections)
    elif order == "one type":
        sections = ["qualification"] * 90
    lines = [any_line(draws, form, section, number) for number, section in enumerate(sections, 1)]
    found = compare(form, together(lines, form))
    assert [decoded.record.section for decoded in found] == [
        record.section for record in form.records if record.section in sections
    ]
    content = together(lines, form)
    assert rows_of(list(decode_piece(form, content, line_offsets(content)))) == rows_of(found)


@BOTH
def test_a_piece_without_lines_has_no_records(syntax: str) -> None:
    assert list(decode_piece(shipped_format(syntax), b"")) == []


@BOTH
def test_undefined_bytes_do_not_swallow_what_follows(syntax: str) -> None:
    form = shipped_format(syntax)
    lines = persons(form, 2, name="@@@@", address="@@@@").records()
    for torn in (b"\x81", b"\xff", b"\x80", b"\xfc\xfc", b"\x85\x50", b"\xa0"):
        spoilt = [line.replace(b"@@@@", torn.rjust(4, b"x")) for line in lines]
        found = compare(form, together(spoilt, form))
        basic = found[0]
        assert basic.frame["name"].str.contains("\ufffd").all()
        assert basic.frame["name_kana"].to_list() == ["カクウ　タロウ"] * 2
        assert basic.suspicious is not None
        assert basic.suspicious.tolist() == [0, 1]


def test_a_lead_byte_at_the_end_of_a_line_does_not_swallow_its_end() -> None:
    lines = [line + b"\x81" for line in persons(CSV, 2).records()[2::3]]
    compare(CSV, together(lines, CSV))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["basic", "qualification", "certificate"]),
            st.binary(max_size=12).filter(
                lambda value: not re.search(rb'[\x00-\x1f\x7f",]', value)
            ),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["csv", "fixed"]),
)
def test_any_bytes_that_the_gate_lets_through_are_read_alike(
    values: list[tuple[str, bytes]], syntax: str
) -> None:
    form = shipped_format(syntax)
    lines = []
    for number, (section, value) in enumerate(values, 1):
        name = "address" if section == "basic" else "insured_symbol"
        good = samples(form, section, record_number=f"{number:010d}", **{name: "@" * 12})
        line = line_of(form, form.fields(form.section(section)), good)
        put = value.ljust(12) if syntax == "fixed" else value
        lines.append(line.replace(b"@" * 12, put))
    compare(form, together(lines, form))


@BOTH
def test_what_the_gate_counted_is_what_the_decoder_reads(syntax: str) -> None:
    form = shipped_format(syntax)
    plain = persons(form, 30)
    content = plain.content()
    verdict = Gate(form).read([content])
    data = content[verdict.cuts[0].offset : verdict.cuts[-1].offset]
    assert sum(len(decoded.rows) for decoded in compare(form, data)) == verdict.rows


def test_a_format_in_utf8_with_line_feeds_is_read_too() -> None:
    form = small_format("csv", encoding="utf-8", newline="lf")  # type: ignore[arg-type]
    content = together(persons(form, 3, name="𠮷田　太郎").records(), form)
    found = list(decode_piece(form, content))
    assert found[0].frame["name"].to_list() == ["𠮷田　太郎"] * 3
    assert found[0].suspicious is None  # UTF-8 can hold what no rule lets pass: look at every row
    ascii_only = together(persons(form, 3, **dict.fromkeys(NAMES, "x")).records(), form)
    (first, *_) = decode_piece(form, ascii_only)
    assert first.suspicious is not None
    assert not first.suspicious.size


NAMES = ["name", "name_kana", "address", "insured_symbol", "insured_number", "insured_name"]


def test_fixed_width_with_line_feeds_is_sliced_as_well() -> None:
    form = small_format("fixed", newline="lf")  # type: ignore[arg-type]
    compare(form, together(persons(form, 3).records(), form))


def test_a_parser_that_sees_other_rows_stops_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # polars reads a lone CR-free blank line as no row: only a file that no gate saw holds one.
    lines = persons(CSV, 1).records()
    real = pl.read_csv
    monkeypatch.setattr(records.pl, "read_csv", lambda *given, **more: real(*given, **more)[:0])
    with pytest.raises(IntegrityError) as found:
        list(decode_piece(CSV, together(lines, CSV)))
    assert found.value.key == "decode.rows"
    assert "架空" not in str(found.value)


# --- what the rules forbid is never overlooked


def all_of_cp932() -> list[str]:
    """Each character that decoding can give."""
    found = set()
    for number in range(0x10000):
        pair = number.to_bytes(2, "big")
        if not set(pair) & {*range(0x20), 0x22, 0x2C, 0x7F}:
            found |= set(decode_cp932(pair, use_iconv=False)[0].decode())
    return sorted(found)


def test_every_forbidden_character_of_cp932_makes_its_row_suspicious() -> None:
    characters = pl.Series(all_of_cp932())
    forbidden = characters.str.contains(PRIVATE) | characters.str.contains(FORBIDDEN)
    assert forbidden.sum() > 1_880
    text = "\r\n".join(["x" + character for character in characters]) + "\r\n"
    for clean in (False, True):
        found = suspicious_rows(text.encode(), "cp932", clean=clean)
        assert found is not None
        wanted = forbidden & (characters != "\ufffd") if clean else forbidden
        assert found.tolist() == wanted.arg_true().to_list()


@given(st.lists(st.text("ア架〓\ue000\ufffd", max_size=4), max_size=20), st.booleans())
def test_suspicious_rows_are_those_that_hold_such_a_character(
    words: list[str], clean: bool
) -> None:
    if clean:
        words = [word.replace("\ufffd", "") for word in words]
    text = "".join(f"{word}\r\n" for word in words)
    found = suspicious_rows(text.encode(), "cp932", clean=clean)
    assert found is not None
    wanted = [row for row, word in enumerate(words) if set(word) & set("〓\ue000\ufffd")]
    assert found.tolist() == wanted


@pytest.mark.parametrize("block", [1, 2, 3, 5, 1000])
def test_such_a_character_is_found_across_blocks_and_behind_a_head(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK", block)
    text = "名,\ue000〓\r\n" + "ア〓\r\nア\r\n\ue000\r\n〓〓\r\n"
    start = len("名,\ue000〓\r\n".encode())
    found = suspicious_rows(text.encode(), "cp932", clean=True, start=start)
    assert found is not None
    assert found.tolist() == [0, 2, 3]


def test_very_many_such_characters_make_every_row_suspicious() -> None:
    few, many = "〓\r\n" * (records.MANY - 1), "〓\r\n" * records.MANY
    found = suspicious_rows(few.encode(), "cp932", clean=True)
    assert found is not None
    assert np.array_equal(found, np.arange(records.MANY - 1))
    assert suspicious_rows(many.encode(), "cp932", clean=True) is None

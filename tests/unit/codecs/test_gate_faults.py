"""Every way in which the gate refuses a file, with the line that it names."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable

import pytest
from gate_support import CUTS, read, said
from plain_files import Plain, persons, shipped_format, together

CSV = shipped_format("csv")


def mended(plain: Plain, edit: Callable[[list[bytes]], None]) -> bytes:
    """The file after an edit of its data lines; the end record is not made to fit."""
    lines = plain.all_lines()
    edit(lines)
    return together(lines, plain.form)


def insert(number: int, line: bytes) -> Callable[[list[bytes]], None]:
    return lambda lines: lines.insert(number - 1, line)


def change(number: int, old: bytes, new: bytes) -> Callable[[list[bytes]], None]:
    def edit(lines: list[bytes]) -> None:
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new, 1)

    return edit


def zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("MR_kenpo-a_000001.csv", content)
    return target.getvalue()


PLAIN = persons(CSV, 4)  # 14 lines
GOOD = PLAIN.content()
FIXED = persons(shipped_format("fixed"), 4)
LINES = PLAIN.all_lines()
LINE_FAULTS: dict[str, tuple[bytes, str, int]] = {
    "empty": (b"", "F103", 0),
    "gzip": (gzip.compress(GOOD), "F104", 0),
    "zip": (zipped(GOOD), "F104", 0),
    "zstd": (b"\x28\xb5\x2f\xfd" + GOOD, "F104", 0),
    "bzip2": (b"BZh9" + GOOD, "F104", 0),
    "pdf": (b"%PDF-1.7\n" + GOOD, "F104", 0),
    "line feeds": (GOOD.replace(b"\r\n", b"\n"), "F105", 1),
    "carriage returns": (GOOD.replace(b"\r\n", b"\r"), "F105", 1),
    "carriage returns of a short file": (b"0,1\r2\r", "F105", 1),
    "mixed ends: one line feed": (b"\r\n".join(LINES[:5]) + b"\n" + GOOD, "F105", 5),
    "mixed ends: one return inside": (mended(PLAIN, change(6, b"A0", b"A\r")), "F105", 6),
    "a return too many": (GOOD.replace(b"\r\n", b"\r\r\n"), "F105", 1),
    "no final line end": (GOOD[:-2], "F106", 14),
    "half a final line end": (GOOD[:-1], "F106", 14),
    "torn inside a line": (GOOD[: GOOD.index(LINES[6]) + 30], "F106", 7),
    "torn inside the control record": (GOOD[:20], "F106", 1),
    "NUL": (mended(PLAIN, change(8, b"A0", b"A\0")), "F107", 8),
    "NUL tail": (GOOD + bytes(512), "F107", 15),
    "end of file mark": (GOOD + b"\x1a", "F107", 15),
    "tab": (mended(PLAIN, change(3, b"A0", b"A\t")), "F107", 3),
    "delete": (mended(PLAIN, change(3, b"A0", b"A\x7f")), "F107", 3),
    "unit separator": (mended(PLAIN, change(3, b"A0", b"A\x1f")), "F107", 3),
    "UTF-16 without a mark": (GOOD.decode("cp932").encode("utf-16-le"), "F107", 1),
    "stray quote": (mended(PLAIN, change(5, b"A0", b'A"')), "F108", 5),
    "quoted field": (mended(PLAIN, change(5, b"A0000001", b'"A00001"')), "F108", 5),
    "quote in the end record": (mended(PLAIN, change(14, b"00000012", b'"0000012')), "F108", 14),
    "UTF-8": (GOOD.decode("cp932").encode(), "F109", 0),
    "UTF-8 mark": (b"\xef\xbb\xbf" + GOOD, "F109", 0),
    "UTF-16 mark": (GOOD.decode("cp932").encode("utf-16"), "F109", 0),
    "UTF-16 big": (b"\xfe\xff" + GOOD, "F109", 0),
    "short row": (mended(PLAIN, change(4, b",A0000001", b"")), "F110", 4),
    "long row": (mended(PLAIN, change(4, b"A0000001", b"A0000001,")), "F110", 4),
    "comma at the end": (
        mended(PLAIN, lambda lines: lines.__setitem__(9, lines[9] + b",")),
        "F110",
        10,
    ),
    "mark in the middle": (
        mended(PLAIN, change(7, b"0000000002", b"\xef\xbb\xbf0000002")),
        "F118",
        7,
    ),
    "unknown type": (mended(PLAIN, change(10, b",03,", b",09,")), "F111", 10),
    "type of another format": (mended(PLAIN, change(10, b",03,", b",21,")), "F111", 10),
    "control record in the middle": (mended(PLAIN, insert(6, LINES[0])), "F111", 6),
    "header in the middle": (
        mended(PLAIN, insert(6, b"record_number,record_type_code,name")),
        "F111",
        6,
    ),
    "type without digits": (mended(PLAIN, change(10, b",03,", b",0A,")), "F111", 10),
    "no control record": (together(LINES[1:], CSV), "F112", 1),
    "control record cut short": (mended(PLAIN, change(1, b",20260401", b"")), "F112", 1),
    "control record of another layout": (
        mended(PLAIN, change(1, b"MR202604", b"MR202504")),
        "F112",
        1,
    ),
    "control record with a number": (
        mended(PLAIN, change(1, b"0000000000", b"0000000001")),
        "F112",
        1,
    ),
    "control record without its sender": (mended(PLAIN, change(1, b"kenpo-a", b"")), "F112", 1),
    "control record with strange digits": (
        mended(PLAIN, change(1, b"000001,", b"00000A,")),
        "F112",
        1,
    ),
    "control record with a short date": (
        mended(PLAIN, change(1, b"20260401", b"2026041")),
        "F112",
        1,
    ),
    "control record with undefined bytes": (
        mended(PLAIN, change(1, b"kenpo-a", b"kenpo-\xff")),
        "F112",
        1,
    ),
    "control record in Japanese": (
        mended(PLAIN, change(1, b"kenpo-a", "健保".encode("cp932"))),
        "F112",
        1,
    ),
    "no end record": (together(LINES[:-1], CSV), "F113", 13),
    "control record alone": (together(LINES[:1], CSV), "F113", 1),
    "two files in one": (GOOD + GOOD, "F113", 15),
    "two end records": (GOOD + together(LINES[-1:], CSV), "F113", 15),
    "lines behind the end record": (GOOD + together(LINES[1:3], CSV), "F113", 15),
    "end record with a field more": (
        mended(PLAIN, lambda lines: lines.__setitem__(13, lines[13] + b",")),
        "F113",
        14,
    ),
    "end record with a short count": (
        mended(PLAIN, change(14, b"00000012", b"0000012")),
        "F113",
        14,
    ),
    "end record with undefined bytes": (
        mended(PLAIN, change(14, b"00000012", b"0000012\xff")),
        "F113",
        14,
    ),
    "end record without a count": (mended(PLAIN, change(14, b"00000012", b"")), "F113", 14),
    "a line too many": (mended(PLAIN, insert(3, LINES[2])), "F114", 15),
    "a line lost": (mended(PLAIN, lambda lines: lines.__delitem__(4)), "F114", 13),
    "a type for another": (
        persons(CSV, 4)
        .changed(end={"basic_count": "00000005", "certificate_count": "00000003"})
        .content(),
        "F114",
        14,
    ),
    "another total": (
        persons(CSV, 4).changed(end={"control_total": f"{29:018d}"}).content(),
        "F115",
        14,
    ),
    "a number changed": (mended(PLAIN, change(5, b"0000000002", b"0000000003")), "F115", 14),
    "a line too long": (mended(PLAIN, change(5, b"A0000001", b"A" * 4096)), "F116", 5),
    "a file without line ends": (b"0" * 10_000, "F116", 1),
    "a control character in a line too long": (
        mended(PLAIN, change(5, b"A0000001", b"\1" + b"A" * 4096)),
        "F107",
        5,
    ),
    "a control character behind the limit": (
        mended(PLAIN, change(5, b"A0000001", b"A" * 4096 + b"\1")),
        "F116",
        5,
    ),
    "blank line": (mended(PLAIN, insert(7, b"")), "F118", 7),
    "blank line before the end": (mended(PLAIN, insert(14, b"")), "F118", 14),
    "short number": (mended(PLAIN, change(5, b"0000000002", b"000000002")), "F111", 5),
    "strange number": (mended(PLAIN, change(5, b"0000000002", b"00000000 2")), "F118", 5),
    "strange insurer": (mended(PLAIN, change(5, b"06990014", b"0699001X")), "F118", 5),
    "long process type": (mended(PLAIN, change(5, b",01,1,", b",01,11")), "F118", 5),
}
FIXED_FAULTS: dict[str, tuple[bytes, str, int]] = {
    "a byte more": (mended(FIXED, change(5, b"A0000001", b"A00000010")), "F117", 5),
    "a byte less": (mended(FIXED, change(5, b"A0000001", b"A000001")), "F117", 5),
    "a record of another length": (
        mended(FIXED, lambda lines: lines.__setitem__(4, lines[5][:10] + b"01" + lines[5][12:])),
        "F117",
        5,
    ),
    "short line": (mended(FIXED, insert(4, b"0000000001011")), "F118", 4),
    "blank line": (mended(FIXED, insert(4, b"")), "F118", 4),
    "strange number": (mended(FIXED, change(5, b"0000000002", b"000000000 ")), "F118", 5),
    "control record too long": (mended(FIXED, change(1, b"20260401", b"20260401 ")), "F112", 1),
    "control record in Japanese": (
        mended(FIXED, change(1, b"kenpo-a ", "健保健保".encode("cp932"))),
        "F112",
        1,
    ),
    "end record too short": (mended(FIXED, change(14, b"00000012", b"0000012")), "F113", 14),
    "UTF-8": (
        together([line.replace(b"A0000001", "健12".encode() + b"345"[:3]) for line in LINES], CSV),
        "F112",
        1,
    ),
}


@pytest.mark.parametrize("sizes", CUTS, ids=str)
@pytest.mark.parametrize("fault", LINE_FAULTS)
def test_what_is_wrong_is_named_with_its_line(fault: str, sizes: list[int] | None) -> None:
    content, code, line = LINE_FAULTS[fault]
    assert said(read(CSV, content, sizes)) == (code, line)


@pytest.mark.parametrize("sizes", CUTS, ids=str)
@pytest.mark.parametrize("fault", FIXED_FAULTS)
def test_what_is_wrong_in_fixed_width_is_named_with_its_line(
    fault: str, sizes: list[int] | None
) -> None:
    content, code, line = FIXED_FAULTS[fault]
    assert said(read(FIXED.form, content, sizes)) == (code, line)


def test_every_code_of_the_gate_is_among_these_tests() -> None:
    tried = {code for _, code, _ in [*LINE_FAULTS.values(), *FIXED_FAULTS.values()]}
    assert tried | {"F102"} == {f"F{number}" for number in range(102, 119)}

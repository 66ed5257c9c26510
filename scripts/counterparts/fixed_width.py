"""The two files of 住基ネット in fixed width, read and written without anything of koukan's.

The tables below are copied by hand from formats/README.md: field after field with its bytes. A test
compares them with the definitions, so that neither side can move a field alone. Text is CP932, a
line ends in CR LF, a value has half-width spaces behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl

Layout = Mapping[str, int]  # field -> bytes, in their order

CONTROL: Layout = {
    "record_number": 10,
    "record_type_code": 2,
    "layout_code": 8,
    "sender": 32,
    "file_sequence": 6,
    "creation_date": 8,
    "query_mode": 1,
    "query_type": 1,
}
REQUEST: Layout = {
    "record_number": 10,
    "record_type_code": 2,
    "request_record_number": 16,
    "main_search_condition": 1,
    "include_history": 1,
    "include_removed": 1,
    "include_change_reason": 1,
    "juki_law_task_class": 4,
    "number_law_task_class": 4,
    "use_reason": 4,
    "information_display": 1,
    "period_start_date": 8,
    "period_end_date": 8,
    "period_base_date": 8,
    "my_number": 12,
    "resident_name": 80,
    "resident_name_kana": 100,
    "birth_date": 8,
    "sex": 1,
    "address": 200,
}
REQUEST_END: Layout = {
    "record_number": 10,
    "record_type_code": 2,
    "record_count": 8,
    "request_count": 8,
    "control_total": 18,
}
ANSWER: Layout = {
    "record_number": 10,
    "record_type_code": 2,
    "request_record_number": 16,
    "answer_class": 1,
    "alive_status": 1,
    "update_status": 1,
    "resident_class": 1,
    "change_presence": 1,
    "change_reason": 2,
    "change_date": 8,
    "my_number": 12,
    "resident_name": 80,
    "resident_name_kana": 100,
    "birth_date": 8,
    "sex": 1,
    "address": 200,
    "address_detail": 80,
    "municipality_code": 6,
    "municipality_name": 40,
}
ANSWER_END: Layout = {
    "record_number": 10,
    "record_type_code": 2,
    "record_count": 8,
    "answer_count": 8,
    "control_total": 18,
}
REQUEST_NAME = re.compile(r"JQ_([a-z0-9-]{2,32})_([0-9]{6})\.dat")
SENDER, CENTRE = "juki-net", "koukan"
REQUEST_LAYOUT, ANSWER_LAYOUT = "JQ202604", "JA202604"
REQUEST_TYPE, ANSWER_TYPE, END_TYPE = "41", "42", "99"
LINE_END = b"\r\n"
TOTAL_MODULUS = 10**18
BLOCK = 20_000  # lines that are text at the same time
# What Python's CP932 makes of bytes that CP932 does not define.
UNDEFINED = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
# What a request may say: everything else is refused.
FORMS = {
    "request_record_number": r"^[0-9]{16}$",
    "main_search_condition": r"^[123]$",
    "include_history": r"^[01]$",
    "include_removed": r"^[01]$",
    "include_change_reason": r"^[01]$",
    "my_number": r"^([0-9]{12})?$",
    "birth_date": r"^([0-9]{8})?$",
    "sex": r"^[123]?$",
}
ASKED = (  # what decides on an answer
    "request_record_number",
    "main_search_condition",
    "include_removed",
    "include_change_reason",
    "my_number",
    "resident_name",
    "birth_date",
    "sex",
    "address",
)
NUMBER, WITH_SEX, WITHOUT_SEX = "1", "2", "3"  # 主たる照会条件
GIVEN = {  # condition -> the items that a question must have, and those it must not have
    NUMBER: (("my_number",), ("resident_name", "birth_date", "sex", "address")),
    WITH_SEX: (("resident_name", "birth_date", "sex", "address"), ("my_number",)),
    WITHOUT_SEX: (("resident_name", "birth_date", "address"), ("my_number", "sex")),
}
CONDITIONS = {"1": (WITH_SEX, WITHOUT_SEX), "2": (NUMBER,)}  # by 照会種別


class Refused(Exception):
    """A request that is not as the documentation says; the text tells where, never a value."""


@dataclass(frozen=True)
class Head:
    """What the control record of a request says, and how many lines follow."""

    created: str
    mode: str
    kind: str  # 照会種別
    rows: int


def width(layout: Layout) -> int:
    return sum(layout.values())


def slots(layout: Layout) -> Iterator[tuple[str, slice]]:
    """Where each field stands in a record."""
    ends = list(accumulate(layout.values()))
    for (name, size), end in zip(layout.items(), ends, strict=True):
        yield name, slice(end - size, end)


def read_request(path: Path) -> tuple[Head, pl.DataFrame]:
    """A whole request, checked throughout.

    Returns:
        its head, and a frame of strings, the columns `ASKED`, with one row for each line in file
        order; empty is "".

    Raises:
        Refused: anything is not as it must be.
    """
    named = REQUEST_NAME.fullmatch(path.name)
    if named is None:
        raise Refused("file name")
    with path.open("rb") as file:
        control = _single(file, CONTROL, "control record")
        rows = _rows(path.stat().st_size)
        expected = {
            "record_number": "0" * 10,
            "record_type_code": "00",
            "layout_code": REQUEST_LAYOUT,
            "sender": CENTRE,
            "file_sequence": named[2],
        }
        _compare(control, expected, "control record")
        if named[1] != CENTRE or control["query_mode"] not in ("1", "2"):
            raise Refused("control record")
        if control["query_type"] not in CONDITIONS:
            raise Refused("control record: query_type")
        frames = []
        for first in range(1, rows + 1, BLOCK):
            frames.append(_block(file, first, min(BLOCK, rows + 1 - first), control["query_type"]))
        expected = {
            "record_number": "9" * 10,
            "record_type_code": END_TYPE,
            "record_count": f"{rows:08d}",
            "request_count": f"{rows:08d}",
            "control_total": f"{rows * (rows + 1) // 2 % TOTAL_MODULUS:018d}",
        }
        _compare(_single(file, REQUEST_END, "end record"), expected, "end record")
    frame = pl.concat(frames)
    if frame["request_record_number"].is_duplicated().any():
        raise Refused("a request record number stands twice")
    head = Head(control["creation_date"], control["query_mode"], control["query_type"], rows)
    return head, frame


def _rows(length: int) -> int:
    body = length - width(CONTROL) - width(REQUEST_END) - 2 * len(LINE_END)
    rows, rest = divmod(body, width(REQUEST) + len(LINE_END))
    if rest or rows < 1:
        raise Refused("length of the file")
    return rows


def _single(file: BinaryIO, layout: Layout, where: str) -> dict[str, str]:
    line = file.read(width(layout) + len(LINE_END))
    if len(line) != width(layout) + len(LINE_END) or not line.endswith(LINE_END):
        raise Refused(where)
    if not line[:-2].isascii():
        raise Refused(where)
    return {name: line[slot].decode("ascii").rstrip(" ") for name, slot in slots(layout)}


def _compare(found: Mapping[str, str], expected: Mapping[str, str], where: str) -> None:
    for name, value in expected.items():
        if found[name] != value:
            raise Refused(f"{where}: {name}")


def _block(file: BinaryIO, first: int, rows: int, kind: str) -> pl.DataFrame:
    """Some lines: each of the right length and type, numbered through, with what is asked for."""
    content = file.read(rows * (width(REQUEST) + len(LINE_END)))
    octets = np.frombuffer(content, np.uint8).reshape(rows, -1)
    body = octets[:, : -len(LINE_END)]
    if (octets[:, -2] != 13).any() or (octets[:, -1] != 10).any() or (body < 32).any():
        raise Refused("line ends and control characters")
    frame = pl.DataFrame({name: _text(body[:, slot], name) for name, slot in slots(REQUEST)})
    numbers = pl.Series(np.arange(first, first + rows)).cast(pl.String).str.zfill(10)
    if not (frame["record_number"] == numbers).all():
        raise Refused("record_number")
    if not (frame["record_type_code"] == REQUEST_TYPE).all():
        raise Refused("record_type_code")
    for name, form in FORMS.items():
        if not frame[name].str.contains(form).all():
            raise Refused(name)
    condition = pl.col("main_search_condition")
    for value in CONDITIONS[kind]:
        needed, unwanted = GIVEN[value]
        whole = pl.all_horizontal(
            *(pl.col(name) != "" for name in needed), *(pl.col(name) == "" for name in unwanted)
        )
        if not frame.select(((condition != value) | whole).all()).item():
            raise Refused("main_search_condition")
    if not frame.select(condition.is_in(CONDITIONS[kind]).all()).item():
        raise Refused("main_search_condition")
    return frame.select(ASKED)


def _text(octets: npt.NDArray[np.uint8], name: str) -> pl.Series:
    """A column of slots as strings; a line feed between them is never part of a character."""
    rows, size = octets.shape
    lines = np.full((rows, size + 1), 10, np.uint8)
    lines[:, :size] = octets
    try:
        text = lines.tobytes().decode("cp932")
    except UnicodeDecodeError:
        raise Refused(name) from None
    if UNDEFINED.search(text):
        raise Refused(name)
    found = pl.Series([text[:-1]]).str.split("\n").explode()
    return found.str.strip_chars_end(" ")


def write_records(file: BinaryIO, blocks: Iterable[pl.DataFrame]) -> int:
    """Answers, block by block, numbered through from 1; how many they were.

    Args:
        blocks: frames of strings; a column that is missing, or null, is empty.

    Raises:
        ValueError: a value is longer than its field.
    """
    rows = 0
    for block in blocks:
        numbers = pl.Series(np.arange(rows + 1, rows + 1 + block.height)).cast(pl.String)
        lines = block.with_columns(
            record_number=numbers.str.zfill(10), record_type_code=pl.lit(ANSWER_TYPE)
        )
        octets = np.full((lines.height, width(ANSWER) + len(LINE_END)), 32, np.uint8)
        octets[:, -2:] = np.frombuffer(LINE_END, np.uint8)
        for name, slot in slots(ANSWER):
            if name in lines.columns:
                _scatter(octets[:, slot], lines[name], name)
        file.write(octets.tobytes())
        rows += block.height
    return rows


def _scatter(target: npt.NDArray[np.uint8], values: pl.Series, name: str) -> None:
    """Write each value at the beginning of its slot."""
    content = np.frombuffer(("\n".join(values.fill_null("")) + "\n").encode("cp932"), np.uint8)
    ends = np.flatnonzero(content == 10)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
    lengths = ends - starts
    if len(ends) != len(values) or lengths.max() > target.shape[1]:
        raise ValueError(f"{name} does not fit its field")
    rows = np.repeat(np.arange(len(values)), lengths)
    kept = content != 10
    places = np.arange(len(content))[kept] - np.repeat(starts, lengths)
    target[rows, places] = content[kept]


def control_record(head: Head, sequence: int) -> bytes:
    """The control record of an answer to the request with this head."""
    values = {
        "record_number": "0" * 10,
        "record_type_code": "00",
        "layout_code": ANSWER_LAYOUT,
        "sender": SENDER,
        "file_sequence": f"{sequence:06d}",
        "creation_date": head.created,
        "query_mode": head.mode,
        "query_type": head.kind,
    }
    return _line(CONTROL, values)


def end_record(rows: int) -> bytes:
    values = {
        "record_number": "9" * 10,
        "record_type_code": END_TYPE,
        "record_count": f"{rows:08d}",
        "answer_count": f"{rows:08d}",
        "control_total": f"{rows * (rows + 1) // 2 % TOTAL_MODULUS:018d}",
    }
    return _line(ANSWER_END, values)


def _line(layout: Layout, values: Mapping[str, str]) -> bytes:
    parts = [values[name].encode("ascii").ljust(size) for name, size in layout.items()]
    line = b"".join(parts)
    if len(line) != width(layout):
        raise ValueError("a value does not fit its field")
    return line + LINE_END


def answer_name(sequence: int) -> str:
    return f"JA_{SENDER}_{sequence:06d}.dat"

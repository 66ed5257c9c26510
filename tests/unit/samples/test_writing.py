"""Files: counts, totals and lengths as an independent reader finds them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from koukan.formats.model import Format
from koukan.samples.population import Population
from koukan.samples.registration import Frames, registration_frames, write_file
from koukan.samples.scenario import SCENARIO
from koukan.samples.writing import WrittenFile, file_name

DAY = date(2026, 4, 1)
INSURER = SCENARIO.insurers[1]


def _frames(form: Format, start: int, stop: int) -> Frames:
    people = Population(5).people(start, stop)
    return registration_frames(
        form, people, insurer=INSURER, as_of=DAY, first_record_number=start + 1
    )


def _written(form: Format, *pieces: Frames) -> tuple[WrittenFile, bytes]:
    content = io.BytesIO()
    written = write_file(content, form, pieces, sender="kenpo-a", sequence=7, creation_date=DAY)
    return written, content.getvalue()


def test_counts_total_and_order_are_right(form: Format, read: Callable[..., Any]) -> None:
    written, content = _written(form, _frames(form, 0, 1_000))
    found = read(content, form)

    assert found.control["sender"] == "kenpo-a"
    assert found.control["file_sequence"] == "000007"
    assert found.control["creation_date"] == "20260401"
    assert found.control["record_number"] == "0000000000"
    assert written.lines == len(found.rows) == int(found.end["record_count"]) == 3_000
    for section in ("basic", "qualification", "certificate"):
        assert int(found.end[f"{section}_count"]) == 1_000
    total = sum(int(row["record_number"]) for _, row in found.rows)
    assert int(found.end["control_total"]) == total
    for number, (key, lines) in enumerate(
        groupby(found.rows, key=lambda line: line[1]["record_number"]), start=1
    ):
        assert int(key) == number
        assert [row["record_type_code"] for _, row in lines] == ["01", "02", "03"]


def test_the_report_is_that_of_the_bytes(form: Format) -> None:
    written, content = _written(form, _frames(form, 0, 100))

    assert written.name == form.file.example.replace("nhi-aggregation", "kenpo-a").replace("1", "7")
    assert written.length == len(content)
    assert written.sha256 == hashlib.sha256(content).hexdigest()


def test_pieces_make_the_same_bytes_as_the_whole(form: Format) -> None:
    whole = _written(form, _frames(form, 0, 500))
    pieces = [_frames(form, 0, 123), _frames(form, 123, 124), _frames(form, 124, 500)]

    assert _written(form, *pieces) == whole


def test_every_fixed_record_has_the_length_of_its_type(catalogue: Any) -> None:
    form = catalogue.formats["member_registration_fixed"]
    _, content = _written(form, _frames(form, 0, 200))
    lines = content.split(b"\r\n")[1:-2]

    for place, record in enumerate(form.required):
        length = sum(item.slot for item in form.fields(record))
        assert {len(line) for line in lines[place::3]} == {length}


def test_ibm_characters_take_the_microsoft_codes(csv_form: Format) -> None:
    _, content = _written(csv_form, _frames(csv_form, 0, 3_000))
    text = content.decode("cp932")

    for character, code, other in (("髙", b"\xfb\xfc", "eee0"), ("﨑", b"\xfa\xb1", "ed95")):
        assert character.encode("cp932").hex() == other
        assert content.count(code) >= text.count(character) > 0


def test_a_file_is_written_under_another_name_first(csv_form: Format, tmp_path: Path) -> None:
    written = write_file(
        tmp_path, csv_form, _frames(csv_form, 0, 5), sender="a-b", sequence=1, creation_date=DAY
    )
    path = tmp_path / "other.csv"
    write_file(path, csv_form, _frames(csv_form, 0, 5), sender="a-b", sequence=1, creation_date=DAY)

    assert sorted(item.name for item in tmp_path.iterdir()) == ["MR_a-b_000001.csv", "other.csv"]
    assert (tmp_path / written.name).read_bytes() == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_names_follow_the_pattern_of_the_format(form: Format) -> None:
    found = form.file.expression.fullmatch(file_name(form, "kouki-rengo", 123456))

    assert found is not None
    assert found.group("sender", "sequence") == ("kouki-rengo", "123456")


def test_a_value_outside_the_encoding_is_not_written(csv_form: Format) -> None:
    frames = dict(_frames(csv_form, 0, 3))
    frames["basic"] = frames["basic"].with_columns(name=frames["basic"]["name"] + "𠮷")

    with pytest.raises(UnicodeEncodeError):
        _written(csv_form, frames)

"""誤り一覧 as files: typed, whole, the same every time, and as much memory for many as for few."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from koukan.reports import errors as report
from koukan.reports.errors import FILE_LINES, SHOWN, Listing, Reported, write_report
from koukan.reports.workbook import SHEET_LINES, About
from koukan.rules.causes import ERRORS

TESTS = Path(__file__).resolve().parents[2]
COUNTS = {"received": 30_000, "accepted": 0, "rejected": 30_000, "duplicate": 0}
ABOUT = About("ER_MR_kenpo-a_000001", (("reports.errors.file", "=MR.csv"),), COUNTS)


def many(code: str, count: int, first: int = 2) -> pl.DataFrame:
    """Errors of one cause in consecutive lines."""
    line = pl.int_range(first, first + count, dtype=pl.Int64, eager=True)
    return pl.DataFrame({"line_number": line}).select(
        "line_number",
        record_number=pl.col("line_number").cast(pl.String).str.zfill(10),
        field_label=pl.lit("生年月日"),
        processing_result_code=pl.lit(code),
        processing_result_text=pl.lit("=説明"),
        action_text=pl.lit("対処"),
    )


def written(
    folder: Path, *parts: pl.DataFrame, language: str = "ja"
) -> tuple[Reported, Path, Path]:
    folder.mkdir(exist_ok=True)
    paths = folder / "a.xlsx", folder / "a.zip"
    return write_report(*paths, ABOUT, iter(parts), language), *paths


def rows(path: Path) -> dict[str, list[list[Any]]]:
    book = openpyxl.load_workbook(path)
    return {sheet.title: [list(row) for row in sheet.iter_rows()] for sheet in book}


def test_the_labels_are_those_of_the_errors() -> None:
    assert list(report.LABELS) == ERRORS.names()


def test_a_cause_with_more_lines_than_are_shown_says_so(tmp_path: Path) -> None:
    found, workbook, listing = written(
        tmp_path, many("R101", SHOWN + 5), many("R102", 3, SHOWN + 7)
    )

    assert found == Reported(SHOWN + 8, SHOWN + 8, 2)
    causes, lines = rows(workbook).values()
    told = [[cell.value for cell in row] for row in causes][-2:]
    assert told[0][:5] == [
        *(1, "生年月日", "R101", 10_005),
        "先頭の 10,000 行。ほかに 5 行が CSV にあります。",
    ]
    assert told[1][:5] == [2, "生年月日", "R102", 3, "3 行すべて"]
    assert len(lines) == 1 + SHOWN + 3
    with zipfile.ZipFile(listing) as archive:
        assert archive.namelist() == ["ER_MR_kenpo-a_000001.csv"]
        assert archive.read(archive.namelist()[0]).count(b"\r\n") == 1 + SHOWN + 8


def test_every_cell_is_a_number_or_a_text(tmp_path: Path) -> None:
    _, workbook, _ = written(tmp_path, many("R101", 2))

    cells = [cell for sheet in rows(workbook).values() for row in sheet for cell in row]
    assert {cell.data_type for cell in cells} == {"n", "s"}
    assert [cell.value for cell in cells if str(cell.value).startswith("=")] == [
        *("=MR.csv", "=説明", "=説明", "=説明")
    ]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]


def test_nothing_wrong_is_said_as_well(tmp_path: Path) -> None:
    found, workbook, listing = written(tmp_path)

    assert found == Reported(0, 0, 0)
    assert list(rows(workbook)) == ["誤りの原因"]
    with zipfile.ZipFile(listing) as archive:
        assert archive.read(archive.namelist()[0]).decode("utf-8-sig") == (
            '"行番号","レコード識別番号","項目名","コード","説明","対処"\r\n'
        )


def test_english_words_are_there_too(tmp_path: Path) -> None:
    _, workbook, _ = written(tmp_path, many("R101", 2), language="en")

    causes, lines = rows(workbook).items()
    assert (causes[0], lines[0]) == ("Causes", "Lines")
    assert [cell.value for cell in lines[1][0]][:3] == ["Rank", "Line", "Record number"]


def test_the_same_errors_give_the_same_bytes_anywhere_and_at_any_time(tmp_path: Path) -> None:
    parts = [many("R101", 700), many("R102", 30, 702)]
    _, *first = written(tmp_path / "one", *parts)
    code = (
        "import os, sys; os.umask(0o022); sys.path.insert(0, sys.argv[2]);"
        "from test_errors import Path, many, written;"
        "written(Path(sys.argv[1]), many('R101', 700), many('R102', 30, 702))"
    )
    environment = {**os.environ, "TZ": "America/New_York", "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", code, str(tmp_path / "two"), str(Path(__file__).parent)]
    subprocess.run(command, env=environment, check=True)
    second = [tmp_path / "two" / path.name for path in first]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"a.xlsx", "a.zip"}


def test_a_text_file_has_no_more_lines_than_a_sheet_can_show(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with Listing(path, "ER_x", "ja") as whole:
        whole.add(many("R101", FILE_LINES - 1))
        whole.add(many("R101", 3, FILE_LINES + 1))

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["ER_x.csv", "ER_x_2.csv"]
        first, second = (archive.read(name) for name in archive.namelist())
    assert (first.count(b"\r\n"), second.count(b"\r\n")) == (1 + FILE_LINES, 1 + 2)
    assert second.startswith(first[:30])
    assert second.splitlines()[1].startswith(b'"%d",' % (FILE_LINES + 2))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_would_not_take_it_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").mkdir()
    with pytest.raises(IsADirectoryError):
        write_report(tmp_path / "a.xlsx", tmp_path / "a.zip", ABOUT, [many("R101", 3)], "ja")
    gc.collect()  # the library leaves files of its own to be closed by whoever comes


def measured(folder: Path, lines: int, causes: int) -> int:
    """Report so many errors in a process of its own; bytes of memory at its peak."""
    program = Path(__file__).with_name("large_report.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder), str(lines), str(causes)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    *found, peak = map(int, done.stdout.split())
    assert found == [lines, lines, causes]
    return peak * 1024


def test_memory_does_not_grow_with_the_errors(tmp_path: Path, long: bool) -> None:
    """1,300,000 errors of 101 causes, if there is time: two text files, two sheets of lines."""
    lines, causes = (1_300_000, 101) if long else (200_000, 2)
    few, lot = measured(tmp_path, 20_000, 2), measured(tmp_path, lines, causes)
    assert lot - few < 64 << 20
    with zipfile.ZipFile(tmp_path / f"{lines}-{causes}.xlsx") as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
    assert len(sheets) == 1 + -(-min(lines, causes * SHOWN) // SHEET_LINES)

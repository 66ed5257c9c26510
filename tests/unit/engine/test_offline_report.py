"""誤り一覧 before sending says what the centre's says after it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import openpyxl
import pytest
from centres import Place, lay

from koukan.engine.offline import check_file
from koukan.engine.offline_report import targets_of, write_offline
from koukan.errors import UsageError
from koukan.formats import Catalogue
from koukan.reports.errors import Reported

CODES = ["R101", "R102", "R105", "R201", "R301", "R304"]  # whoever is registered already
CAUSES, LINES = "誤りの原因", "誤りのある行"


def written(catalogue: Catalogue, file: Path, workbook: Path) -> Reported:
    report = check_file(file, catalogue)
    return write_offline(targets_of(workbook, file), file, report, report.code, "ja")


def table(path: Path, sheet: str, first: str = "順位") -> list[tuple[object, ...]]:
    rows = list(openpyxl.load_workbook(path)[sheet].iter_rows(values_only=True))
    return rows[next(place for place, row in enumerate(rows) if row[0] == first) :]


def texts(path: Path) -> list[bytes]:
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


@pytest.mark.parametrize("sender", ["kenpo-a", "nhi-aggregation"])
def test_causes_and_lines_are_those_of_the_centre(
    empty: Place, catalogue: Catalogue, tmp_path: Path, sender: str
) -> None:
    insurer = {"nhi-aggregation": "mihon-shi"}.get(sender, sender)
    path = lay(empty, sender, 1, persons=600, bad_persons=40, insurer=insurer, codes=CODES)
    workbook = tmp_path / "errors.xlsx"
    found = written(catalogue, path, workbook)
    empty.run()
    empty.run("report_errors")

    (theirs,) = empty.outbox(sender).glob("ER_*.xlsx")
    assert table(workbook, CAUSES) == table(theirs, CAUSES)
    assert table(workbook, LINES) == table(theirs, LINES)
    assert len(table(workbook, CAUSES)) - 1 == found.causes > 5
    assert texts(tmp_path / "errors.zip") == texts(theirs.with_suffix(".zip"))


def test_a_second_report_replaces_the_first_and_leaves_nothing_else(
    empty: Place, catalogue: Catalogue, tmp_path: Path
) -> None:
    path = lay(empty, "kenpo-a", 1, persons=40, bad_persons=4)
    file = Path(shutil.copy(path, tmp_path))
    first = written(catalogue, file, tmp_path / "e.xlsx")
    contents = [(tmp_path / name).read_bytes() for name in ("e.xlsx", "e.zip")]
    assert first.errors
    assert written(catalogue, file, tmp_path / "e.xlsx") == first
    assert [(tmp_path / name).read_bytes() for name in ("e.xlsx", "e.zip")] == contents
    assert {one.name for one in tmp_path.iterdir()} >= {"e.xlsx", "e.zip", file.name}
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_file_that_would_be_refused_says_so_first(tmp_path: Path, catalogue: Catalogue) -> None:
    file = tmp_path / "MR_kenpo-a_000001.csv"
    file.write_bytes(b"half of a file")
    assert written(catalogue, file, tmp_path / "e.xlsx") == Reported(0, 0, 0)
    rows = table(tmp_path / "e.xlsx", CAUSES, "ファイル名")
    assert rows[2][0] == "このファイルは、このままでは受付不可になります"
    assert str(rows[2][2]).startswith("F1")


@pytest.mark.parametrize(
    ("name", "lying", "key"),
    [
        ("e.csv", (), "offline.report_name"),
        ("e.XLSX", (), "offline.report_name"),
        ("none/e.xlsx", (), "offline.report_nowhere"),
        ("e.xlsx", ("e.zip",), "offline.report_taken"),
        ("MR.xlsx", (), "offline.report_taken"),
    ],
)
def test_a_report_overwrites_nothing_but_a_report(
    name: str, lying: tuple[str, ...], key: str, tmp_path: Path
) -> None:
    for one in lying:
        (tmp_path / one).write_bytes(b"something else")
    file = tmp_path / "MR.xlsx"
    file.write_bytes(b"the file that is checked")
    with pytest.raises(UsageError) as caught:
        targets_of(tmp_path / name, file)
    assert caught.value.key == key
    assert file.read_bytes() == b"the file that is checked"

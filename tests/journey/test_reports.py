"""誤り一覧 after the demo's night: every rejected line is in it, once for each error, and no value.

The workbook is read by another's reader, the list by Python's own.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from journey import checks, nights, search
from journey.after_night import Open
from journey.nights import REPORT
from journey.stops import stopping
from journey.tampering import Base

from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import IntegrityError, SealBroken
from koukan.ledger import Reception
from koukan.samples.population import Population

RISKY = "=+-@\t\r\n＝＋－＠"
Listed = list[dict[str, str]]


@pytest.fixture
def reported(after: Centre) -> Centre:
    """A copy of the demo's site after the night and the reports."""
    run_job(after, REPORT)
    return after


def with_rejects(centre: Centre) -> list[Reception]:
    """Accepted registration files of which lines were rejected."""
    return [
        item
        for item in centre.ledger.receptions(outcome="accepted")
        if any(counts.rejected for counts in centre.ledger.counts(item.number))
    ]


def paths_of(centre: Centre, reception: Reception) -> dict[str, Path]:
    folder = centre.outbox(reception.sender).folder
    return {row.kind: folder / row.name for row in centre.ledger.laid_out(reception.number)}


def listed(path: Path) -> Listed:
    """The whole list, from all text files of the archive."""
    found: Listed = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert content.startswith(b"\xef\xbb\xbf")
            assert content.count(b"\n") == content.count(b"\r\n")
            text = content.decode("utf-8-sig")
            found += csv.DictReader(io.StringIO(text, newline=""))
    return found


def told(path: Path) -> list[list[str]]:
    """Rejected lines of a result file: line, record number, code, label, sentence, action."""
    rows = [line.split(",") for line in path.read_text(encoding="cp932").splitlines()]
    return [
        [row[1], row[2], row[5], row[6], row[7], row[8]]
        for row in rows
        if row[0] == "21" and row[3] == "2" and row[5].startswith("R")
    ]


def sheets(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(path)
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_the_list_has_every_error_of_the_result_file_and_nothing_else(reported: Centre) -> None:
    files = with_rejects(reported)
    assert len(files) > 5
    for reception in files:
        paths = paths_of(reported, reception)
        assert paths["error_report"].name == (
            f"ER_{Path(reception.file_name).stem}_{reception.number:010d}.xlsx"
        )
        found = [
            [
                row["行番号"],
                row["レコード識別番号"].removeprefix("'"),
                *(row[name] for name in ("コード", "項目名", "説明", "対処")),
            ]
            for row in listed(paths["error_listing"])
        ]
        assert found == told(paths["registration_result"])
        rejected = sum(item.rejected for item in reported.ledger.counts(reception.number))
        assert len({row[0] for row in found}) == rejected


def test_the_workbook_ranks_the_causes_and_shows_their_lines(reported: Centre) -> None:
    for reception in with_rejects(reported):
        paths = paths_of(reported, reception)
        wanted = told(paths["registration_result"])
        book = sheets(paths["error_report"])
        rows = book["誤りの原因"]
        head = next(place for place, row in enumerate(rows) if row[0] == "順位")
        facts = {row[0]: row[2] for row in rows[:head]}
        assert facts["受付番号"] == f"{reception.number:010d}"
        assert facts["ファイル名"] == reception.file_name
        assert facts["誤りの件数"] == len(wanted)
        causes = rows[head + 1 :]
        assert [row[0] for row in causes] == list(range(1, len(causes) + 1))
        assert Counter({(row[1], row[2]): row[3] for row in causes}) == Counter(
            (row[3], row[2]) for row in wanted
        )
        own = [row[3] for row in causes if row[2] != "R302"]
        assert own == sorted(own, reverse=True)
        for _, _, code, count, shown, _, action in causes:
            assert shown == f"{count:,} 行すべて"
            assert action == reported.catalogue.reasons[code].action
        lines = book["誤りのある行"][1:]
        assert Counter((str(row[1]), row[2], row[4], row[3], row[5]) for row in lines) == Counter(
            tuple(row[:5]) for row in wanted
        )
        assert [row[0] for row in lines] == sorted(row[0] for row in lines)


def test_files_without_a_rejected_line_get_no_report(reported: Centre) -> None:
    wanted = {item.number for item in with_rejects(reported)}
    kinds = ("error_report", "error_listing")
    assert {row.reception for row in reported.ledger.laid_out() if row.kind in kinds} == wanted


def test_no_value_of_a_record_is_in_a_report_and_no_cell_is_a_formula(
    demo: nights.Demo, reported: Centre
) -> None:
    people = Population(nights.SEED).people(0, demo.night.persons)
    numbers = people["my_number"].to_list()
    tokens = reported.tokeniser.tokens(people["my_number"].cast(int).to_numpy())
    needles = search.Needles(numbers, search.names_of(people), tokens)
    reasons = reported.catalogue.reasons.values()
    labels = {
        item.label for form in reported.catalogue.formats.values() for item in form.all_fields
    }
    for reception in with_rejects(reported):
        paths = paths_of(reported, reception)
        for kind in ("error_report", "error_listing"):
            with zipfile.ZipFile(paths[kind]) as archive:
                for name in archive.namelist():
                    assert needles.find(archive.read(name)) == set()
        with zipfile.ZipFile(paths["error_report"]) as archive:
            for name in archive.namelist():
                assert b"<f>" not in archive.read(name)
                assert b"hyperlink" not in archive.read(name)
        for row in listed(paths["error_listing"]):
            assert row["行番号"].isdigit()
            assert re.fullmatch(r"'[0-9]{10}", row["レコード識別番号"])
            assert row["項目名"] in labels
            assert row["コード"] in reported.catalogue.reasons
            assert any(row["対処"] == reason.action for reason in reasons)
            assert not [cell for cell in row.values() if cell[0] in RISKY]
    assert search.leaks(needles, reported.folder("temporary")) == {}


def test_ledger_and_folders_are_right_with_reports_and_a_second_run_changes_nothing(
    reported: Centre,
) -> None:
    before = state_digest(reported)
    assert checks.problems(reported) == []
    found = {path: path.read_bytes() for path in reported.root.glob("exchange/*/outbox/ER_*")}
    assert len(found) == 2 * len(with_rejects(reported))
    run_job(reported, REPORT)
    assert state_digest(reported) == before
    assert {
        path: path.read_bytes() for path in reported.root.glob("exchange/*/outbox/ER_*")
    } == found


@pytest.mark.parametrize("event", ["report laid out", "reported"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_killed_between_its_files_it_lays_the_same_ones(
    event: str, times: int, after: Centre, reported_bytes: dict[str, bytes]
) -> None:
    with stopping(after, event, times=times):
        run_job(after, REPORT)
    run_job(after, REPORT)
    assert checks.problems(after) == []
    found = {path.name: path.read_bytes() for path in after.root.glob("exchange/*/outbox/ER_*")}
    assert found == reported_bytes


@pytest.fixture(scope="module")
def reported_bytes(
    demo: nights.Demo, done: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The reports of a run that nobody disturbed, by name."""
    site = nights.Prepared(done.root, demo.prepared.key_file, demo.prepared.now)
    root = site.copy(tmp_path_factory.mktemp("reported") / "root")
    centre = site.open(root)
    run_job(centre, REPORT)
    centre.close()
    return {path.name: path.read_bytes() for path in root.glob("exchange/*/outbox/ER_*")}


def test_a_report_that_was_altered_in_the_outbox_is_named(reported: Centre) -> None:
    reception = with_rejects(reported)[0]
    path = paths_of(reported, reception)["error_listing"]
    path.write_bytes(path.read_bytes() + b"\0")
    assert [item.key for item in verify_ledger(reported)] == ["verify.outbox_file"]


def test_half_a_report_in_the_ledger_is_named(reported: Centre) -> None:
    reception = with_rejects(reported)[0]
    with reported.ledger.begin() as transaction:
        transaction.exec_driver_sql(
            "DELETE FROM laid_out WHERE kind = 'error_listing' AND reception = ?",
            (reception.number,),
        )
    assert "verify.not_laid_out" in [item.key for item in verify_ledger(reported)]


def test_what_its_owner_took_is_not_laid_out_again(reported: Centre) -> None:
    for path in reported.root.glob("exchange/*/outbox/ER_*"):
        path.unlink()
    run_job(reported, REPORT)
    assert not list(reported.root.glob("exchange/*/outbox/ER_*"))
    assert verify_ledger(reported) == []


def small(base: Base, root: Path, opened: Open) -> tuple[Centre, Reception]:
    centre = opened(base.site, root)
    (reception,) = with_rejects(centre)
    return centre, reception


def test_an_altered_result_is_not_reported(base: Base, root: Path, opened: Open) -> None:
    centre, reception = small(base, root, opened)
    path = root / "results" / f"{reception.original}.sealed"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SealBroken):
        run_job(centre, REPORT)
    assert not list(root.glob("exchange/*/outbox/ER_*"))
    assert list(centre.folder("temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("UPDATE reception SET result_sha256 = 'ab'", "engine.result_other"),
        ("UPDATE insurer_count SET rejected = rejected + 1", "engine.report_lines"),
    ],
)
def test_a_result_that_is_not_what_the_ledger_says_is_not_reported(
    change: str, key: str, base: Base, root: Path, opened: Open
) -> None:
    centre, reception = small(base, root, opened)
    column = "number" if "reception SET" in change else "reception"
    with centre.ledger.begin() as transaction:
        transaction.exec_driver_sql(f"{change} WHERE {column} = {reception.number}")
    with pytest.raises(IntegrityError) as caught:
        run_job(centre, REPORT)
    assert caught.value.key == key
    assert not list(root.glob("exchange/*/outbox/ER_*"))


def test_once_the_result_is_erased_there_is_no_report(base: Base, root: Path, opened: Open) -> None:
    reception = small(base, root, opened)[1]
    later = nights.Prepared(root, base.site.key_file, base.site.now.replace(year=2027))
    centre = opened(later)
    due = [item.number for item in centre.ledger.closed_unerased()]
    times = 1 + due.index(reception.number)
    with stopping(centre, "original's key destroyed", times=times):
        run_job(centre, nights.ERASE)
    assert not centre.ledger.reception(reception.number).original_erased  # not known yet
    run_job(centre, REPORT)
    run_job(centre, nights.ERASE)
    assert centre.ledger.reception(reception.number).original_erased
    run_job(centre, REPORT)
    assert not list(root.glob("exchange/*/outbox/ER_*"))
    assert verify_ledger(centre) == []


def test_the_ledger_counts_the_errors_of_a_report(reported: Centre) -> None:
    for reception in with_rejects(reported):
        rows = {row.kind: row.lines for row in reported.ledger.laid_out(reception.number)}
        errors = len(listed(paths_of(reported, reception)["error_listing"]))
        assert rows["error_listing"] == rows["error_report"] == errors

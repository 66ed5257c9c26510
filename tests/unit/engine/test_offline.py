from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pyrage
import pytest
from centres import LIMITS, Place, lay
from plain_files import Plain, persons, samples, shipped_format

from koukan.codecs import gate
from koukan.engine.offline import Finding, Report, check_file
from koukan.errors import TransientError, UsageError
from koukan.formats import Catalogue
from koukan.ledger import Reception
from koukan.samples.bulk import codes_without_history
from koukan.samples.faults import FILE_FAULTS
from koukan.samples.line_faults import LINE_FAULTS
from koukan.samples.offered import sender_of, wish, write_sample
from koukan.samples.scenario import INSURERS, SCENARIO, site_toml
from koukan.samples.writing import file_name

AGAINST_SITE = ("R4", "W401", "W422", "R222", "H205")  # only the tables or site.toml can tell
AGAINST_QUESTIONS = ("R501", "R502", "R503", "D301", "D501", "H201", "H202", "H203", "H204")

SHOWN = ("line", "record_number", "code", "label", "text", "action")


def results(place: Place, sender: str, names: str = "RR_*") -> list[tuple[str, ...]]:
    """What the result file says of single lines, but of persons whom only tables or site reject."""
    (path,) = place.outbox(sender).glob(names)
    rows = [line.split(",") for line in path.read_bytes().decode("cp932").splitlines()]
    found = [row for row in rows if row[0] == "21" and row[5]]
    unknown = {row[2] for row in found if row[5].startswith(AGAINST_SITE)}
    return [(row[1], row[2], *row[5:9]) for row in found if row[2] not in unknown]


def shown(findings: Report) -> list[tuple[str, ...]]:
    return [tuple(str(getattr(item, name)) for name in SHOWN) for item in findings.findings]


def received(place: Place) -> Reception:
    place.run()
    with place.opened() as centre:
        (reception,) = centre.ledger.receptions()
        return reception


@pytest.mark.parametrize("sender", ["kenpo-a", "fukushi", "nhi-aggregation"])
def test_the_offline_checker_finds_what_a_real_run_finds(
    empty: Place, catalogue: Catalogue, sender: str
) -> None:
    insurer = {"nhi-aggregation": "mihon-shi"}.get(sender, sender)
    codes = codes_without_history(INSURERS[insurer][0])
    path = lay(empty, sender, 1, persons=600, bad_persons=3 * len(codes), insurer=insurer)
    report = check_file(path, catalogue)
    reception = received(empty)
    with empty.opened() as centre:
        (counts,) = centre.ledger.counts(1)
    assert reception.outcome == "accepted"
    assert (report.form, report.code) == (reception.format, None)
    assert report.rows == reception.rows
    assert shown(report) == results(empty, sender)
    by_itself = {code for code in codes if not code.startswith(AGAINST_SITE)}
    assert by_itself <= {item.code for item in report.findings}
    # Only the history shows re-entries of nobody (R403), and only the site who issues no ticket.
    lines = {"R403": 3, "R222": 4}  # of a person
    unknown = sum(3 * lines[code] for code in codes if code.startswith(AGAINST_SITE))
    assert report.counts == {
        "received": counts.received,
        "accepted": counts.accepted + unknown,
        "rejected": counts.rejected - unknown,
        "duplicate": counts.duplicate,
    }


def test_files_of_many_pieces_are_checked_as_in_one(empty: Place, catalogue: Catalogue) -> None:
    path = lay(empty, "kenpo-a", 1, persons=60_000, bad_persons=6_000)
    assert path.stat().st_size > gate.CUT
    report = check_file(path, catalogue)
    assert report.code is None
    received(empty)
    assert shown(report) == results(empty, "kenpo-a")


QUESTIONS = ("my_number_query", "basic_four_query")


def sample_of(
    folder: Path, catalogue: Catalogue, name: str, sender: str, *, codes: Sequence[str], rows: int
) -> Path:
    """A file of lines that stand alone, with these faults."""
    form = catalogue.formats[name]
    path = folder / file_name(form, sender, 1)
    wished = wish(form, codes, rows=rows, seed=3, mode=None)
    write_sample(path, form, sender_of(form.name, sender, catalogue), wished)
    return path


@pytest.mark.parametrize("cut", [1 << 24, 1 << 12])  # one piece, and many
@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_are_checked_as_the_centre_checks_them(
    empty: Place, catalogue: Catalogue, name: str, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "CUT", cut)
    monkeypatch.setattr(gate, "BLOCK", min(gate.BLOCK, cut))
    form = catalogue.formats[name]
    codes = list(LINE_FAULTS[name])
    keys = {INSURERS["kenpo-a"][0].code: str(pyrage.x25519.Identity.generate().to_public())}
    empty.write_site(f"buckets = 4\n{site_toml(package_keys=keys)}{LIMITS}")
    place = empty.root / "exchange" / "kenpo-a" / "inbox" / "dedicated_terminal"
    path = sample_of(place, catalogue, form.name, "kenpo-a", codes=codes, rows=400)
    report = check_file(path, catalogue, now=empty.now)
    empty.run("ask_identity")
    with empty.opened() as centre:
        (reception,) = centre.ledger.receptions()
        assert (reception.outcome, reception.code) == ("accepted", None)
        (counts,) = centre.ledger.counts(reception.number)
    assert (report.form, report.code) == (reception.format, None)
    assert report.rows == reception.rows
    assert report.counts == {name: getattr(counts, name) for name in report.counts}
    assert shown(report) == results(empty, "kenpo-a", "QA_*")
    assert set(codes) <= {item.code for item in report.findings}


@pytest.mark.parametrize(
    ("name", "sender"), [("juki_net_answer", "juki-net"), ("package_receipt", "kenpo-a")]
)
def test_answers_and_receipts_are_checked_as_far_as_they_tell(
    tmp_path: Path, catalogue: Catalogue, name: str, sender: str
) -> None:
    form = catalogue.formats[name]
    codes = [code for code in LINE_FAULTS[name] if code not in AGAINST_QUESTIONS]
    path = sample_of(tmp_path, catalogue, form.name, sender, codes=codes, rows=300)
    report = check_file(path, catalogue)
    assert (report.form, report.code) == (name, None)
    assert {item.code for item in report.findings} >= set(codes)
    assert report.counts["received"] == report.rows == sum(list(report.counts.values())[1:])
    wrong = {item.line for item in report.findings if item.code[0] == "R"}
    assert report.counts["rejected"] == len(wrong)


@pytest.mark.parametrize("fault", sorted(set(FILE_FAULTS) - {"stranger", "original"}))
@pytest.mark.parametrize("sender", ["kenpo-a", "nhi-aggregation"])
def test_a_file_is_refused_with_the_same_code_and_line(
    empty: Place, catalogue: Catalogue, sender: str, fault: str
) -> None:
    insurer = {"nhi-aggregation": "mihon-shi"}.get(sender, sender)
    path = lay(empty, sender, 1, persons=60, insurer=insurer)
    form = catalogue.formats[SCENARIO.sender(sender).format]
    if form.file.syntax not in FILE_FAULTS[fault].syntaxes:
        pytest.skip("this mistake does not exist in the format's syntax")
    name, content = FILE_FAULTS[fault](path.name, path.read_bytes(), form)
    path.unlink()
    path = path.with_name(name)
    path.write_bytes(content)
    report = check_file(path, catalogue, form.name)
    reception = received(empty)
    assert reception.outcome == "refused"
    assert (report.code, report.line) == (reception.code, reception.line)
    assert report.code == FILE_FAULTS[fault].code


def test_a_refused_file_has_no_counts_and_no_findings(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "MR_kenpo-a_000001.csv"
    path.write_bytes(b"nothing\r\n")
    report = check_file(path, catalogue)
    assert set(report.counts.values()) == {0}
    assert list(report.findings) == []


def test_a_name_of_no_format_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "members.csv"
    path.write_bytes(persons(shipped_format("csv"), 2).content())
    assert check_file(path, catalogue) == check_file(path, catalogue)
    report = check_file(path, catalogue)
    assert (report.form, report.code, report.rows) == ("", "F101", 0)


def test_a_wrong_name_does_not_keep_the_content_from_being_checked(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    path = tmp_path / "draft.csv"
    path.write_bytes(persons(shipped_format("csv"), 2, post_number="12").content())
    report = check_file(path, catalogue, "member_registration")
    assert (report.code, report.line, report.rows) == ("F101", 0, 6)
    assert "R102" in {item.code for item in report.findings}


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("MR_kenpo-b_000001.csv", {}),
        ("MR_kenpo-a_000002.csv", {}),
        ("MR_kenpo-a_000000.csv", {"file_sequence": "000000"}),
    ],
    ids=["sender", "sequence", "zero"],
)
def test_name_and_control_record_must_agree(
    tmp_path: Path, catalogue: Catalogue, name: str, control: dict[str, str]
) -> None:
    path = tmp_path / name
    path.write_bytes(persons(shipped_format("csv"), 2).changed(control=control).content())
    report = check_file(path, catalogue)
    assert (report.code, report.line, report.rows) == ("F119", 1, 6)


def test_a_file_without_data_lines_has_nothing_to_find(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    path = tmp_path / "MR_kenpo-a_000001.csv"
    path.write_bytes(Plain(shipped_format("csv"), ()).content())
    report = check_file(path, catalogue)
    assert (report.code, report.rows, list(report.findings)) == (None, 0, [])


def test_findings_speak_both_languages_and_repeat_no_value(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    form = shipped_format("csv")
    lines = [
        (record.section, samples(form, record.section, my_number="123456789012"))
        for record in form.required
    ]
    path = tmp_path / "MR_kenpo-a_000001.csv"
    path.write_bytes(Plain(form, tuple(lines)).content())
    japanese = check_file(path, catalogue).findings
    english = check_file(path, catalogue, language="en").findings
    assert japanese[0] == Finding(
        line=2,
        record_number="0000000001",
        section="basic",
        field="my_number",
        label="個人番号",
        code="R201",
        title=catalogue.reasons["R201"].title,
        text=catalogue.reasons["R201"].text,
        action=catalogue.reasons["R201"].action,
    )
    assert [item.text for item in english] == [catalogue.reasons["R201"].text_en] * 3
    assert [(item.line, item.section) for item in english] == [
        (2, "basic"),
        (3, "qualification"),
        (4, "certificate"),
    ]
    assert "12345678901" not in repr(list(japanese)) + repr(list(english))


def test_findings_are_a_sequence(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "MR_kenpo-a_000001.csv"
    path.write_bytes(persons(shipped_format("csv"), 4, post_number="12").content())
    found = check_file(path, catalogue).findings
    whole = list(found)
    assert len(found) == len(whole) == 12
    assert list(found[:3]) == whole[:3]
    assert found[-1] == whole[-1]
    with pytest.raises(IndexError):
        found[12]
    assert "7桁" in next(item.text for item in found if item.code == "R102")


def test_formats_and_files_that_there_are_not_are_usage_errors(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    path = tmp_path / "MR_kenpo-a_000001.csv"
    with pytest.raises(UsageError) as error:
        check_file(path, catalogue)
    assert error.value.key == "offline.no_file"
    with pytest.raises(UsageError) as error:
        check_file(path, catalogue, "acknowledgement")
    assert error.value.key == "offline.no_format"
    inbound = [form.name for form in catalogue.formats.values() if form.direction == "inbound"]
    assert error.value.where["known"] == ", ".join(sorted(inbound))


def test_a_file_that_changes_while_it_is_checked_is_not_judged(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    path = tmp_path / "MR_kenpo-a_000001.csv"
    content = persons(shipped_format("csv"), 30_000).content()
    path.write_bytes(content)
    stop = threading.Event()

    def touch() -> None:
        moment = 0
        while not stop.is_set():
            moment += 1
            os.utime(path, ns=(moment, moment))

    other = threading.Thread(target=touch)
    other.start()
    try:
        with pytest.raises(TransientError) as error:
            check_file(path, catalogue)
    finally:
        stop.set()
        other.join()
    assert error.value.key == "offline.changed"

"""The way back: rejected lines come in a package, are mended and sent; totals are restated."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from centres import LIMITS, Place, lay
from package_support import pair
from plain_files import shipped_format

from koukan import reports
from koukan.cli import render
from koukan.cli.settings import Settings
from koukan.codecs.extract import Extract
from koukan.engine.centre import open_centre
from koukan.engine.digest import state_digest
from koukan.engine.initialise import initialise
from koukan.engine.offline import check_file
from koukan.engine.packages import open_package
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.keys.package import load_package_identity
from koukan.ledger import Reception
from koukan.ledger.corrections import corrections, set_mended
from koukan.samples.scenario import INSURERS, site_toml

NIGHT, REPORT, ERASE = "register_members", "report_errors", "erase_expired"
SENDER, INSURER = "kenpo-a", INSURERS["kenpo-a"][0].code
FORM = shipped_format("csv")
ORIGINAL = [item.name for item in FORM.control].index("original_reception_number")
SEQUENCE = [item.name for item in FORM.control].index("file_sequence")


class Stop(Exception):
    """What a test stops a run with."""


@pytest.fixture(scope="module")
def after_night(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A night in which 1 (kenpo-a) and 3 (kyokai) had rejected lines, and 2 (kenpo-a) had none."""
    root = tmp_path_factory.mktemp("corrections")
    place = Place(root / "site", root / "batch.key")
    place.root.mkdir()
    place.write_site(f"buckets = 2\n{site_toml(package_keys={INSURER: pair().public})}{LIMITS}")
    initialise(place.root, place.key)
    lay(place, SENDER, 1, persons=40, bad_persons=12)
    lay(place, "kyokai", 1, persons=20, bad_persons=5, first_person=500)
    lay(place, SENDER, 2, persons=5, first_person=700)
    place.run(NIGHT)
    place.run(REPORT)
    return place


@pytest.fixture
def place(after_night: Place, tmp_path: Path) -> Place:
    """A copy of that night's site."""
    root = tmp_path / "site"
    shutil.copytree(after_night.root, root, symlinks=True)
    return replace(after_night, root=root)


def handed_out(place: Place, reception: int, tmp_path: Path) -> list[bytes]:
    """The lines of the file in a reception's package, opened as its insurer opens it."""
    (path,) = place.outbox(SENDER).glob(f"CF_*_{reception:010d}_*.age")
    with place.opened() as centre:
        signer = centre.signer.ssh
    into = tmp_path / f"opened-{reception}"
    found = open_package(path, load_package_identity(pair().file(tmp_path)), signer, into)
    (file,) = found.files
    return (into / file.name).read_bytes().splitlines(keepends=True)


def right_lines(place: Place, tmp_path: Path, *, persons: int = 40) -> list[bytes]:
    """What the first file should have said."""
    path = lay(place, SENDER, 999, persons=persons)
    content = path.read_bytes()
    path.unlink()
    return content.splitlines(keepends=True)[1:-1]


def send(
    place: Place, sequence: int, control: bytes, lines: Iterable[bytes], original: int | None = None
) -> Path:
    """A file as a clerk sends it back: its lines mended, with the next number."""
    head = control.rstrip(b"\r\n").split(b",")
    head[SEQUENCE] = f"{sequence:06d}".encode()
    if original is not None:
        head[ORIGINAL] = f"{original:010d}".encode()
    content, extract = b"".join(lines), Extract(FORM, INSURER)
    data = extract.chosen(content, 0, np.arange(content.count(b"\n")))
    path = place.inbox(SENDER) / f"MR_{SENDER}_{sequence:06d}.csv"
    path.write_bytes(b"".join([b",".join(head), b"\r\n", data, extract.end()]))
    return path


def mended(place: Place, tmp_path: Path, given: list[bytes]) -> list[bytes]:
    """The lines of those persons, as they should have been."""
    numbers = {line[:10] for line in given[1:-1]}
    return [line for line in right_lines(place, tmp_path) if line[:10] in numbers]


def received(place: Place, number: int) -> Reception:
    with place.opened() as centre:
        return centre.ledger.reception(number)


def counts(place: Place, number: int) -> tuple[int, int, int]:
    with place.opened() as centre:
        (item,) = centre.ledger.counts(number)
    return item.received, item.accepted, item.rejected


def codes(place: Place, number: int) -> dict[str, int]:
    with place.opened() as centre:
        return {code: lines for _, code, lines in centre.ledger.findings(number)}


def told(place: Place, number: int) -> list[str]:
    """The lines about the original in a file's acknowledgement."""
    path = next(place.outbox(SENDER).glob(f"AK_*_{number:010d}.csv"))
    return [line for line in path.read_text("cp932").splitlines() if line.startswith("16,")]


def totals(place: Place, number: int) -> dict[str, Any]:
    with place.opened() as centre:
        found = reports.reception(centre, number)["corrected"]
    assert found is not None
    return dict(found)


def sound(place: Place) -> bool:
    with place.opened() as centre:
        return verify_ledger(centre) == []


def test_mended_lines_are_merged_and_the_totals_restated(place: Place, tmp_path: Path) -> None:
    before, (_, accepted, rejected) = received(place, 1), counts(place, 1)
    given = handed_out(place, 1, tmp_path)
    assert given[0].split(b",")[ORIGINAL].strip() == b"0000000001"
    assert len(given) - 2 == rejected > 0
    lines = mended(place, tmp_path, given)
    path = send(place, 3, given[0], lines)
    with place.opened() as centre:
        assert check_file(path, centre.catalogue).counts["rejected"] == 0
    place.run(NIGHT)
    assert counts(place, 4) == (len(lines), len(lines), 0)
    assert received(place, 1) == before
    found = totals(place, 1)
    assert (found["original"], found["root"]) == (None, 1)
    assert (found["accepted"], found["rejected"]) == (accepted, rejected)
    assert found["corrected"] == rejected
    assert found["files"] == [{"reception": 4, "original": 1, "lines": rejected}]
    assert totals(place, 4) == {**found, "original": 1}
    received_lines = accepted + rejected
    assert told(place, 4) == [
        f"16,0000000001,{received_lines:08d},{accepted:08d},{rejected:08d},{rejected:08d}"
    ]
    assert sound(place)


def test_an_operator_reads_the_restated_totals(place: Place, tmp_path: Path) -> None:
    given = handed_out(place, 1, tmp_path)
    send(place, 3, given[0], mended(place, tmp_path, given))
    place.run(NIGHT)
    with place.opened() as centre:
        page = {**reports.reception(centre, 1), "why": None}
        shown = [str(line) for line in render.reception(Settings({}), centre.catalogue, page)]
    rejected = len(given) - 2
    assert any(f"エラー {rejected}（うち訂正済み {rejected}）" in line for line in shown)
    assert f"受付番号 4（訂正元 1）: {rejected} 行を訂正" in shown


def test_only_persons_who_were_rejected_are_taken_and_only_once(
    place: Place, tmp_path: Path
) -> None:
    given = handed_out(place, 1, tmp_path)
    lines = mended(place, tmp_path, given)
    good = [line for line in right_lines(place, tmp_path) if line not in lines]
    stranger = [line for line in good if line[:10] == good[0][:10]]
    half = {line[:10] for line in lines[: len(lines) // 2]}
    first = [line for line in lines if line[:10] in half]
    send(place, 3, given[0], [*stranger, *first])
    place.run(NIGHT)
    assert counts(place, 4) == (len(stranger) + len(first), len(first), len(stranger))
    assert codes(place, 4) == {"R307": len(stranger)}
    mended_first = totals(place, 1)["corrected"]
    assert 0 < mended_first < len(given) - 2
    send(place, 4, given[0], lines)  # the first half once more
    place.run(NIGHT)
    assert counts(place, 5) == (len(lines), len(lines) - len(first), len(first))
    assert codes(place, 5) == {"R307": len(first)}
    assert totals(place, 1)["corrected"] == len(given) - 2
    assert told(place, 4)[0].endswith(f"{mended_first:08d}")  # as it was then
    # a stranger of the first correction does not come in as its correction
    send(place, 5, given[0], stranger, original=4)
    place.run(NIGHT)
    assert codes(place, 6) == {"R307": len(stranger)}
    assert sound(place)


def test_mended_lines_are_counted_anew_by_the_verifier(place: Place, tmp_path: Path) -> None:
    """Of each correction by itself, in their order; no longer when what tells it is erased."""
    given = handed_out(place, 1, tmp_path)
    lines = mended(place, tmp_path, given)
    half = {line[:10] for line in lines[: len(lines) // 2]}
    first = [line for line in lines if line[:10] in half]
    send(place, 3, given[0], first)
    place.run(NIGHT)
    send(place, 4, given[0], lines)
    place.run(NIGHT)
    assert sound(place)
    with place.opened() as centre:
        numbers = [(item.reception, item.mended) for item in corrections(centre.ledger)]
        assert [count for _, count in numbers] == [len(first), len(lines) - len(first)]
        for reception, count in numbers:
            with centre.ledger.begin() as transaction:
                set_mended(transaction, reception, count + 1)
            (found,) = verify_ledger(centre)
            assert (found.key, found.where["reception"]) == ("verify.mended", str(reception))
            assert found.where["known"] == f"{count + 1} ≠ {count}"
            with centre.ledger.begin() as transaction:
                set_mended(transaction, reception, count)
    place.now += timedelta(days=40)
    place.run(ERASE)
    assert sound(place)


def test_sent_twice_in_one_night_the_first_counts(place: Place, tmp_path: Path) -> None:
    given = handed_out(place, 1, tmp_path)
    lines = mended(place, tmp_path, given)
    send(place, 3, given[0], lines)
    send(place, 4, given[0], lines)
    place.run(NIGHT)
    assert counts(place, 4)[1:] == (len(lines), 0)
    assert counts(place, 5)[1:] == (0, len(lines))
    assert received(place, 4).group_number != received(place, 5).group_number
    assert [item["lines"] for item in totals(place, 1)["files"]] == [len(given) - 2, 0]


def test_a_correction_of_a_correction_counts_for_the_first_file(
    place: Place, tmp_path: Path
) -> None:
    given = handed_out(place, 1, tmp_path)
    lines = mended(place, tmp_path, given)
    last = {lines[-1][:10]}
    wrong = [line for line in given[1:-1] if line[:10] in last]
    send(place, 3, given[0], [*(line for line in lines if line[:10] not in last), *wrong])
    place.run(NIGHT)
    place.run(REPORT)
    assert counts(place, 4)[2] == len(wrong)
    again = handed_out(place, 4, tmp_path)
    assert again[0].split(b",")[ORIGINAL].strip() == b"0000000004"
    assert again[1:-1] == wrong
    send(place, 4, again[0], [line for line in lines if line[:10] in last])
    place.run(NIGHT)
    assert counts(place, 5)[2] == 0
    found = totals(place, 1)
    assert found["corrected"] == found["rejected"]
    assert [item["original"] for item in found["files"]] == [1, 4]
    assert told(place, 5)[0].startswith("16,0000000001,")


@pytest.mark.parametrize(
    "original",
    [2, 3, 77, 0],
    ids=["without rejected lines", "another sender's", "unknown", "zero"],
)
def test_another_original_refuses_the_file(place: Place, tmp_path: Path, original: int) -> None:
    given = handed_out(place, 1, tmp_path)
    send(place, 3, given[0], mended(place, tmp_path, given), original=original)
    place.run(NIGHT)
    found = received(place, 4)
    assert (found.outcome, found.code, found.line) == ("refused", "F122", 1)
    assert sound(place)


def test_what_is_kept_no_longer_cannot_be_corrected(place: Place, tmp_path: Path) -> None:
    """Neither by a file that comes then, nor by one that waited behind a gap meanwhile."""
    given = handed_out(place, 1, tmp_path)
    lines = mended(place, tmp_path, given)
    send(place, 4, given[0], lines)
    place.run(NIGHT)
    assert received(place, 4).code == "H101"
    place.now += timedelta(days=40)
    place.run(ERASE)
    send(place, 3, given[0], lines)
    place.run(NIGHT)
    assert (received(place, 5).outcome, received(place, 5).code) == ("refused", "F122")
    lay(place, SENDER, 3, persons=3, first_person=800)
    place.run(NIGHT)
    assert received(place, 6).outcome == "accepted"
    assert (received(place, 4).outcome, received(place, 4).code) == ("refused", "F122")
    assert sound(place)


def test_killed_anywhere_it_ends_the_same(place: Place, tmp_path: Path) -> None:
    given = handed_out(place, 1, tmp_path)
    lines = mended(place, tmp_path, given)
    stranger = right_lines(place, tmp_path)[:3]
    send(place, 3, given[0], [*stranger, *(line for line in lines if line not in stranger)])
    send(place, 4, given[0], lines)
    whole = replace(place, root=tmp_path / "whole")
    shutil.copytree(place.root, whole.root, symlinks=True)
    whole.run(NIGHT)
    events = ("gated", "linked", "written", "table committed", "committed")
    for number, event in enumerate(events):
        killed = replace(place, root=tmp_path / f"killed-{number}")
        shutil.copytree(place.root, killed.root, symlinks=True)

        def observe(found: str, wanted: str = event, **_where: object) -> None:
            if found == wanted:
                raise Stop

        centre = open_centre(killed.root, killed.key, clock=lambda: place.now, observe=observe)
        with pytest.raises(Stop):
            run_job(centre, NIGHT)
        centre.close()
        killed.run(NIGHT)
        with whole.opened() as one, killed.opened() as other:
            assert state_digest(one) == state_digest(other), event
        assert totals(killed, 1) == totals(whole, 1)

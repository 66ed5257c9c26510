"""Correction packages: an insurer's rejected lines as sent, sealed to its key, to be mended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from centres import LIMITS, Place, lay
from package_support import new_pair, pair

from koukan import reports
from koukan.cli import main
from koukan.codecs.gate import Gate
from koukan.engine.centre import open_centre
from koukan.engine.confirming import write_receipt
from koukan.engine.initialise import initialise
from koukan.engine.packages import open_package
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit
from koukan.keys.package import load_package_identity
from koukan.reports.package_list import package_list
from koukan.samples.scenario import INSURERS, site_toml

REPORT, DELIVER, ERASE = "report_errors", "confirm_delivery", "erase_expired"
CODES = {name: INSURERS[name][0].code for name in ("kenpo-a", "kyokai")}


class Stop(Exception):
    """What a test stops a run with."""


@pytest.fixture
def keyed(tmp_path: Path) -> Place:
    """A centre in which kenpo-a has a key, and had a night with rejected lines, as kyokai had."""
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key")
    place.root.mkdir()
    keys = {CODES["kenpo-a"]: pair().public}
    place.write_site(f"buckets = 4\n{site_toml(package_keys=keys)}{LIMITS}")
    initialise(place.root, place.key)
    lay(place, "kenpo-a", 1, persons=60, bad_persons=12)
    lay(place, "kyokai", 1, persons=60, bad_persons=12, first_person=500)
    place.sent = (place.inbox("kenpo-a") / "MR_kenpo-a_000001.csv").read_bytes()  # type: ignore[attr-defined]
    place.run()
    return place


def packages(place: Place) -> list[Path]:
    return sorted(place.root.glob("exchange/*/outbox/CF_*.age"))


def opened(place: Place, tmp_path: Path) -> bytes:
    """The one file in the one package."""
    (path,) = packages(place)
    into = tmp_path / "opened"
    with place.opened() as centre:
        signer = centre.signer.ssh
    found = open_package(path, load_package_identity(pair().file(tmp_path)), signer, into)
    (file,) = found.files
    return (into / file.name).read_bytes()


def rejected(place: Place) -> tuple[int, list[bytes]]:
    """How many lines of kenpo-a's file were rejected, and those lines as they were sent."""
    path = next(place.outbox("kenpo-a").glob("RR_*"))
    lines = [line.split(b",") for line in path.read_bytes().splitlines()]
    numbers = sorted({int(line[1]) for line in lines if line[0] == b"21" and line[3] == b"2"})
    sent = place.sent.splitlines(keepends=True)  # type: ignore[attr-defined]
    return len(numbers), [sent[number - 1] for number in numbers]


def boundary(place: Place, job: str, event: str) -> Iterator[None]:
    def observe(found: str, **_where: object) -> None:
        if found == event:
            raise Stop

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=observe)
    try:
        with pytest.raises(Stop):
            run_job(centre, job)
    finally:
        centre.close()
    yield


def test_wrong_lines_come_back_as_they_were_sent_in_a_file_that_passes_the_gate(
    keyed: Place, tmp_path: Path
) -> None:
    keyed.run(REPORT)
    content = opened(keyed, tmp_path)
    count, lines = rejected(keyed)
    assert count > 0
    found = content.splitlines(keepends=True)
    control = keyed.sent.splitlines()[0]  # type: ignore[attr-defined]
    assert found[0] == control + b"0000000001\r\n"  # the reception that a mended file goes back to
    assert found[1:-1] == lines
    with keyed.opened() as centre:
        form = centre.catalogue.formats["member_registration"]
        assert Gate(form).read([content]).code is None
        assert [item.rejected for item in centre.ledger.counts(1)] == [count]
        assert verify_ledger(centre) == []


def test_an_insurer_without_a_key_gets_none_and_the_report_says_so(keyed: Place) -> None:
    keyed.run(REPORT)
    assert len(packages(keyed)) == 1
    with keyed.opened() as centre:
        told = {number: reports.reception(centre, number) for number in (1, 2)}
    assert [told[number]["without_key"] for number in (1, 2)] == [[], [CODES["kyokai"]]]
    kinds = [item["kind"] for item in told[1]["laid_out"]]
    assert f"correction:{CODES['kenpo-a']}" in kinds


def test_mended_lines_are_an_ordinary_file(keyed: Place, tmp_path: Path) -> None:
    """The same persons, mended, under the next number: then nothing is left to correct."""
    keyed.run(REPORT)
    content = opened(keyed, tmp_path)
    mended = lay(keyed, "kenpo-a", 2, persons=60)  # what the bad persons should have been
    good = mended.read_bytes().splitlines(keepends=True)
    numbers = {line[:10] for line in content.splitlines()[1:-1]}
    kept = [line for line in good[1:-1] if line[:10] in numbers]
    assert len(kept) == len(content.splitlines()) - 2
    end = content.splitlines(keepends=True)[-1]
    mended.write_bytes(b"".join([good[0], *kept, end]))  # as restated: the same lines, mended
    keyed.run()
    with keyed.opened() as centre:
        (counted,) = centre.ledger.counts(3)
        assert (counted.received, counted.accepted) == (len(kept), len(kept))


def test_nothing_of_a_line_lies_in_plain_anywhere(keyed: Place) -> None:
    _, lines = rejected(keyed)
    keyed.run(REPORT)
    for path in keyed.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [line for line in lines if line[11:60] in content], path.name


@pytest.mark.parametrize("event", ["correction laid out", "corrections laid out"])
def test_stopped_anywhere_the_next_run_does_the_rest(keyed: Place, event: str) -> None:
    for _ in boundary(keyed, REPORT, event):
        assert len(packages(keyed)) == 1
    keyed.run(REPORT)
    (path,) = packages(keyed)
    before = path.read_bytes()
    keyed.run(REPORT)
    assert path.read_bytes() == before
    with keyed.opened() as centre:
        assert verify_ledger(centre) == []


def told(place: Place) -> list[tuple[str, str, str | None]]:
    """Kind, state and key of every package, as `koukan package list` tells them."""
    with place.opened() as centre:
        return [(one["kind"], one["state"], one.get("key")) for one in package_list(centre)]


def test_a_package_that_was_taken_is_gone(keyed: Place, capsys: pytest.CaptureFixture[str]) -> None:
    keyed.run(REPORT)
    assert told(keyed) == [("correction", "laid_out", "current")]
    assert main(["package", "list", "--root", str(keyed.root)]) == Exit.DONE
    assert "訂正用の行" in capsys.readouterr().out
    (path,) = packages(keyed)
    taken = keyed.root / "exchange" / "kenpo-a" / "taken"
    (taken / path.name).write_bytes(b"another one")
    keyed.run(DELIVER)
    assert packages(keyed) == [path]  # what was taken is not what was laid out
    path.rename(taken / path.name)
    keyed.run(DELIVER)
    assert list(taken.iterdir()) == []
    assert not list(keyed.outbox("kenpo-a").glob("CF_*"))
    keyed.run(REPORT)  # and none is made again
    assert packages(keyed) == []
    assert told(keyed) == [("correction", "erased", None)]
    with keyed.opened() as centre:
        assert verify_ledger(centre) == []


def test_what_nobody_took_goes_with_the_original(keyed: Place) -> None:
    keyed.run(REPORT)
    keyed.now += timedelta(days=40)
    keyed.run(ERASE)
    assert not list(keyed.outbox("kenpo-a").glob("CF_*"))
    keyed.run(REPORT)
    assert packages(keyed) == []
    assert told(keyed) == [("correction", "expired", None)]
    with keyed.opened() as centre:
        assert verify_ledger(centre) == []


def with_key(place: Place, public: str) -> None:
    """Another key of kenpo-a's in site.toml."""
    text = (place.root / "site.toml").read_text(encoding="utf-8")
    (place.root / "site.toml").write_text(text.replace(pair().public, public), encoding="utf-8")


def test_for_another_key_it_is_made_anew_while_it_lies_there(keyed: Place, tmp_path: Path) -> None:
    keyed.run(REPORT)
    (path,) = packages(keyed)
    with keyed.opened() as centre:
        signer = centre.signer.ssh
    first = open_package(path, pair().identity(tmp_path), signer)
    fresh = new_pair("age")
    with_key(keyed, fresh.public)
    for _ in boundary(keyed, REPORT, "correction laid out"):
        pass  # killed before the ledger knows what lies there now
    keyed.run(REPORT)
    again = open_package(path, fresh.identity(tmp_path), signer)
    assert again.archive_sha256 == first.archive_sha256
    before = path.read_bytes()
    keyed.run(REPORT)
    assert path.read_bytes() == before
    with keyed.opened() as centre:
        assert verify_ledger(centre) == []


def test_who_confirms_it_by_its_archive_has_it(keyed: Place, tmp_path: Path) -> None:
    keyed.run(REPORT)
    (path,) = packages(keyed)
    with keyed.opened() as centre:
        signer = centre.signer.ssh
        form = centre.catalogue.formats["package_receipt"]
    found = open_package(path, pair().identity(tmp_path), signer)
    wrong = found._replace(archive_sha256="0" * 64)
    inbox = keyed.root / "exchange" / "kenpo-a" / "inbox" / "dedicated_terminal"
    for sequence, opened_as, left in ((1, wrong, [path]), (2, found, [])):
        write_receipt(
            inbox, form, [opened_as], sender="kenpo-a", sequence=sequence, day=keyed.now.date()
        )
        keyed.run(DELIVER)
        assert packages(keyed) == left
    assert not list(keyed.outbox("kenpo-a").glob("CF_*"))
    keyed.run(REPORT)  # and none is made again
    assert packages(keyed) == []
    with keyed.opened() as centre:
        told = [
            (item.insurer, item.accepted, item.rejected)
            for number in (3, 4)
            for item in centre.ledger.counts(number)
        ]
        assert told == [(CODES["kenpo-a"], 0, 1), (CODES["kenpo-a"], 1, 0)]
        assert verify_ledger(centre) == []

"""Insurers that come by SFTP: a package is collected and gone; swapped files are refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sftp_site
from centres import lay
from journey import nights

from koukan.engine.centre import open_centre
from koukan.keys.identity import create_identity
from koukan.ledger import Reception
from koukan.samples.scenario import INSURERS

SENDER, OTHER, DOOR = "kenpo-a", "kenpo-b", "inbox/server_link"
LARGEST = 4 * 1024**2  # bytes of a file that is uploaded
WAYS = {"sftp": 1, "folder": 2} if nights.LONG else {"sftp": 1}  # way -> number of the right file


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sftp_site.Night]:
    key = create_identity(tmp_path_factory.mktemp("insurer") / "key")
    keys = {INSURERS[SENDER][0].code: key}
    more = f"file_bytes = {LARGEST}\n"
    with sftp_site.night(SENDER, OTHER, package_keys=keys, more=more) as found:
        yield found


def send(night: sftp_site.Night, way: str, sender: str, path: Path, name: str) -> None:
    """A whole file into a sender's inbox, by its account or as if by it."""
    if way == "sftp":
        part = f"{DOOR}/{name}.part"
        path.chmod(0o640)
        commands = f"put {path} {part}\nrename {part} {DOOR}/{name}\n"
        assert night.sftp(sender, commands).returncode == 0
        return
    target = night.exchange / sender / DOOR / name
    shutil.copyfile(path, target)
    os.chown(target, sftp_site.ids(night.site)[sender], -1)
    target.chmod(0o640)


def made(
    night: sftp_site.Night, sender: str, number: int, persons: int, insurer: str | None = None
) -> Path:
    """A sender's file, which it has not sent yet."""
    found = lay(night.place, sender, number, persons=persons, insurer=insurer)
    kept = night.place.root.parent / f"{insurer or 'own'}-{persons}-{found.name}"
    return found.rename(kept)


def receptions(night: sftp_site.Night) -> list[Reception]:
    with sftp_site.as_koukan():
        centre = open_centre(night.place.root, night.place.key)
        try:
            return centre.ledger.receptions()
        finally:
            centre.close()


@pytest.mark.requirement("R207")
def test_a_file_comes_and_a_package_is_collected(night: sftp_site.Night) -> None:
    source = lay(night.place, SENDER, 1, persons=60, bad_persons=1)
    kept = source.rename(night.place.root.parent / source.name)
    kept.chmod(0o640)
    part = f"{DOOR}/{kept.name}.part"
    half = kept.with_name("half")
    half.write_bytes(kept.read_bytes()[:1000])  # as a connection that broke leaves it
    half.chmod(0o640)
    assert night.sftp(SENDER, f"put {half} {part}\n").returncode == 0
    night.run()
    assert not list((night.exchange / SENDER / "outbox").iterdir())  # it grows yet
    done = f"reput {kept} {part}\nrename {part} {DOOR}/{kept.name}\n"
    assert night.sftp(SENDER, done).returncode == 0
    night.run()
    night.run("report_errors")
    outbox = night.exchange / SENDER / "outbox"
    [package] = [path.name for path in outbox.glob("CF_*.age")]
    signed = f"{package}.sig"
    home = night.place.root.parent
    collect = f"get outbox/{package} {home}/p\nget outbox/{signed} {home}/s\n"
    assert night.sftp(SENDER, collect).returncode == 0
    assert (home / "p").read_bytes() == (outbox / package).read_bytes()
    assert night.sftp(SENDER, f"rename outbox/{package} taken/{package}\n").returncode != 0
    copied = f"cp outbox/{package} taken/{package}\ncp outbox/{signed} taken/{signed}\n"
    assert night.sftp(SENDER, copied).returncode == 0
    night.run("confirm_delivery")
    left = [*outbox.glob("CF_*"), *(night.exchange / SENDER / "taken").iterdir()]
    assert left == []


def test_a_file_that_grows_beyond_the_bound_ends_its_session_and_no_other(
    night: sftp_site.Night,
) -> None:
    large = night.place.root.parent / "large"
    large.write_bytes(bytes(LARGEST + 1))
    part = f"{DOOR}/large.csv.part"
    assert night.sftp(SENDER, f"put {large} {part}\n").returncode != 0
    assert (night.exchange / SENDER / part).stat().st_size <= LARGEST
    assert night.sftp(SENDER, f"rm {part}\n").returncode == 0
    assert night.sftp(OTHER, "ls outbox\n").returncode == 0


def laid(night: sftp_site.Night, sender: str) -> set[str]:
    """Names in a sender's outbox."""
    return {path.name for path in (night.exchange / sender / "outbox").iterdir()}


@pytest.mark.requirement("R207")
@pytest.mark.parametrize("way", WAYS)
def test_files_of_two_insurers_that_were_swapped_are_refused_and_the_right_one_is_taken(
    night: sftp_site.Night, way: str
) -> None:
    known, number = len(receptions(night)), WAYS[way]
    before = {sender: laid(night, sender) for sender in (SENDER, OTHER)}
    of_a, of_b = (made(night, sender, number, 4 + number) for sender in (SENDER, OTHER))
    names = [f"MR_{sender}_{number:06d}.csv" for sender in (SENDER, OTHER)]
    # Under their own names, under the right names, and one that speaks for the other's insurer.
    send(night, way, OTHER, of_a, names[0])
    send(night, way, SENDER, of_b, names[1])
    send(night, way, OTHER, of_a, names[1])
    send(night, way, SENDER, of_b, names[0])
    night.run()
    strange = made(night, SENDER, number, 6 + number, insurer=OTHER)
    send(night, way, SENDER, strange, names[0])
    night.run()
    came = receptions(night)[known:]
    assert {item.outcome for item in came} == {"refused"}
    assert [(item.sender, item.code) for item in came] == [
        *((SENDER, "F119"), (SENDER, "F119"), (OTHER, "F119"), (OTHER, "F119")),
        (SENDER, "F201"),
    ]
    for sender in (SENDER, OTHER):  # each is told of what it sent itself, and nothing else
        mine = [item for item in came if item.sender == sender]
        told = laid(night, sender) - before[sender]
        assert {int(name[-14:-4]) for name in told} == {item.number for item in mine}
        assert all(name.startswith("AK_") for name in told)
    send(night, way, OTHER, of_b, names[1])  # no number was used up
    night.run()
    last = receptions(night)[-1]
    assert (last.sender, last.outcome) == (OTHER, "accepted")

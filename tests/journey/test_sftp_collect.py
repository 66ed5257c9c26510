"""An insurer sends by SFTP, collects its correction package, says so, and the package is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sftp_site
from centres import lay

from koukan.keys.identity import create_identity
from koukan.samples.scenario import INSURERS

SENDER, DOOR = "kenpo-a", "inbox/server_link"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sftp_site.Night]:
    key = create_identity(tmp_path_factory.mktemp("insurer") / "key")
    with sftp_site.night(SENDER, package_keys={INSURERS[SENDER][0].code: key}) as found:
        yield found


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

"""`koukan sftp`: what is written for the administrator, and what is not as it has to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sftp_site
import sftp_support
from centres import Place

from koukan.errors import DefinitionError
from koukan.samples.scenario import site_toml

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDRA6mOteo5Cu5Yktl2ct0qjRgGRShaTT2N056IeKxcF a b"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "site", tmp_path / "key")
    place.root.mkdir()
    place.write_site(sftp_site._text({"kenpo-a": KEY}, {}))
    return place


def test_everything_is_written_and_nothing_of_the_machine_changed(call, place) -> None:
    target = place.root.parent / "out"
    said = call("sftp", "config", "--root", str(place.root), "--output", str(target))
    assert said.code == 0
    names = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    files = {"sshd.conf", "limits.conf", "sysusers.conf", "tmpfiles.conf", "apply.sh"}
    assert names == {*files, "keys/kenpo-a"}
    bounds = (target / "limits.conf").read_text().splitlines()
    assert "@koukan-sftp hard nproc 16" in bounds  # two processes for each of eight sessions
    assert "@koukan-sftp hard fsize 8388608" in bounds  # KiB
    assert (target / "keys/kenpo-a").read_text() == f"restrict {KEY.removesuffix(' a b')}\n"
    rules = (target / "sshd.conf").read_text()
    [forced] = re.findall(r"ForceCommand (.*)", rules)
    assert len(forced.split()) <= 9  # sshd drops the rest without a word
    folders = (target / "tmpfiles.conf").read_text()
    assert "d /srv/sftp/kenpo-a/inbox/server_link 2770 kenpo-a koukan -\n" in folders
    assert "d /srv/sftp/kenpo-a/outbox 2750 koukan kenpo-a -\n" in folders
    shown = call("sftp", "config", "--root", str(place.root))
    assert rules in shown.out
    found = call("sftp", "config", "--root", str(place.root), "--json").document["files"]
    assert found["tmpfiles.conf"] == folders


def test_a_site_without_keys_lets_nobody_in(call, place) -> None:
    place.write_site(site_toml())
    said = call("sftp", "config", "--root", str(place.root), "--lang", "en")
    assert "nobody gets in" in said.err


def test_whoever_has_keys_needs_a_uid(place) -> None:
    from koukan.engine.initialise import initialise

    text = sftp_site._text({"kenpo-a": KEY}, {})
    place.write_site(re.sub(r"uid = [0-9]+\nssh_keys", "ssh_keys", text))
    with pytest.raises(DefinitionError):
        initialise(place.root, place.key)


def test_differences_are_named(call, place) -> None:
    sftp_support.sshd()  # root only: owners are changed
    top = place.root.parent / "srv"
    text = sftp_site._text({}, {})
    place.write_site(re.sub(r'folder = ".*"', f'folder = "{top}"', text))
    said = call("sftp", "check", "--root", str(place.root), "--json")
    assert said.code == 40
    found = {item["path"]: item["found"] for item in said.document["differences"]}
    assert found[f"{top}/kenpo-a/outbox"] == found["account kenpo-a"] == "-"
    shown = call("sftp", "check", "--root", str(place.root))
    assert "kenpo-a/outbox" in shown.out.replace("\n", "")

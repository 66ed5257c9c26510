"""Partners' hosts as those who run koukan see them: where our key is, and what status tells."""

from __future__ import annotations

from pathlib import Path

import pytest
import sftp_support
from partner_host import partner_host

from koukan.cli.settings import Settings

NOBODY = "host = { address = '127.0.0.1', port = 1, user = 'koukan', fetch_from = 'a', "


def at(place, host: str) -> None:
    path = place.root / "site.toml"
    line = 'system = "juki_net"'
    text = path.read_text("utf-8")
    path.write_text(text.replace(line, f"{line}\n{host}"), "utf-8")


def test_our_key_is_named_by_the_environment_or_a_credential_of_systemd(tmp_path: Path) -> None:
    assert Settings.early([], {}).sftp_key is None
    folder = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Settings.early([], folder).sftp_key is None
    (tmp_path / "koukan-sftp-key").touch()
    assert Settings.early([], folder).sftp_key == tmp_path / "koukan-sftp-key"
    given = {**folder, "KOUKAN_SFTP_KEY_FILE": "/etc/koukan/sftp.key"}
    assert Settings.early([], given).sftp_key == Path("/etc/koukan/sftp.key")


def test_status_tells_which_partner_cannot_be_reached_since_when_and_what_to_do(
    call, fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public = sftp_support.key_pair(tmp_path)
    at(fresh, f"{NOBODY}hand_to = 'b', host_keys = ['{public}'] }}")
    monkeypatch.setenv("KOUKAN_SFTP_KEY_FILE", str(key))
    monkeypatch.setattr("koukan.exchange.sftp.PAUSES", ())
    assert call("run", "exchange_partners", *fresh.options).code == 21
    assert call("tick", *fresh.options).code == 21
    page = call("status", "--json", *fresh.options).document
    (fault,) = page["needs_you"]["hosts"]
    assert (fault["sender"], fault["step"], fault["exit"]) == ("juki-net", "connect", 21)
    assert page["verdict"]["code"] == 21
    told = call("status", *fresh.options).out
    assert f"連携先 juki-net：{fault['since']} から交換できていません。" in told
    assert "次の実行で再び接続します。" in told


@pytest.mark.parametrize("key", ["keys.identity_open", "keys.identity_inside"])
def test_a_key_that_others_may_read_or_that_lies_in_the_site_is_not_used(
    call, fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    inside = key == "keys.identity_inside"
    path, public = sftp_support.key_pair(fresh.root if inside else tmp_path)
    path.chmod(0o400 if inside else 0o644)
    at(fresh, f"{NOBODY}hand_to = 'b', host_keys = ['{public}'] }}")
    monkeypatch.setenv("KOUKAN_SFTP_KEY_FILE", str(path))
    assert call("run", "exchange_partners", *fresh.options).code == 40
    page = call("status", "--json", *fresh.options).document
    assert [fault["key"] for fault in page["needs_you"]["hosts"]] == [key]


def test_a_command_exchanges_with_a_real_host(
    call, fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with partner_host(tmp_path / "host") as host:
        at(fresh, host.toml())
        monkeypatch.setenv("KOUKAN_SFTP_KEY_FILE", str(host.key))
        outbox = fresh.root / "exchange" / "juki-net" / "outbox"
        (outbox / "JQ_koukan_000001.dat").write_bytes(b"request")
        assert call("run", "exchange_partners", *fresh.options).code == 0
        assert host.has() == {"JQ_koukan_000001.dat": b"request"}
    assert call("status", "--json", *fresh.options).document["needs_you"]["hosts"] == []

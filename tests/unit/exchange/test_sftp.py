"""Our SFTP client against OpenSSH: whom it trusts, what it transfers, what its errors say."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
import sftp_support
from partner_host import FOR_US, FROM_US, USER, PartnerHost, breaking_line, emptied, partner_host

from koukan.errors import EnvironmentRefused, KoukanError, SecretError, TransientError
from koukan.exchange.sftp import Address, Remote, client_key, connected

LARGE = os.urandom(3_000_000) + b"end"  # twice that is more than is asked for ahead


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartnerHost]:
    with partner_host(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
def host(running: PartnerHost) -> PartnerHost:
    return emptied(running)


def address_of(host: PartnerHost) -> Address:
    return Address("juki-net", "127.0.0.1", host.server.port, USER, (host.server.host_key,))


@contextmanager
def session(
    host: PartnerHost, address: Address | None = None, key: Path | None = None
) -> Iterator[Remote]:
    own = client_key((key or host.key).read_bytes(), "client.key")
    with connected(address or address_of(host), own, ()) as remote:
        yield remote


def upload(remote: Remote, name: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    remote.upload(FROM_US, name, io.BytesIO(content), len(content), digest)


def refused(host: PartnerHost, address: Address, key: Path | None = None) -> KoukanError:
    with pytest.raises(KoukanError) as caught, session(host, address, key):
        pass
    return caught.value


@pytest.mark.requirement("R207", "R208")
def test_what_is_sent_is_there_under_its_name_only_when_it_is_whole(host: PartnerHost) -> None:
    with session(host) as remote:
        transport = remote.session.get_channel().get_transport()
        assert transport.agreed_on_strict_kex
        assert transport.remote_cipher == "aes256-gcm@openssh.com"
        upload(remote, "a.dat", LARGE)
        assert list(host.has()) == ["a.dat.part"]
        remote.publish(FROM_US, "a.dat")
        assert host.has() == {"a.dat": LARGE}
        upload(remote, "a.dat", b"another")
        remote.publish(FROM_US, "a.dat")
        assert host.has() == {"a.dat": b"another"}
        assert remote.digest(FROM_US, "a.dat") == hashlib.sha256(b"another").hexdigest()
        remote.remove(FROM_US, "a.dat")
        remote.remove(FROM_US, "a.dat")
        assert remote.digest(FROM_US, "a.dat") is None
    assert host.has() == {}


def test_large_and_empty_files_are_read_as_they_are(host: PartnerHost) -> None:
    content = LARGE + LARGE
    host.put("large.dat", content)
    host.put("empty.dat", b"")
    with session(host) as remote:
        assert b"".join(remote.read(FOR_US, "large.dat", len(content))) == content
        assert list(remote.read(FOR_US, "empty.dat", 0)) == []
        entry = remote.stat(FOR_US, "large.dat")
        assert entry is not None
        assert entry.size == len(content)


def test_only_regular_files_with_fit_names_are_seen(host: PartnerHost) -> None:
    host.put("JA_juki-net_000001.dat", b"x")
    for name in (".hidden", "-rf", "two words", "日本.dat", "a" * 101):
        host.put(name, b"x")
    (host.for_us / "folder").mkdir()
    (host.for_us / "link").symlink_to("/etc/passwd")
    os.mkfifo(host.for_us / "pipe")
    with session(host) as remote:
        found, others = remote.look(FOR_US)
        assert [entry.name for entry in found] == ["JA_juki-net_000001.dat"]
        assert others == 8
        assert remote.stat(FOR_US, "link") is None
        assert remote.digest(FOR_US, "pipe") is None


@pytest.mark.requirement("R208")
def test_who_has_not_the_pinned_key_gets_nothing(host: PartnerHost, tmp_path: Path) -> None:
    _, other = sftp_support.key_pair(tmp_path, "other")
    before = host.server.log.count("publickey")
    found = refused(host, replace(address_of(host), host_keys=(other,)))
    assert (type(found), found.key) == (SecretError, "exchange.host_key")
    assert host.server.log.count("publickey") == before  # it did not even hear of our key
    both = replace(address_of(host), host_keys=(other, host.server.host_key))
    with session(host, both) as remote:
        assert remote.look(FOR_US) == ([], 0)


def test_a_host_whose_key_is_of_another_kind_is_refused(host: PartnerHost, tmp_path: Path) -> None:
    _, other = sftp_support.key_pair(tmp_path, "other", "ecdsa")
    found = refused(host, replace(address_of(host), host_keys=(other,)))
    assert (type(found), found.key) == (EnvironmentRefused, "exchange.host_algorithms")


def test_who_does_not_take_our_key_needs_a_person(host: PartnerHost, tmp_path: Path) -> None:
    stranger, _ = sftp_support.key_pair(tmp_path, "stranger")
    found = refused(host, address_of(host), stranger)
    assert (type(found), found.key) == (SecretError, "exchange.host_refuses_us")


def test_an_ecdsa_or_rsa_key_of_ours_will_do_and_no_other_file(
    host: PartnerHost, tmp_path: Path
) -> None:
    for kind in ("ecdsa", "rsa"):
        path, _ = sftp_support.key_pair(tmp_path, kind, kind)
        client_key(path.read_bytes(), kind)
    for content in (b"", b"\xff", host.key.with_suffix(".pub").read_bytes()):
        with pytest.raises(SecretError, match=r"exchange\.no_client_key"):
            client_key(content, "client.key")


@pytest.mark.requirement("R208")
@pytest.mark.parametrize(
    "weak",
    [
        "Ciphers aes128-cbc,3des-cbc",
        "Ciphers aes256-ctr\nMACs hmac-sha1,hmac-md5",
        "KexAlgorithms diffie-hellman-group14-sha1",
    ],
)
def test_a_host_with_old_algorithms_only_gets_nothing(tmp_path: Path, weak: str) -> None:
    sshd = sftp_support.sshd()
    confined = sshd.CONFINED.format(names=USER, chroots=sshd.CHROOTS)
    with partner_host(tmp_path, config=f"{weak}\n{confined}") as host:
        found = refused(host, address_of(host))
    assert (type(found), found.key) == (EnvironmentRefused, "exchange.host_algorithms")


class Anybody(paramiko.ServerInterface):
    """Takes every key; notes who got so far."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002
        self.asked.append(username)
        return paramiko.AUTH_SUCCESSFUL  # type: ignore[no-any-return]


@pytest.mark.requirement("R208")
def test_a_host_without_strict_key_exchange_gets_nothing(tmp_path: Path) -> None:
    """OpenSSH since 9.6 always has it, so paramiko plays a host that has not."""
    key_path, public = sftp_support.key_pair(tmp_path, "host")
    own_path, _ = sftp_support.key_pair(tmp_path, "own")
    anybody = Anybody()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            there, _ = listener.accept()
            transport = paramiko.Transport(there, strict_kex=False)
            transport.add_server_key(client_key(key_path.read_bytes(), "host"))
            transport.start_server(event=threading.Event(), server=anybody)
            transport.join(20)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        address = Address("juki-net", "127.0.0.1", port, USER, (public,))
        with (
            pytest.raises(EnvironmentRefused, match=r"exchange\.host_not_strict"),
            connected(address, client_key(own_path.read_bytes(), "own"), ()),
        ):
            pass
        thread.join(20)
    assert anybody.asked == []


def test_nobody_there_or_somebody_silent_is_for_the_next_run(tmp_path: Path) -> None:
    own_path, public = sftp_support.key_pair(tmp_path)
    own = client_key(own_path.read_bytes(), "own")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("juki-net", "127.0.0.1", listener.getsockname()[1], USER, (public,), 0.3)
        with pytest.raises(TransientError), connected(address, own, (0.0, 0.0)):
            pass
    with pytest.raises(TransientError), connected(address, own, (0.0,)):
        pass


def transfer(host: PartnerHost, address: Address, up: bool) -> None:
    with session(host, address) as remote:
        if up:
            upload(remote, "a.dat", LARGE)
        else:
            assert b"".join(remote.read(FOR_US, "large.dat", len(LARGE))) == LARGE


@pytest.mark.parametrize("up", [True, False])
def test_a_line_that_breaks_in_the_middle_leaves_no_whole_file(host: PartnerHost, up: bool) -> None:
    host.put("large.dat", LARGE)
    with breaking_line(host.server.port, after=1_000_000, up=up) as line:
        address = replace(address_of(host), port=line.own)
        with pytest.raises(TransientError, match=r"exchange\.host_"):
            transfer(host, address, up)
        assert line.broken == 1
        assert "a.dat" not in host.has()
        with session(host, address) as remote:
            upload(remote, "a.dat", LARGE)
            remote.publish(FROM_US, "a.dat")
    assert host.has() == {"a.dat": LARGE}


def test_a_folder_that_is_not_there_or_not_ours_needs_a_person(host: PartnerHost) -> None:
    with session(host) as remote:
        with pytest.raises(EnvironmentRefused, match=r"exchange\.host_folder"):
            remote.look("nowhere")
        os.chown(host.from_us, 0, 0)
        try:
            with pytest.raises(EnvironmentRefused, match=r"exchange\.host_folder"):
                upload(remote, "a.dat", b"x")
        finally:
            os.chown(host.from_us, 3101, 3101)


def test_a_full_disk_there_is_for_the_next_run(tmp_path: Path) -> None:
    with partner_host(tmp_path) as host:
        host.small(500_000)
        with session(host) as remote:
            with pytest.raises(TransientError, match=r"exchange\.host_"):
                upload(remote, "a.dat", LARGE)
            assert [entry.name for entry in remote.look(FROM_US)[0]] == ["a.dat.part"]

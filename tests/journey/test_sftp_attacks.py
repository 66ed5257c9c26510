"""What an insurer, or somebody in its place, may try at our SFTP server, and what comes of it.

Against OpenSSH itself under the generated configuration, koukan under a user of its own. Whatever
is tried, nothing is reached, nothing hangs, and the others' files are taken that night.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sftp_site
import sftp_support
from centres import lay
from raw_sftp import CREATE, NEW, OK, TRUNCATE, WRITE, Raw, text

from koukan import reports
from koukan.engine.centre import open_centre

ATTACKER, VICTIM = "kenpo-a", "kenpo-b"
DOOR = "inbox/server_link"
SESSIONS = 4  # of one sender at once
Try = Callable[[Raw], int]


@pytest.fixture(scope="module")
def night() -> Iterator[sftp_site.Night]:
    # So large a file is koukan's to refuse here; `test_sftp_collect.py` shows what sshd refuses.
    more = f"sessions = {SESSIONS}\nfile_bytes = {2**42}\n"
    with sftp_site.night(ATTACKER, VICTIM, more=more) as found:
        for sender in (ATTACKER, VICTIM):
            laid = found.exchange / sender / "outbox" / "AK_laid.csv"
            laid.write_bytes(b"an answer")
            shutil.chown(laid, sftp_site.KOUKAN, sftp_site.ids(found.site)[sender])
            laid.chmod(0o640)
        yield found


@pytest.fixture(scope="module")
def raw(night: sftp_site.Night) -> Iterator[Raw]:
    with Raw.connected(night.server, ATTACKER, night.keys[ATTACKER]) as found:
        yield found


OUTSIDE = {
    "absolute path": lambda raw: raw.get("/etc/passwd"),
    "absolute path of the centre": lambda raw: raw.get("/srv/sftp/kenpo-b/outbox/AK_laid.csv"),
    "dots above the top": lambda raw: raw.get("../../../etc/passwd"),
    "dots to another sender": lambda raw: raw.get("../kenpo-b/outbox/AK_laid.csv"),
    "dots within a path": lambda raw: raw.get(f"{DOOR}/../../../kenpo-b/outbox/AK_laid.csv"),
    "a listing of all senders": lambda raw: raw.listing("/../kenpo-b"),
    "another's inbox": lambda raw: raw.put("../kenpo-b/inbox/server_link/x"),
    "processes": lambda raw: raw.get("/proc/self/environ"),
    "devices": lambda raw: raw.get("/dev/sda"),
    "an empty name": lambda raw: raw.put(""),
    "a path of 100,000 bytes": lambda raw: raw.get("a/" * 50_000),
    "a name of 300 bytes": lambda raw: raw.put(f"{DOOR}/{'n' * 300}"),
}
NOT_ITS_OWN = {
    "a file at the top": lambda raw: raw.put("x"),
    "a file among the doors": lambda raw: raw.put("inbox/x"),
    "a door that is not its own": lambda raw: raw.put("inbox/nhi_aggregation/x"),
    "a folder for that door": lambda raw: raw.make_folder("inbox/nhi_aggregation"),
    "a file in the outbox": lambda raw: raw.put("outbox/x"),
    "writing into an answer": lambda raw: raw.put("outbox/AK_laid.csv"),
    "opening an answer to write": lambda raw: OK if raw.open("outbox/AK_laid.csv", WRITE) else -1,
    "removing an answer": lambda raw: raw.remove("outbox/AK_laid.csv"),
    "renaming an answer": lambda raw: raw.rename("outbox/AK_laid.csv", "outbox/y"),
    "moving an answer away": lambda raw: raw.rename("outbox/AK_laid.csv", f"{DOOR}/y"),
    "a file over an answer": lambda raw: moved_over(raw, "outbox/AK_laid.csv"),
    "truncating an answer": lambda raw: raw.truncate("outbox/AK_laid.csv", 0),
    "mode of an answer": lambda raw: raw.chmod("outbox/AK_laid.csv", 0o666),
    "time of an answer": lambda raw: raw.set_times("outbox/AK_laid.csv", 1),
    "mode of the outbox": lambda raw: raw.chmod("outbox", 0o777),
    "mode of the top": lambda raw: raw.chmod("/", 0o777),
    "removing the outbox": lambda raw: raw.status(15, text("outbox")),
    "removing its inbox": lambda raw: raw.status(15, text(DOOR)),
    "renaming its inbox": lambda raw: raw.rename(DOOR, "inbox/x"),
}
NO_SUCH_REQUEST = {
    "a symbolic link": lambda raw: raw.symlink("/etc/passwd", f"{DOOR}/link.csv"),
    "a symbolic link to an answer": lambda raw: raw.symlink("../../outbox", f"{DOOR}/link"),
    "a symbolic link by its extension": lambda raw: raw.extended(
        "symlink@openssh.com", text("/etc/passwd"), text(f"{DOOR}/link.csv")
    ),
    "reading a link": lambda raw: raw.read_link("/proc/self/exe"),
    "a hard link": lambda raw: raw.extended(
        "hardlink@openssh.com", text("outbox/AK_laid.csv"), text(f"{DOOR}/hard.csv")
    ),
    "a folder in the inbox": lambda raw: raw.make_folder(f"{DOOR}/MR_kenpo-a_000001.csv"),
    "a deep tree": lambda raw: min(raw.make_folder(f"{DOOR}/{'d/' * n}d") for n in range(5)),
    "users of the machine": lambda raw: raw.extended(
        "users-groups-by-id@openssh.com", text(struct.pack(">I", 0)), text(b"")
    ),
    "somebody's home": lambda raw: raw.extended("home-directory", text("root")),
    "expanding a home": lambda raw: raw.extended("expand-path@openssh.com", text("~root")),
    "attributes through a link": lambda raw: raw.extended(
        "lsetstat@openssh.com", text(f"{DOOR}/x"), struct.pack(">I", 0)
    ),
    "a hash of a file": lambda raw: raw.extended("check-file-name", text("/etc/passwd")),
    "an extension that nobody knows": lambda raw: raw.extended("shell@example.com", text("id")),
}


def moved_over(raw: Raw, name: str) -> int:
    """A file of its own renamed over another, as POSIX would."""
    assert raw.put(f"{DOOR}/over.part") == OK
    done = raw.extended("posix-rename@openssh.com", text(f"{DOOR}/over.part"), text(name))
    assert raw.remove(f"{DOOR}/over.part") == OK
    return done


def chowned(raw: Raw) -> int:
    """A file of its own given to root."""
    assert raw.put(f"{DOOR}/own.part") == OK
    done = raw.status(9, text(f"{DOOR}/own.part"), struct.pack(">III", 2, 0, 0))
    assert raw.remove(f"{DOOR}/own.part") == OK
    return done


NOT_ITS_OWN["another owner"] = chowned


@pytest.mark.parametrize("name", [*OUTSIDE, *NOT_ITS_OWN, *NO_SUCH_REQUEST])
def test_what_is_not_its_own_is_out_of_reach(night: sftp_site.Night, raw: Raw, name: str) -> None:
    attempt: Try = {**OUTSIDE, **NOT_ITS_OWN, **NO_SUCH_REQUEST}[name]
    assert attempt(raw) != OK
    assert raw.listing(DOOR) == OK  # the server goes on
    for sender in (ATTACKER, VICTIM):
        assert (night.exchange / sender / "outbox/AK_laid.csv").read_bytes() == b"an answer"
    assert not list((night.exchange / ATTACKER / DOOR).iterdir())


def opening(name: bytes) -> bytes:
    return b"\x03" + struct.pack(">I", 7) + text(name) + struct.pack(">II", 1, 0)


BROKEN = {
    "a request cut short": b"\x03" + b"\0" * 4 + struct.pack(">I", 99) + b"x",
    "a request of 400,000 bytes": b"\x03" * 400_000,
    "NUL in a path": opening(b"/etc/passwd\0.csv"),
    "a path in UTF-16": opening("/etc/passwd".encode("utf-16")),
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_who_breaks_the_protocol_ends_its_own_connection(
    night: sftp_site.Night, raw: Raw, sent: bytes
) -> None:
    with Raw.connected(night.server, ATTACKER, night.keys[ATTACKER]) as broken:
        with contextlib.suppress(BrokenPipeError):
            broken.send(sent)
        assert broken.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            broken.process.stdin.close()
        assert broken.process.wait(timeout=60) != OK
    assert raw.listing(DOOR) == OK


LOGINS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "another sender's key": (VICTIM, ATTACKER, ()),
    "root": ("root", ATTACKER, ()),
    "nobody that there is": ("nobody-here", ATTACKER, ()),
    "a password": (ATTACKER, ATTACKER, ("-o", "PreferredAuthentications=password")),
    "questions": (ATTACKER, ATTACKER, ("-o", "PreferredAuthentications=keyboard-interactive")),
    "a cipher with CBC": (ATTACKER, ATTACKER, ("-o", "Ciphers=aes128-cbc")),
    "a MAC with SHA-1": (ATTACKER, ATTACKER, ("-o", "Ciphers=aes128-ctr", "-o", "MACs=hmac-sha1")),
    "a key agreement with SHA-1": (
        ATTACKER,
        ATTACKER,
        ("-o", "KexAlgorithms=diffie-hellman-group14-sha1"),
    ),
    "a port of ours": (ATTACKER, ATTACKER, ("-W", "127.0.0.1:22")),
    "a port for others": (
        ATTACKER,
        ATTACKER,
        ("-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22"),
    ),
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "a command": ("id",),
    "a shell": (),
    "a terminal": ("-tt",),
    "copying as scp once did": ("scp -t /inbox/server_link",),
    "another subsystem": ("-s", "netconf"),
    "an agent": ("-A", "id"),
    "a variable of its environment": ("-o", "SetEnv=LD_PRELOAD=/x.so", "id"),
}


def ssh(night: sftp_site.Night, user: str, key: str, *arguments: str) -> Any:
    options = sftp_support._options(night.server, night.keys[key])
    flags = [item for item in arguments if item.startswith("-")]
    front = list(arguments) if flags and "-s" not in flags else []
    behind = [] if front else list(arguments)
    if front and front[-1] == "id":
        behind = [front.pop()]
    return subprocess.run(
        ["ssh", *options, *front, f"{user}@127.0.0.1", *behind],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.requirement("R207")
@pytest.mark.parametrize("name", LOGINS)
def test_nobody_gets_in_by_another_way(night: sftp_site.Night, name: str) -> None:
    user, key, arguments = LOGINS[name]
    assert ssh(night, user, key, *arguments).returncode != 0


@pytest.mark.parametrize("name", COMMANDS)
def test_there_is_nothing_but_sftp(night: sftp_site.Night, name: str) -> None:
    said = ssh(night, ATTACKER, ATTACKER, *COMMANDS[name])
    assert b"uid=" not in said.stdout
    assert said.stdout == b"" or said.returncode != 0


def looks(night: sftp_site.Night, user: str, *options: str) -> bool:
    said = sftp_support.sftp(
        night.server,
        user,
        night.keys[user],
        "ls outbox\n",
        options=("-o", "ConnectTimeout=20", *options),
    )
    return said.returncode == 0


def test_connections_that_say_nothing_shut_out_nobody_who_comes_from_elsewhere(
    night: sftp_site.Night,
) -> None:
    with ExitStack() as open_:
        for _ in range(40):  # more than the server lets begin at once
            open_.enter_context(socket.create_connection(("127.0.0.1", night.server.port)))
        assert looks(night, VICTIM, "-o", "BindAddress=127.0.0.2")
    assert looks(night, VICTIM)


def test_a_sender_has_so_many_sessions_at_once_and_the_others_theirs(
    night: sftp_site.Night,
) -> None:
    began = 0
    with ExitStack() as open_:
        with contextlib.suppress(AssertionError, IndexError, BrokenPipeError):  # it is refused
            while began < SESSIONS + 3:
                client = sftp_support.session(night.server, ATTACKER, night.keys[ATTACKER])
                open_.enter_context(client)
                began += 1
        assert 1 <= began <= SESSIONS
        assert looks(night, VICTIM)


def grown(raw: Raw) -> int:
    handle = raw.open(f"{DOOR}/grows.csv.part", WRITE | CREATE | NEW)
    assert handle is not None
    return raw.write(handle, b"the first half")  # and never another


def dotted(raw: Raw) -> int:
    return raw.put(f"{DOOR}/.profile")


def huge(raw: Raw) -> int:
    """A hole of a tebibyte."""
    handle = raw.open(f"{DOOR}/PR_kenpo-a_000001.csv", WRITE | CREATE | TRUNCATE)
    assert handle is not None
    return max(raw.write(handle, b"x", 2**40), raw.close(handle))


def set_id(raw: Raw) -> int:
    assert raw.put(f"{DOOR}/setuid.csv", mode=0o6777) == OK
    return raw.chmod(f"{DOOR}/setuid.csv", 0o6750)


def set_back(raw: Raw) -> int:
    assert raw.put(f"{DOOR}/old.csv") == OK
    return raw.set_times(f"{DOOR}/old.csv", 1)


def again(raw: Raw) -> int:
    name = f"{DOOR}/again.csv"
    return max(raw.put(name), raw.remove(name), raw.put(name, b"other"))


def unreadable(raw: Raw) -> int:
    assert raw.put(f"{DOOR}/closed.csv") == OK
    return raw.chmod(f"{DOOR}/closed.csv", 0)


# What it may do in its own inbox, and why that is not taken (None: it is taken, and refused).
IN_ITS_INBOX: dict[str, tuple[Try, str | None]] = {
    "a file that never ends": (grown, "partial"),
    "a dot before the name": (dotted, "partial"),
    "a dash before the name": (lambda raw: raw.put(f"{DOOR}/-rf"), "unnamed"),
    "a new line in the name": (lambda raw: raw.put(f"{DOOR}/a\nb.csv"), "unnamed"),
    "a terminal's commands in the name": (lambda raw: raw.put(f"{DOOR}/\x1b[2J.csv"), "unnamed"),
    "a name that turns around": (lambda raw: raw.put(f"{DOOR}/\u202evsc.exe"), "unnamed"),
    "a name that is no UTF-8": (lambda raw: raw.put(DOOR.encode() + b"/\xff\xfe.csv"), "unnamed"),
    "a name in CP932": (lambda raw: raw.put(DOOR.encode() + b"/\x89\xc1.csv"), "unnamed"),
    "a name of 200 bytes": (lambda raw: raw.put(f"{DOOR}/{'n' * 200}"), "unnamed"),
    "a marker without its file": (lambda raw: raw.put(f"{DOOR}/none.csv.done"), "orphaned"),
    "a file that nobody may read": (unreadable, "unreadable"),
    "a file for itself alone": (lambda raw: raw.put(f"{DOOR}/mine.csv", mode=0o600), "unreadable"),
    "a file with the rights of its owner": (set_id, None),
    "a file from long ago": (set_back, None),
    "an archive": (lambda raw: raw.put(f"{DOOR}/bomb.zip", b"PK\x03\x04"), None),
    "spaces and quotes": (lambda raw: raw.put(f"{DOOR}/'; rm -rf x #.csv"), None),
    "a formula": (lambda raw: raw.put(f"{DOOR}/=1+1.csv"), None),
    "a hole of a tebibyte": (huge, None),
    "a marker that lies": (
        lambda raw: max(
            raw.put(f"{DOOR}/MR_kenpo-a_000001.csv"),
            raw.put(f"{DOOR}/MR_kenpo-a_000001.csv.done", b"0" * 64 + b" 1"),
        ),
        None,
    ),
    "a marker with something else in it": (
        lambda raw: max(
            raw.put(f"{DOOR}/MR_kenpo-a_000002.csv"),
            raw.put(f"{DOOR}/MR_kenpo-a_000002.csv.done", b"[" * 400),
        ),
        None,
    ),
    "a name that was taken back": (
        lambda raw: max(raw.put(f"{DOOR}/gone.csv"), raw.remove(f"{DOOR}/gone.csv")),
        "",
    ),
    "a name made again": (
        lambda raw: max(
            raw.put(f"{DOOR}/again.csv"),
            raw.remove(f"{DOOR}/again.csv"),
            raw.put(f"{DOOR}/again.csv"),
        ),
        None,
    ),
    "many files at once": (
        lambda raw: max(raw.put(f"{DOOR}/many-{number}.csv") for number in range(50)),
        None,
    ),
}


def test_whatever_lies_in_an_inbox_the_others_are_taken(night: sftp_site.Night, raw: Raw) -> None:
    wanted: dict[str, int] = {}
    for name, (attempt, reason) in IN_ITS_INBOX.items():
        assert attempt(raw) == OK, name
        if reason:
            wanted[reason] = wanted.get(reason, 0) + 1
    source = lay(night.place, VICTIM, 1, persons=5)
    kept = source.rename(night.place.root.parent / source.name)
    part = f"{DOOR}/x.part"
    commands = f"put {kept} {part}\nchmod 640 {part}\nrename {part} {DOOR}/{kept.name}\n"
    assert night.sftp(VICTIM, commands).returncode == 0
    night.run()
    night.run("confirm_delivery")
    with sftp_site.as_koukan():
        centre = open_centre(night.place.root, night.place.key)
        try:
            found = centre.ledger.receptions()
            waits = {item["sender"]: item for item in reports.status(centre)["waiting"]["inboxes"]}
        finally:
            centre.close()
    assert [item.outcome for item in found if item.sender == VICTIM] == ["accepted"]
    theirs = [item for item in found if item.sender == ATTACKER]
    assert {item.outcome for item in theirs} == {"refused"}
    assert {item.code for item in theirs} >= {"F101", "F130", "F132"}
    taken = sum(reason is None for _, reason in IN_ITS_INBOX.values())
    assert len(theirs) == taken + 49
    assert waits[ATTACKER]["aside"] == wanted
    assert waits[ATTACKER]["files"] == 0
    assert VICTIM not in waits


def test_there_are_enough_of_them() -> None:
    tables = (OUTSIDE, NOT_ITS_OWN, NO_SUCH_REQUEST, BROKEN, LOGINS, COMMANDS, IN_ITS_INBOX)
    assert sum(map(len, tables)) >= 80

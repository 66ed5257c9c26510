"""`koukan approval`: a person lists and approves on the real command line, without batch key."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import select
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from ssh_keys import Token, needs_ssh_keygen, ssh_keygen, write_key
from staff import Staff, employ

import koukan
from koukan import words
from koukan.engine.approvals import Subject, ask, granted
from koukan.engine.centre import open_centre
from koukan.ledger.approvals import open_approvals

HASHES = {"request": hashlib.sha256(b"request").hexdigest()}
REQUEST = Subject("request", 12)
PARAMETERS: dict[str, int | str] = {"records": 1_200, "insurers": 3}
BEGINS = date(2020, 1, 1)
LONG_AGO = date(2021, 1, 1)


@pytest.fixture
def sato() -> Staff:
    return Staff("sato", valid_from=BEGINS)


@pytest.fixture
def asked(fresh, sato: Staff):
    """A site in which the sending of request 12 waits for sato or the others."""
    gone = Staff("mori", valid_from=BEGINS, valid_to=LONG_AGO)
    employ(fresh.root, sato, Staff("suzuki", valid_from=BEGINS, rights=("look",)), gone)
    ask_for(fresh)
    return fresh


def ask_for(place, operation: str = "send", subject: Subject = REQUEST) -> int:
    centre = open_centre(place.root, place.key)
    try:
        return ask(centre, operation, subject, HASHES, PARAMETERS).number
    finally:
        centre.close()


def given(place, operation: str = "send", subject: Subject = REQUEST) -> bool:
    centre = open_centre(place.root, place.key)
    try:
        return granted(centre, operation, subject, HASHES) is not None
    finally:
        centre.close()


def root(place) -> tuple[str, str]:
    return ("--root", str(place.root))


def test_nothing_waits(call, fresh) -> None:
    assert call("approval", "list", *root(fresh)).out == "承認を待っているものはありません。\n"
    said = call("approval", "list", "--lang", "en", *root(fresh))
    assert (said.code, said.out) == (0, "Nothing waits for an approval.\n")
    assert call("approval", "list", "--json", *root(fresh)).document["approvals"] == []


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("ja", ("送信", "要求ファイル 12", "格納", "受付 3", "records 1,200", "0/1", "0 分")),
        ("en", ("send", "request 12", "store", "reception 3", "records 1,200", "0/1", "0 min")),
    ],
)
def test_what_waits_is_listed(call, asked, language: str, texts: tuple[str, ...]) -> None:
    ask_for(asked, "store", Subject("reception", 3))
    said = call("approval", "list", "--lang", language, *root(asked))
    assert said.code == 0
    lines = said.out.splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    for text in (*texts, *HASHES.values()):
        assert text.replace(" ", "") in said.out.replace(" ", "").replace("\n", ""), said.out
    assert "koukan approval approve 1" in said.err


def test_what_waits_as_json(call, asked) -> None:
    said = call("approval", "list", "--json", *root(asked))
    assert said.document["schema"] == "koukan.approval_list.v1"
    (item,) = said.document["approvals"]
    assert (item["approval"], item["operation"]) == (1, "send")
    assert item["subject"] == {"kind": "request", "number": 12}
    assert (item["parameters"], item["hashes"]) == (PARAMETERS, HASHES)
    assert (item["needed"], item["given"], item["signatures"]) == (1, 0, [])
    assert 0 <= item["age_seconds"] < 600


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_person_approves_with_her_key(call, asked, sato, tmp_path, language: str) -> None:
    key = write_key(tmp_path / "sato", sato.private)
    said = call("approval", "approve", "1", "--key", str(key), "--lang", language, *root(asked))
    assert said.code == 0
    expected = words.sentence(
        "cli.approved",
        language,
        approval=1,
        actor="sato",
        code=words.sentence("approvals.operation.send", language),
        count=1,
        total=1,
    )
    assert said.out.replace("\n", "") == expected
    assert "koukan tick" in said.err
    assert given(asked)


def test_several_are_approved_one_after_another(call, asked, sato, tmp_path) -> None:
    ask_for(asked, "send", Subject("request", 13))
    key = write_key(tmp_path / "sato", sato.private)
    said = call("approval", "approve", "1", "2", "--key", str(key), "--json", *root(asked))
    document = said.document
    for one in document["approvals"]:
        following = one.pop("next_run")
        assert (following["job"], following["due"]) == ("ask_identity", True)
    common = {"operation": "send", "person": "sato", "given": 1, "needed": 1}
    assert document == {
        "schema": "koukan.approvals_given.v1",
        "exit": 0,
        "approvals": [{"approval": number, **common} for number in (1, 2)],
    }
    assert said.err == ""


def test_a_refused_one_leaves_those_before_it_given(call, asked, sato, tmp_path) -> None:
    key = write_key(tmp_path / "sato", sato.private)
    said = call("approval", "approve", "1", "9", "--key", str(key), *root(asked))
    assert said.code != 0
    assert given(asked)
    assert "sato" in said.out


def test_where_two_are_needed_the_first_is_told_so(call, fresh, sato, tmp_path) -> None:
    other = Staff("suzuki", valid_from=BEGINS)
    employ(fresh.root, sato, other, policy="send = 2")
    ask_for(fresh)
    for person, told, listed, following in (
        (sato, "1/2", "1/2 sato", "koukan approval list"),
        (other, "2/2", "2/2 sato suzuki", "koukan tick"),
    ):
        key = write_key(tmp_path / person.name, person.private)
        said = call("approval", "approve", "1", "--key", str(key), *root(fresh))
        assert told in said.out
        assert following in said.err
        shown = call("approval", "list", *root(fresh)).out
        assert all(part in shown for part in listed.split())
    assert given(fresh)


@needs_ssh_keygen
def test_a_signature_of_ssh_keygen_is_handed_in(call, asked, sato, tmp_path) -> None:
    key = write_key(tmp_path / "sato", sato.private)
    text = tmp_path / "a0000000001.json"
    text.write_bytes((asked.root / "approvals" / text.name).read_bytes())
    assert ssh_keygen("-Y", "sign", "-n", "koukan", "-f", key, text).returncode == 0
    signature = ("--signature", f"{text}.sig")
    assert call("approval", "approve", "1", *signature, *root(asked)).code == 0
    assert given(asked)


def test_a_tokens_signature_is_handed_in_where_biometrics_are_needed(
    call, fresh, sato, tmp_path
) -> None:
    token = Token()
    employ(
        fresh.root,
        sato,
        Staff("suzuki", valid_from=BEGINS, key=token.public),
        policy="user_verified = true",
    )
    ask_for(fresh)
    key = write_key(tmp_path / "sato", sato.private)
    refused = call("approval", "approve", "1", "--key", str(key), "--json", *root(fresh))
    assert (refused.code, refused.error["key"]) == (64, "approvals.not_verified")
    text = (fresh.root / "approvals" / "a0000000001.json").read_bytes()
    (tmp_path / "x.sig").write_bytes(token.sign(text))
    signature = ("--signature", str(tmp_path / "x.sig"))
    assert call("approval", "approve", "1", *signature, *root(fresh)).code == 0
    assert given(fresh)


def test_what_cannot_be_approved_is_told(call, asked, sato, tmp_path) -> None:
    key = write_key(tmp_path / "sato", sato.private)
    stranger = write_key(tmp_path / "stranger", Staff("x").private)
    (tmp_path / "bad.sig").write_bytes(b"garbage")
    open_ = write_key(tmp_path / "open", sato.private)
    open_.chmod(0o644)
    public = tmp_path / "sato.pub"
    public.write_text(f"{sato.signing.public}\n")
    inside = write_key(asked.root / "key", sato.private)
    for arguments, code, name in (
        (["9", "--key", str(key)], 64, "approvals.no_approval"),
        (["1"], 64, "cli.key_or_signature"),
        (["1", "--key", str(key), "--signature", str(key)], 64, "cli.key_or_signature"),
        (["1", "2", "--signature", str(key)], 64, "cli.key_or_signature"),
        (["1", "--key", str(stranger)], 64, "approvals.nobody"),
        (["1", "--key", str(open_)], 40, "keys.identity_open"),
        (["1", "--key", str(public)], 40, "keys.public_given"),
        (["1", "--key", str(inside)], 40, "keys.identity_inside"),
        (["1", "--key", str(tmp_path / "none")], 40, "keys.identity_missing"),
        (["1", "--key", str(asked.key)], 40, "keys.person_unreadable"),
        (["1", "--signature", str(tmp_path / "none")], 64, "offline.no_file"),
        (["1", "--signature", str(tmp_path / "bad.sig")], 64, "keys.signature_malformed"),
        (["0", "--key", str(key)], 64, "cli.bad_value"),
        (["one", "--key", str(key)], 64, "cli.bad_value"),
    ):
        said = call("approval", "approve", *arguments, "--json", *root(asked))
        assert (said.code, said.error["key"], said.out) == (code, name, ""), arguments
        assert said.error["next"]
    assert not given(asked)


def test_the_batch_key_is_never_taken_for_a_persons(call, asked, monkeypatch) -> None:
    """It is what KOUKAN_KEY_FILE and --key of all other commands give."""
    monkeypatch.setenv("KOUKAN_KEY_FILE", str(asked.key))
    said = call("--key", str(asked.key), "approval", "approve", "1", "--json", *root(asked))
    assert said.error["key"] == "cli.key_or_signature"


def test_one_that_has_expired_is_said_to_be_asked_for_anew(call, fresh, sato) -> None:
    employ(fresh.root, sato)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    centre = open_centre(fresh.root, fresh.key, clock=lambda: long_ago)
    ask(centre, "send", REQUEST, HASHES, PARAMETERS)
    centre.close()
    said = call("approval", "list", *root(fresh))
    assert said.out.startswith("承認を待っているものはありません。\n")
    assert "期限が切れたもの：1 件" in said.out
    assert said.err == ""
    assert call("status", "--json", *fresh.options).document["needs_you"]["approvals"] == []


def test_no_batch_key_is_needed(call, asked, sato, tmp_path) -> None:
    key = write_key(tmp_path / "sato", sato.private)
    batch = asked.key.rename(tmp_path / "elsewhere")
    assert call("approval", "list", *root(asked)).code == 0
    assert call("approval", "approve", "1", "--key", str(key), *root(asked)).code == 0
    batch.rename(asked.key)
    assert given(asked)


def test_a_signature_that_does_not_count_is_shown_with_its_reason(call, asked) -> None:
    (asked.root / "approvals" / "a0000000001.x.sig").write_bytes(b"garbage")
    said = call("approval", "list", *root(asked))
    assert "a0000000001.x.sig" in said.out
    assert words.sentence("keys.signature_malformed", "ja") in said.out.replace("\n", "")
    (item,) = call("approval", "list", "--json", *root(asked)).document["approvals"]
    assert item["signatures"] == [
        {
            "file": "a0000000001.x.sig",
            "person": None,
            "reason": "keys.signature_malformed",
            "sentence": words.sentence("keys.signature_malformed", "ja"),
        }
    ]


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_status_says_what_waits_for_persons(call, asked, language: str) -> None:
    said = call("status", "--lang", language, *asked.options)
    told = words.sentence("reports.approvals", language, count=1)
    assert told in said.out.replace("\n", "")
    page = call("status", "--json", *asked.options).document
    assert [item["approval"] for item in page["waiting"]["approvals"]] == [1]
    assert page["verdict"]["code"] == 0


def test_a_run_goes_on_without_the_person(call, asked) -> None:
    said = call("run", "register_members", "--json", *asked.options)
    assert said.code == 0
    centre = open_centre(asked.root, asked.key)
    assert [item.number for item in open_approvals(centre.ledger)] == [1]
    centre.close()


# --- the passphrase


def on_terminal(arguments: list[str], typed: bytes, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run the program with a terminal of its own, on which `typed` is typed when it asks.

    Returns:
        exit code, what it wrote on stdout and stderr, what the terminal showed.
    """
    master, slave = pty.openpty()
    source = str(Path(koukan.__file__).parent.parent)
    begin = (
        "import fcntl, os, sys, termios;"
        f"os.setsid(); fcntl.ioctl({slave}, termios.TIOCSCTTY, 0);"
        "os.execv(sys.executable, [sys.executable, '-m', 'koukan', *sys.argv[1:]])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", begin, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[slave],
        env={**os.environ, "PYTHONPATH": source},
    ) as process:
        shown = b""
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        while process.poll() is None and not shown.endswith(b": "):
            if select.select([master], [], [], 0.1)[0]:
                shown += os.read(master, 1000)
        if shown:
            os.write(master, typed + b"\n")
        assert process.stdout is not None
        said = process.stdout.read()
        code = process.wait()
    while select.select([master], [], [], 0.1)[0]:
        shown += os.read(master, 1000)
    os.close(master)
    os.close(slave)
    return code, said.decode(), shown.decode()


def test_a_passphrase_is_asked_on_the_terminal_and_not_shown(asked, sato, tmp_path) -> None:
    key = write_key(tmp_path / "sato", sato.private, b"correct horse")
    arguments = ["approval", "approve", "1", "--key", str(key), "--json", *root(asked)]
    code, said, shown = on_terminal(arguments, b"correct horse")
    assert code == 0, (said, shown)
    assert json.loads(said)["approvals"][0]["person"] == "sato"
    assert words.sentence("cli.passphrase", "ja", path="sato") in shown
    assert "correct horse" not in said + shown
    assert given(asked)


def test_a_wrong_passphrase_is_told(asked, sato, tmp_path) -> None:
    key = write_key(tmp_path / "sato", sato.private, b"correct horse")
    arguments = ["approval", "approve", "1", "--key", str(key), "--json", *root(asked)]
    for typed in (b"battery staple", b"", b"\x04"):
        code, said, shown = on_terminal(arguments, typed, stdin=b"correct horse\n")
        assert (code, json.loads(said)["key"]) == (40, "keys.passphrase_wrong"), shown
    assert not given(asked)


def test_a_passphrase_is_never_read_from_a_pipe(asked, sato, tmp_path) -> None:
    key = write_key(tmp_path / "sato", sato.private, b"correct horse")
    arguments = ["approval", "approve", "1", "--key", str(key), "--json", *root(asked)]
    done = subprocess.run(
        [sys.executable, "-m", "koukan", *arguments],
        input=b"correct horse\n",
        capture_output=True,
        check=False,
        start_new_session=True,  # no terminal
        env={**os.environ, "PYTHONPATH": str(Path(koukan.__file__).parent.parent)},
    )
    error = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, error["key"]) == (40, "cli.no_terminal")
    assert not given(asked)

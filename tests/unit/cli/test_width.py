"""What people read fits on 80 columns, a full-width letter taking two; no file's name is broken."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from questions_support import asking
from rich.cells import cell_len

from koukan import words

FILE = re.compile(r"[A-Z]{2}_[A-Za-z0-9_.-]+\.(?:csv|dat|txt|age|xlsx|zip)")


def check(said) -> None:
    for line in (said.out + said.err).splitlines():
        # A name stays whole on the narrowest screen, and so does a command that is to be copied.
        whole = len(line.split()) == 1 or line.startswith(("次の操作: ", "next: "))
        assert cell_len(line) <= 80 or whole, line


def names(root) -> set[str]:
    """Of all files that the ledger knows."""
    with closing(sqlite3.connect(root / "ledger" / "koukan.sqlite")) as ledger:
        query = "SELECT file_name FROM reception UNION SELECT name FROM laid_out "
        query += "UNION SELECT name FROM request UNION SELECT name FROM package"
        return {row[0] for row in ledger.execute(query)}


def whole(said, root, *command: str) -> set[str]:
    """The names of files that were told, of a reception all; none in pieces."""
    known, told = names(root), set(FILE.findall(said.out))
    assert told <= known, told - known
    if command[0] == "show":
        with closing(sqlite3.connect(root / "ledger" / "koukan.sqlite")) as ledger:
            query = "SELECT file_name FROM reception WHERE number = ?1 "
            query += "UNION SELECT name FROM laid_out WHERE reception = ?1"
            assert {row[0] for row in ledger.execute(query, [command[1]])} <= told
    return told


def commands(count: int) -> Iterator[tuple[str, ...]]:
    yield from (("status",), ("status", "--insurers"), ("tick",), ("verify",), ("ledger", "verify"))
    yield from (("show", str(number)) for number in range(1, count + 1))
    yield from (("rerun", str(number), "--plan") for number in range(1, count + 1))


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_night_of_registrations(call, copy, night, language: str) -> None:
    with closing(sqlite3.connect(copy.root / "ledger" / "koukan.sqlite")) as ledger:
        (count,) = ledger.execute("SELECT max(number) FROM reception").fetchone()
    told = set()
    for command in commands(count):
        said = call(*command, "--lang", language, *copy.options)
        assert said.code not in (64, 70) or command[0] == "rerun"
        check(said)
        told |= whole(said, copy.root, *command)
    assert len(told) > count


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_night_of_questions(call, tmp_path, language: str) -> None:
    site = asking(tmp_path)
    told = set()

    def look(*more: tuple[str, ...]) -> None:
        pages = [("status",), ("show", "1"), ("show", "2"), ("approval", "list")]
        for command in (*pages, ("package", "list"), *more):
            place = site.seen if command[0] in ("approval", "package") else site.options
            said = call(*command, "--lang", language, *place)
            check(said)
            told.update(whole(said, site.root, *command))

    def run(job: str) -> None:
        check(call("run", job, "--lang", language, *site.options))
        look()

    def approve(number: int, *persons: str) -> None:
        for person in persons:
            key = ("--key", str(site.keys.person(person)), "--lang", language)
            check(call("approval", "approve", str(number), *key, *site.seen))
            look()

    run("ask_identity")
    approve(1, "sato", "suzuki")
    run("ask_identity")
    site.answered()
    run("answer_identity")
    approve(2, "sato")
    run("answer_identity")
    site.collected("kenpo-a")
    run("confirm_delivery")
    look(*commands(2))
    assert len(told) > 6


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_what_is_said_without_a_site(call, tmp_path, language: str) -> None:
    path = str(tmp_path / "MR_kenpo-a_000001.csv")
    speak = ("--lang", language)
    faults = ("--fault", "R201", "--fault", "R105", "--fault", "R301")
    check(call("sample", "member_registration", "--rows", "60", *faults, "--output", path, *speak))
    check(call("validate", path, *speak))
    check(call("explain", "exit", *speak))
    for code in ("F119", "H101", "R110", "R301", "W401"):
        check(call("explain", code, *speak))
    for wrong in (["show", "x"], ["run"], ["stauts"], ["status"], ["package", "open", "x"]):
        check(call(*wrong, *speak))

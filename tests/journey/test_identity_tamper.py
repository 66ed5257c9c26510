"""本人確認 altered behind the ledger's back: each thing is named by `ledger verify`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from journey import nights
from journey.acts import ASK, DELIVER
from journey.played import PACKAGED, Played, until
from journey.tampering import flipped

from koukan.engine.centre import Centre
from koukan.engine.verify import verify_ledger

Open = Callable[..., Centre]
Alter = Callable[[Path], None]


@pytest.fixture(scope="module")
def asked(played: Played) -> Path:
    """Questions wait in requests."""
    return played.after(until(ASK)).root


@pytest.fixture(scope="module")
def packaged(played: Played) -> Path:
    """Packages lie in the outboxes."""
    return played.after(PACKAGED).root


@pytest.fixture(scope="module")
def delivered(played: Played) -> Path:
    """All is delivered and erased."""
    return played.after(until(DELIVER)).root


def statement(root: Path, text: str) -> None:
    with closing(sqlite3.connect(root / "ledger" / "koukan.sqlite")) as ledger, ledger:
        assert ledger.execute(text).rowcount > 0


def first(root: Path, pattern: str) -> Path:
    return min(root.glob(pattern))


def removed(pattern: str) -> Alter:
    return lambda root: first(root, pattern).unlink()


def bit_of(pattern: str) -> Alter:
    def alter(root: Path) -> None:
        path = first(root, pattern)
        path.write_bytes(flipped(path.read_bytes(), path.stat().st_size // 2))

    return alter


def said(text: str) -> Alter:
    return lambda root: statement(root, text)


@pytest.fixture
def problems(
    whole: nights.Prepared, tmp_path: Path, opened: Open
) -> Callable[[Path, Alter], set[str]]:
    """What is found in a copy of a site that was altered so; nothing in one that was not."""

    def find(site: Path, alter: Alter) -> set[str]:
        root = nights.Prepared(site, whole.key_file, whole.now).copy(tmp_path / "altered")
        alter(root)
        return {item.key for item in verify_ledger(opened(whole, root))}

    return find


Find = Callable[[Path, Alter], set[str]]


@pytest.mark.parametrize("stage", ["asked", "packaged", "delivered"])
def test_an_unaltered_site_is_sound(
    problems: Find, stage: str, request: pytest.FixtureRequest
) -> None:
    assert problems(request.getfixturevalue(stage), lambda _root: None) == set()


@pytest.mark.parametrize(
    ("alter", "key"),
    [
        (removed("questions/q*"), "verify.questions_open"),
        (bit_of("questions/q*"), "verify.questions_open"),
        (removed("keyring/random/question/*.key"), "verify.questions_open"),
        (said("UPDATE question SET open = open + 1"), "verify.questions_open"),
        (said("UPDATE question SET asked = asked + 1"), "verify.questions_asked"),
        (removed("requests/r*/00001"), "verify.request_broken"),
        (bit_of("requests/r*/00001"), "verify.request_broken"),
        (removed("keyring/random/request/*.key"), "verify.request_broken"),
        (said("UPDATE request SET sha256 = 'x'"), "verify.request_broken"),
    ],
)
def test_what_waits_for_an_answer(problems: Find, asked: Path, alter: Alter, key: str) -> None:
    assert key in problems(asked, alter)


@pytest.mark.parametrize(
    ("alter", "key"),
    [
        (removed("packages/p*"), "verify.package_rows"),
        (bit_of("packages/p*"), "verify.package_rows"),
        (removed("keyring/random/package/*.key"), "verify.package_rows"),
        (said("UPDATE package SET file_sha256 = 'x'"), "verify.package_rows"),
        (said("UPDATE package SET answered = answered + 1"), "verify.package_rows"),
        (bit_of("exchange/*/outbox/PK_*.age"), "verify.package_other"),
        (said("UPDATE answer_share SET answered = answered + 1"), "verify.answers_taken"),
        (said("UPDATE request SET state = 'sent' WHERE number = 1"), "verify.request_broken"),
        (said("DELETE FROM erasure WHERE what = 'request'"), "verify.request_record"),
    ],
)
def test_what_waits_for_its_insurer(problems: Find, packaged: Path, alter: Alter, key: str) -> None:
    assert key in problems(packaged, alter)


def left_over(root: Path) -> None:
    (root / "packages" / "p0000000016-0001").write_bytes(b"left")


@pytest.mark.parametrize(
    ("alter", "key"),
    [
        (said("DELETE FROM erasure WHERE what = 'package-001'"), "verify.package_record"),
        (
            said("UPDATE erasure SET record = replace(record, 'answered', 'asked')"),
            "verify.package_record",
        ),
        (said("UPDATE package SET answered = answered + 1"), "verify.package_record"),
        (said("UPDATE package SET how = 'limit'"), "verify.package_record"),
        (left_over, "verify.package_left"),
        (lambda root: (root / "requests" / "r0000000001").mkdir(), "verify.request_left"),
    ],
)
def test_what_is_erased(problems: Find, delivered: Path, alter: Alter, key: str) -> None:
    assert key in problems(delivered, alter)

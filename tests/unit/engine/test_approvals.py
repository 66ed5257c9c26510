"""Approvals: asked once, given by the right persons for exactly this, used once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from centres import DAY, Place
from ssh_keys import PRESENT, Token, needs_ssh_keygen, ssh_keygen, write_key
from staff import Staff, employ

from koukan import words
from koukan.engine.approvals import (
    Approval,
    Given,
    Grant,
    Subject,
    approve,
    approve_signed,
    ask,
    granted,
    pending,
    tidy,
    use,
)
from koukan.engine.desk import Desk, open_desk
from koukan.engine.run import run_job
from koukan.errors import IntegrityError, SecretError, UsageError
from koukan.keys.secret import canonical
from koukan.keys.sshsig import sign
from koukan.ledger import approvals as held

REQUEST = Subject("request", 12)
HASHES = {"request": hashlib.sha256(b"request").hexdigest()}
COUNTS: dict[str, int | str] = {"records": 1_200, "file": "IQ_000012.csv"}
SATO, SUZUKI = Staff("sato"), Staff("suzuki")
TWO = "send = 2"


@pytest.fixture
def place(empty: Place) -> Place:
    """A centre with two persons who may approve."""
    employ(empty.root, SATO, SUZUKI)
    return empty


def asked(place: Place, hashes: dict[str, str] | None = None) -> Approval:
    with place.opened() as centre:
        return ask(centre, "send", REQUEST, hashes or HASHES, COUNTS)


def grant_of(place: Place, hashes: dict[str, str] | None = None) -> Grant | None:
    with place.opened() as centre:
        return granted(centre, "send", REQUEST, hashes or HASHES)


@contextmanager
def at_desk(place: Place) -> Iterator[Desk]:
    desk = open_desk(place.root, clock=lambda: place.now)
    try:
        yield desk
    finally:
        desk.close()


def approved(place: Place, person: Staff, number: int = 1) -> Given:
    with at_desk(place) as desk:
        return approve(desk, number, person.signing)


def refused(place: Place, person: Staff, number: int = 1) -> str:
    with pytest.raises(UsageError) as caught:
        approved(place, person, number)
    for language in words.LANGUAGES:
        for text in (words.sentence, words.next_step):
            assert "?" not in text(caught.value.key, language, **caught.value.where)
    return caught.value.key


def used(place: Place, grant: Grant) -> None:
    with place.opened() as centre, centre.ledger.begin() as transaction:
        use(transaction, grant)


def laid(place: Place, name: str, signature: bytes, number: int = 1) -> Path:
    """A signature file, however it came there."""
    path = place.root / "approvals" / f"a{number:010d}.{name}.sig"
    path.write_bytes(signature)
    return path


def signature_of(place: Place, person: Staff, number: int = 1) -> bytes:
    with place.opened() as centre:
        text = held.approval(centre.ledger, number).content
    return person.signing.sign(text.encode(), "koukan")


def reasons(place: Place) -> list[str | None]:
    with at_desk(place) as desk:
        return [one["reason"] for item in pending(desk) for one in item["signatures"]]


def entries(place: Place, operation: str) -> list[dict[str, Any]]:
    files = sorted((place.root / "log").glob("operations-*.jsonl"))
    found = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return [entry for entry in found if entry["operation"] == operation]


def files(place: Place) -> list[str]:
    return sorted(path.name for path in (place.root / "approvals").iterdir())


# --- asking


def test_an_approval_is_asked_for_by_what_it_is_about_and_a_nonce(place: Place) -> None:
    found = asked(place)
    text = (place.root / "approvals" / "a0000000001.json").read_bytes()
    content = json.loads(text)
    assert text == canonical(content) == found.content.encode()
    nonce, site = content.pop("nonce"), content.pop("site")
    assert content == {
        "operation": "send",
        "subject": {"kind": "request", "number": 12},
        "parameters": COUNTS,
        "hashes": HASHES,
        "expires": "2026-04-04T01:00:00+00:00",
    }
    assert len(bytes.fromhex(nonce)) == 16
    with place.opened() as centre:
        assert site == centre.signer.public
    assert (found.number, found.state, found.created_at) == (1, "open", DAY.isoformat())
    (intent, done) = entries(place, "ask_approval")
    assert intent["where"] == {"command": "send", "request": 12}
    assert (done["actor"], done["note"]) == ("batch", {"approval": 1})


def test_asking_again_changes_nothing(place: Place) -> None:
    first = asked(place)
    place.now += timedelta(days=2, hours=23)
    assert asked(place) == first
    assert files(place) == ["a0000000001.json"]
    assert len(entries(place, "ask_approval")) == 2


def test_other_subjects_and_operations_are_asked_for_beside_it(place: Place) -> None:
    asked(place)
    with place.opened() as centre:
        for number, (operation, subject) in enumerate(
            [
                ("store", REQUEST),
                ("send", Subject("request", 13)),
                ("store", Subject("reception", 12)),
            ],
            start=2,
        ):
            assert ask(centre, operation, subject, HASHES, COUNTS).number == number
    with at_desk(place) as desk:
        assert [item["approval"] for item in pending(desk)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("hashes", "parameters"),
    [({"request": "0" * 64}, COUNTS), (HASHES, {**COUNTS, "records": 1_201}), (HASHES, {})],
)
def test_what_changed_is_asked_for_anew(
    place: Place, hashes: dict[str, str], parameters: dict[str, int | str]
) -> None:
    asked(place)
    approved(place, SATO)
    with place.opened() as centre:
        again = ask(centre, "send", REQUEST, hashes, parameters)
        assert again.number == 2
        assert held.approval(centre.ledger, 1).state == "replaced"
        assert granted(centre, "send", REQUEST, hashes) is None
    assert refused(place, SATO, 1) == "approvals.replaced"
    approved(place, SATO, 2)
    assert grant_of(place, hashes) is not None


def test_an_approval_that_was_not_given_in_time_is_asked_for_anew(place: Place) -> None:
    first = asked(place)
    old = signature_of(place, SATO)
    place.now += timedelta(days=3)
    assert refused(place, SATO) == "approvals.expired"
    laid(place, "late", old)
    assert grant_of(place) is None
    second = asked(place)
    assert (second.number, second.asked["expires"]) == (2, "2026-04-07T01:00:00+00:00")
    assert second.asked["nonce"] != first.asked["nonce"]
    assert refused(place, SATO, 1) == "approvals.expired"
    laid(place, "old", old, 2)  # the same request, the same person, the nonce alone is another
    assert grant_of(place) is None
    assert reasons(place) == ["keys.signature_content"]
    approved(place, SATO, 2)
    assert grant_of(place) == Grant(2, ("sato",), "2026-04-04T01:00:00+00:00")


def test_the_site_says_how_long_an_approval_waits(place: Place) -> None:
    employ(place.root, SATO, policy="days = 1")
    asked(place)
    approved(place, SATO)
    place.now += timedelta(hours=23, minutes=59)
    assert grant_of(place) is not None
    place.now += timedelta(minutes=1)
    assert grant_of(place) is None


def test_an_expired_approval_stays_so_when_the_clock_is_set_back(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    place.now += timedelta(days=4)
    with place.opened() as centre:
        tidy(centre)
    place.now -= timedelta(days=4)
    assert grant_of(place) is None
    assert refused(place, SATO) == "approvals.expired"


class Killed(BaseException):
    """Not an Exception: nothing may catch it on the way."""


def test_a_run_killed_between_ledger_and_file_lays_the_file_out_the_next_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("koukan.engine.approvals.ApprovalFolder.publish", kill)
        with pytest.raises(Killed):
            asked(place)
    assert files(place) == []
    found = asked(place)
    assert found.number == 1
    text = place.root / "approvals" / "a0000000001.json"
    assert text.read_text() == found.content
    text.write_text(found.content.replace("1200", "1"))
    asked(place)
    assert text.read_text() == found.content


@pytest.mark.parametrize(
    ("hashes", "parameters"),
    [
        ({}, {}),
        ({"request": "abc"}, {}),
        ({"request": "A" * 64}, {}),
        ({"": "0" * 64}, {}),
        (HASHES, {"file": "架空 太郎"}),
        (HASHES, {"file": "123456789018"}),
        (HASHES, {"records": 123456789018}),
        (HASHES, {"records": -1}),
        (HASHES, {"records": True}),
        (HASHES, {"records": 1.5}),
        (HASHES, {"名前": 1}),
    ],
)
def test_only_hashes_counts_and_names_are_asked_about(
    place: Place, hashes: dict[str, str], parameters: dict[str, Any]
) -> None:
    with place.opened() as centre:
        with pytest.raises(ValueError, match="approval"):
            ask(centre, "send", REQUEST, hashes, parameters)
        assert held.newest(centre.ledger) == 0


# --- giving


def test_a_person_gives_what_the_next_look_finds(place: Place) -> None:
    asked(place)
    assert grant_of(place) is None
    assert approved(place, SATO) == Given(1, "send", "sato", 1, 1)
    assert grant_of(place) == Grant(1, ("sato",), DAY.isoformat())
    assert files(place) == ["a0000000001.json", "a0000000001.sato.sig"]
    (intent, done) = entries(place, "approve")
    where = {"approval": 1, "command": "send", "request": 12}
    for entry in (intent, done):
        assert (entry["actor"], entry["where"]) == ("sato", where)
    assert (intent["kind"], done["kind"]) == ("intent", "done")


def test_approving_twice_changes_nothing(place: Place) -> None:
    asked(place)
    for _ in range(2):
        assert approved(place, SATO).given == 1
    assert files(place) == ["a0000000001.json", "a0000000001.sato.sig"]


def test_an_approval_is_used_once(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    grant = grant_of(place)
    assert grant is not None
    signature = signature_of(place, SATO)
    used(place, grant)
    with place.opened() as centre:
        found = held.approval(centre.ledger, 1)
    assert (found.state, found.used_at, found.used_by) == ("used", DAY.isoformat(), ("sato",))
    with pytest.raises(IntegrityError) as caught:
        used(place, grant)
    assert (caught.value.key, caught.value.where) == ("approvals.not_open", {"approval": "1"})
    assert grant_of(place) is None  # its signature still lies there
    assert refused(place, SATO) == "approvals.used"
    assert asked(place).number == 2  # the same bytes, asked for once more
    for number in (1, 2):
        laid(place, "replayed", signature, number)
    assert grant_of(place) is None


def test_what_an_approval_was_for_goes_with_it_or_not_at_all(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    grant = grant_of(place)
    assert grant is not None

    def kill() -> None:
        with centre.ledger.begin() as transaction:
            use(transaction, grant)
            raise Killed

    with place.opened() as centre:
        with pytest.raises(Killed):
            kill()
        assert held.approval(centre.ledger, 1).state == "open"
    assert grant_of(place) == grant


def test_two_runs_that_hold_the_same_grant_use_it_once(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    grants = [grant_of(place), grant_of(place)]
    assert grants[0] == grants[1]
    used(place, grants[0])
    with pytest.raises(IntegrityError):
        used(place, grants[1])


def test_an_approval_is_good_for_the_bytes_it_was_given_for(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    for other in (
        {"request": "0" * 64},
        {**HASHES, "more": "0" * 64},
        {"other": HASHES["request"]},
    ):
        assert grant_of(place, other) is None
    with place.opened() as centre:
        assert granted(centre, "store", REQUEST, HASHES) is None
        assert granted(centre, "send", Subject("request", 13), HASHES) is None
        assert granted(centre, "send", Subject("reception", 12), HASHES) is None
    assert grant_of(place) is not None


@pytest.mark.parametrize(
    "change", ["operation = 'store'", "subject_number = 13", "subject = 'reception'"]
)
def test_an_approval_moved_in_the_ledger_to_something_else_is_none(
    place: Place, change: str
) -> None:
    asked(place)
    approved(place, SATO)
    with sqlite3.connect(place.root / "ledger" / "koukan.sqlite") as connection:
        connection.execute(f"UPDATE approval SET {change}")
    connection.close()
    with place.opened() as centre:
        found = held.approval(centre.ledger, 1)
        assert granted(centre, found.operation, found.subject, HASHES) is None


def test_a_signature_under_the_file_counts_only_if_the_ledger_says_the_same(place: Place) -> None:
    text = asked(place).content
    other = text.replace("1200", "1")
    (place.root / "approvals" / "a0000000001.json").write_text(other)
    laid(place, "json", SATO.signing.sign(other.encode(), "koukan"))
    assert grant_of(place) is None
    assert reasons(place) == ["keys.signature_content"]


# --- by whom


@pytest.mark.requirement("R173", "R179")
@pytest.mark.parametrize(
    ("first", "last", "now", "reason"),
    [
        (date(2026, 4, 2), None, DAY, "approvals.not_yet"),
        (date(2026, 4, 1), None, DAY, None),
        (date(2026, 4, 1), date(2026, 4, 1), DAY, None),
        # midnight in Japan is 15:00 UTC
        (date(2026, 4, 1), date(2026, 4, 1), datetime(2026, 4, 1, 14, 59, tzinfo=UTC), None),
        (
            date(2026, 4, 1),
            date(2026, 4, 1),
            datetime(2026, 4, 1, 15, 0, tzinfo=UTC),
            "approvals.no_longer",
        ),
        (date(2026, 4, 2), None, datetime(2026, 4, 1, 15, 0, tzinfo=UTC), None),
    ],
)
def test_a_person_approves_from_her_first_day_to_her_last(
    place: Place, first: date, last: date | None, now: datetime, reason: str | None
) -> None:
    person = Staff("mori", valid_from=first, valid_to=last)
    employ(place.root, person)
    asked(place)
    place.now = now
    laid(place, "own", signature_of(place, person))
    assert reasons(place) == [reason]
    assert (grant_of(place) is None) == (reason is not None)
    if reason:
        assert refused(place, person) == reason
    else:
        assert approved(place, person).given == 1


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        (Staff("mori", rights=("look",)), "approvals.no_right"),
        (Staff("mori", rights=("store", "look")), "approvals.no_right"),
        (Staff("mori", rights=()), "approvals.no_right"),
        (Staff("mori", revoked=True), "approvals.revoked"),
    ],
)
def test_who_may_not_approve_is_told_why_and_counts_for_nothing(
    place: Place, person: Staff, reason: str
) -> None:
    employ(place.root, person)
    asked(place)
    assert refused(place, person) == reason
    assert files(place) == ["a0000000001.json"]
    (intent, failed) = entries(place, "approve")
    assert (intent["actor"], failed["kind"]) == ("mori", "failed")
    assert failed["error"] == {"class": "UsageError", "key": reason}
    laid(place, "own", signature_of(place, person))
    assert grant_of(place) is None
    assert reasons(place) == [reason]


def test_a_right_taken_away_after_signing_counts_no_longer(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    for change in ({"revoked": True}, {"rights": ("store",)}, {"valid_to": date(2026, 4, 1)}):
        place.now = DAY + timedelta(days=1)
        employ(place.root, Staff("sato", private=SATO.private, **change))
        assert grant_of(place) is None
    employ(place.root)
    assert grant_of(place) is None
    assert reasons(place) == ["approvals.nobody"]
    employ(place.root, SATO)
    assert grant_of(place) is not None


def test_a_key_that_was_replaced_counts_no_longer(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    employ(place.root, Staff("sato"))
    assert grant_of(place) is None


def test_a_strangers_key_is_nobodys(place: Place) -> None:
    asked(place)
    stranger = Staff("sato")  # the name alone is nothing
    assert refused(place, stranger) == "approvals.nobody"
    assert entries(place, "approve") == []
    laid(place, "sato", signature_of(place, stranger))
    assert grant_of(place) is None
    assert reasons(place) == ["approvals.nobody"]


def test_the_batch_cannot_approve_with_its_own_key(place: Place) -> None:
    """Not even when somebody registers it as a person's."""
    with place.opened() as centre:
        private = centre.signer._private
    batch = Staff("robot", private=private)
    employ(place.root, batch)
    asked(place)
    assert refused(place, batch) == "approvals.batch_key"
    laid(place, "robot", signature_of(place, batch))
    assert grant_of(place) is None
    assert reasons(place) == ["approvals.batch_key"]


def test_two_distinct_persons_where_a_site_wants_two(place: Place) -> None:
    employ(place.root, SATO, SUZUKI, policy=TWO)
    asked(place)
    assert approved(place, SATO) == Given(1, "send", "sato", 1, 2)
    laid(place, "second", signature_of(place, SATO))
    assert grant_of(place) is None
    assert reasons(place) == [None, "approvals.same_person"]
    assert approved(place, SUZUKI) == Given(1, "send", "suzuki", 2, 2)
    grant = grant_of(place)
    assert grant is not None
    assert grant.persons == ("sato", "suzuki")
    used(place, grant)
    with place.opened() as centre:
        assert held.approval(centre.ledger, 1).used_by == ("sato", "suzuki")


def test_one_person_with_two_signatures_of_a_token_is_one_person(place: Place) -> None:
    token = Token()
    employ(place.root, Staff("sato", key=token.public), SUZUKI, policy=TWO)
    text = asked(place).content.encode()
    for name in ("a", "b"):  # the counter makes them differ
        laid(place, name, token.sign(text))
    assert grant_of(place) is None
    assert reasons(place) == [None, "approvals.same_person"]


@pytest.mark.requirement("R131", "R133")
def test_the_site_says_whether_a_token_must_have_known_its_user(place: Place) -> None:
    token = Token()
    mori = Staff("mori", key=token.public)
    employ(place.root, SATO, mori, policy="user_verified = true")
    text = asked(place).content.encode()
    assert refused(place, SATO) == "approvals.not_verified"
    with at_desk(place) as desk:
        with pytest.raises(UsageError, match="not_verified"):
            approve_signed(desk, 1, token.sign(text, flags=PRESENT))
        assert grant_of(place) is None
        assert approve_signed(desk, 1, token.sign(text)) == Given(1, "send", "mori", 1, 1)
    assert grant_of(place) == Grant(1, ("mori",), DAY.isoformat())


def test_a_touch_is_enough_where_the_site_asks_for_no_more(place: Place) -> None:
    token = Token()
    employ(place.root, Staff("mori", key=token.public))
    text = asked(place).content.encode()
    laid(place, "json", token.sign(text, flags=PRESENT))
    assert grant_of(place) is not None


# --- by signature files


@needs_ssh_keygen
def test_a_signature_that_ssh_keygen_made_in_the_folder_counts(
    place: Place, tmp_path: Path
) -> None:
    key = write_key(tmp_path / "sato", SATO.private)
    asked(place)
    text = place.root / "approvals" / "a0000000001.json"
    assert ssh_keygen("-Y", "sign", "-n", "koukan", "-f", key, text).returncode == 0
    assert files(place) == ["a0000000001.json", "a0000000001.json.sig"]
    assert grant_of(place) == Grant(1, ("sato",), DAY.isoformat())


@needs_ssh_keygen
def test_a_signature_that_ssh_keygen_made_elsewhere_is_handed_in(
    place: Place, tmp_path: Path
) -> None:
    key = write_key(tmp_path / "sato", SATO.private)
    text = asked(place).content.encode()
    made = {
        name: ssh_keygen("-Y", "sign", "-n", name, "-f", key, content=text).stdout
        for name in ("koukan", "file")
    }
    with at_desk(place) as desk:
        with pytest.raises(UsageError, match=r"keys\.signature_namespace"):
            approve_signed(desk, 1, made["file"])
        with pytest.raises(UsageError, match=r"keys\.signature_malformed"):
            approve_signed(desk, 1, b"garbage")
        with pytest.raises(UsageError, match=r"keys\.signature_content"):
            approve_signed(desk, 1, sign(SATO.private, text + b"\n", "koukan"))
        assert files(place) == ["a0000000001.json"]
        assert approve_signed(desk, 1, made["koukan"]).person == "sato"
    assert grant_of(place) is not None


def test_signatures_that_do_not_count_stand_in_nobodys_way_and_are_logged_once(
    place: Place,
) -> None:
    mori = Staff("mori", rights=("look",))
    employ(place.root, SATO, mori)
    text = asked(place).content
    laid(place, "0garbage", b"\x00garbage")
    laid(place, "1empty", b"")
    laid(place, "2other", SATO.signing.sign(b"other", "koukan"))
    laid(place, "3mori", signature_of(place, mori))
    laid(place, "4 架空\n太郎", b"-" * 9_999)
    laid(place, "5namespace", SATO.signing.sign(text.encode(), "file"))
    expected = [
        "keys.signature_malformed",
        "keys.signature_malformed",
        "keys.signature_content",
        "approvals.no_right",
        "keys.signature_malformed",
        "keys.signature_namespace",
    ]
    for _ in range(3):
        assert grant_of(place) is None
        assert reasons(place) == expected
    found = entries(place, "refuse_signature")
    assert [entry["kind"] for entry in found] == ["intent", "done"] * 6
    assert [entry["where"]["code"] for entry in found[::2]] == expected
    assert found[6]["where"] == {"approval": 1, "code": "approvals.no_right", "actor": "mori"}
    approved(place, SATO)
    assert grant_of(place) == Grant(1, ("sato",), DAY.isoformat())
    assert len(entries(place, "refuse_signature")) == 12
    with at_desk(place) as desk:
        shown = [one["file"] for one in pending(desk)[0]["signatures"]]
    assert shown[4] == "?"
    assert "太郎" not in str(shown)


def test_a_signature_refused_for_another_reason_is_logged_for_that_too(place: Place) -> None:
    mori = Staff("mori", valid_from=date(2026, 4, 2))
    employ(place.root, mori)
    asked(place)
    laid(place, "mori", signature_of(place, mori))
    assert grant_of(place) is None
    employ(place.root, Staff("mori", private=mori.private, revoked=True))
    assert grant_of(place) is None
    found = entries(place, "refuse_signature")
    codes = [entry["where"]["code"] for entry in found if entry["kind"] == "done"]
    assert codes == ["approvals.not_yet", "approvals.revoked"]


# --- afterwards


def test_files_go_when_the_ledger_says_that_an_approval_is_over(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    grant = grant_of(place)
    assert grant is not None
    with place.opened() as centre:
        ask(centre, "store", Subject("reception", 3), HASHES, COUNTS)
        tidy(centre)
        assert files(place) == ["a0000000001.json", "a0000000001.sato.sig", "a0000000002.json"]
    used(place, grant)
    with place.opened() as centre:
        for _ in range(2):
            tidy(centre)
            assert files(place) == ["a0000000002.json"]
        place.now += timedelta(days=3)
        tidy(centre)
        assert held.approval(centre.ledger, 2).state == "expired"
        assert held.open_approvals(centre.ledger) == []
    assert files(place) == []


def test_each_run_tidies(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    place.now += timedelta(days=3)
    with place.opened() as centre:
        run_job(centre, "register_members")
    assert files(place) == []


def test_a_centre_from_before_there_were_approvals_gets_the_folder(place: Place) -> None:
    (place.root / "approvals").rmdir()
    with place.opened() as centre:
        tidy(centre)
        assert (place.root / "approvals").stat().st_mode & 0o777 == 0o700
        (place.root / "approvals").rmdir()
        ask(centre, "send", REQUEST, HASHES, COUNTS)
    assert files(place) == ["a0000000001.json"]


def test_nothing_secret_and_no_value_stands_in_folder_or_log(place: Place) -> None:
    asked(place)
    approved(place, SATO)
    grant_of(place)
    secret = SATO.private.private_bytes_raw()
    for path in (place.root / "approvals").iterdir():
        assert secret not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [2, 999])
def test_an_approval_that_was_never_asked_for_is_told(place: Place, number: int) -> None:
    asked(place)
    assert refused(place, SATO, number) == "approvals.no_approval"


def test_a_person_needs_no_key_of_the_centre(place: Place) -> None:
    asked(place)
    place.key.unlink()
    (place.root / "keyring").rename(place.root.parent / "taken")
    assert approved(place, SATO).given == 1
    with at_desk(place) as desk:
        (item,) = pending(desk)
    assert (item["given"], item["needed"]) == (1, 1)
    with pytest.raises(SecretError):
        place.run()


def test_what_waits_is_reported_with_its_age(place: Place) -> None:
    asked(place)
    place.now += timedelta(hours=5)
    with at_desk(place) as desk:
        (item,) = pending(desk)
    assert item == {
        "approval": 1,
        "operation": "send",
        "subject": {"kind": "request", "number": 12},
        "parameters": COUNTS,
        "hashes": HASHES,
        "file": None,  # a request that was never cut: only its number is known
        "asked_at": "2026-04-01 10:00",
        "age_seconds": 18_000,
        "expires_at": "2026-04-04 10:00",
        "expired": False,
        "overdue": False,
        "needed": 1,
        "given": 0,
        "next_run": {"job": "ask_identity", "at": "2026-04-01 15:00", "due": True},
        "signatures": [],
    }
    place.now += timedelta(days=3)
    with at_desk(place) as desk:
        (item,) = pending(desk)
    assert (item["expired"], item["overdue"]) == (True, True)

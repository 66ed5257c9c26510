"""Approvals in a real ledger: numbered once, one open for each operation and subject."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError as Violated

from koukan.errors import UsageError
from koukan.ledger import Ledger
from koukan.ledger import approvals as held
from koukan.ledger.approvals import Subject

REQUEST = Subject("request", 12)
EXPIRES = "2026-04-04T01:00:00+00:00"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "koukan.sqlite")
    found.create()
    yield found
    found.close()


def add(ledger: Ledger, operation: str = "send", subject: Subject = REQUEST) -> int:
    with ledger.begin() as transaction:
        return held.add(
            transaction,
            {
                "operation": operation,
                "subject": subject.kind,
                "subject_number": subject.number,
                "content": json.dumps({"expires": EXPIRES}),
                "created_at": "2026-04-01T01:00:00+00:00",
                "expires_at": EXPIRES,
            },
        )


def test_an_approval_is_found_by_number_and_by_what_it_is_about(ledger: Ledger) -> None:
    assert held.newest(ledger) == 0
    assert add(ledger) == 1
    assert add(ledger, "store", Subject("reception", 12)) == 2
    assert held.newest(ledger) == 2
    found = held.approval(ledger, 1)
    assert (found.number, found.operation, found.subject) == (1, "send", REQUEST)
    assert (found.state, found.used_at, found.used_by) == ("open", None, ())
    assert held.open_approval(ledger, "send", REQUEST) == found
    for operation, subject in (
        ("store", REQUEST),
        ("send", Subject("reception", 12)),
        ("send", Subject("request", 13)),
    ):
        assert held.open_approval(ledger, operation, subject) is None
    assert [item.number for item in held.open_approvals(ledger)] == [1, 2]
    with pytest.raises(UsageError) as caught:
        held.approval(ledger, 3)
    assert (caught.value.key, caught.value.where) == ("approvals.no_approval", {"approval": "3"})


def test_the_database_holds_one_open_approval_for_an_operation_on_a_subject(
    ledger: Ledger,
) -> None:
    add(ledger)
    with pytest.raises(Violated):
        add(ledger)
    add(ledger, "store")
    add(ledger, subject=Subject("request", 13))
    for state in ("used", "expired", "replaced"):
        with ledger.begin() as transaction:
            held.close(transaction, held.open_approval(ledger, "send", REQUEST).number, state)
        add(ledger)
    with pytest.raises(Violated):
        add(ledger)
    assert held.newest(ledger) == 6


def test_an_approval_is_closed_once(ledger: Ledger) -> None:
    number = add(ledger)
    with ledger.begin() as transaction:
        assert held.close(transaction, number, "used", at="2026-04-02", by=("sato", "suzuki"))
        assert not held.close(transaction, number, "used", at="2026-04-03", by=("other",))
    with ledger.begin() as transaction:
        assert not held.close(transaction, number, "expired")
        assert not held.close(transaction, 99, "expired")
    found = held.approval(ledger, number)
    assert (found.state, found.used_at, found.used_by) == ("used", "2026-04-02", ("sato", "suzuki"))


def test_closing_is_undone_with_its_transaction(ledger: Ledger) -> None:
    number = add(ledger)

    def kill() -> None:
        with ledger.begin() as transaction:
            held.close(transaction, number, "used")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        kill()
    assert held.approval(ledger, number).state == "open"


def test_an_approval_expires_by_what_was_signed(ledger: Ledger) -> None:
    found = held.approval(ledger, add(ledger))
    end = datetime(2026, 4, 4, 1, 0, tzinfo=UTC)
    assert not found.expired(end - timedelta(seconds=1))
    assert found.expired(end)


def test_a_refusal_is_noted_once_for_each_reason(ledger: Ledger) -> None:
    for _ in range(2):
        with ledger.begin() as transaction:
            held.note_refusal(transaction, 1, "ab", "approvals.not_yet")
            held.note_refusal(transaction, 1, "ab", "approvals.revoked")
            held.note_refusal(transaction, 2, "cd", "approvals.nobody")
    assert held.refusals(ledger, 1) == {("ab", "approvals.not_yet"), ("ab", "approvals.revoked")}
    assert held.refusals(ledger, 3) == set()

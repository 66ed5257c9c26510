"""Looks that take a right of their own: a person signs exactly one question, and gets its answer.

    question    operation, what it is about, purpose, time, nonce, the centre's public key
    signature   SSHSIG in the namespace of approvals, by the key of a [[person]] of site.toml
    authorised  the right stands today, the question is young, and nobody had its answer yet

The signature proves who asked and what; it opens nothing. Reading takes the centre's own keys, so
the answer is given by whoever holds these, and that it may be is written down before it is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from koukan.engine.accesses import sign_of
from koukan.engine.centre import Centre
from koukan.engine.history import Member, is_written, link_of
from koukan.engine.people import people_of
from koukan.engine.reading import steady
from koukan.errors import UsageError
from koukan.flows.registration import VAULT
from koukan.keys.approval import judge
from koukan.keys.secret import canonical
from koukan.ledger import looks
from koukan.oplog import OperationLog
from koukan.sites import Person
from koukan.sites.schedule import day_of

Look = Literal["number", "review", "code", "reissue", "record", "administer"]
VALID = timedelta(hours=1)  # from the question to its answer
SKEW = timedelta(minutes=5)  # clocks of those who sign elsewhere
Subject = Mapping[str, str | int]
REASONS = {  # what speaks against a signature, in the words of a look
    "approvals.nobody": "looks.nobody",
    "approvals.batch_key": "looks.batch_key",
    "approvals.no_right": "looks.no_right",
    "approvals.revoked": "looks.not_valid",
    "approvals.not_yet": "looks.not_valid",
    "approvals.no_longer": "looks.not_valid",
    "approvals.not_verified": "looks.not_verified",
}


class Number(NamedTuple):
    """A 個人番号 of a person. It is shown and kept nowhere."""

    my_number: str
    origin: str  # issued, or replaced: it came as 更新後個人番号
    reception: int


def question(centre: Centre, operation: Look, subject: Subject) -> str:
    """The text that a person signs.

    Args:
        subject: what it is about: names and numbers, no 個人番号.
    """
    asked = {
        "operation": operation,
        "subject": dict(subject),
        "asked_at": centre.now(),
        "nonce": secrets.token_hex(16),
        "site": centre.signer.public,
    }
    return canonical(asked).decode("ascii")


def require_member(centre: Centre, who: Member) -> None:
    """Raises UsageError for what is not written as a member of an insurer of the site is."""
    if not is_written(who):
        raise UsageError("history.form")
    if who.insurer not in {one.code for one in centre.site.insurers}:
        raise UsageError("waiting.unknown", insurer=who.insurer)


def authorised(
    centre: Centre, text: str, signature: bytes, operation: Look, subject: Subject
) -> Person:
    """Who may have the answer to this question, once; written down before it is given.

    Raises:
        UsageError: it is another question, or too old, or answered already, or the signature is
            nobody's who has the right today.
    """
    asked = _asked(text)
    if asked["operation"] != operation or asked["subject"] != dict(subject):
        raise UsageError("looks.other")
    person, reason = judge(text, signature, centre.site, day_of(centre.clock()))
    if person is None:
        raise UsageError(REASONS.get(reason or "approvals.nobody", reason or "looks.nobody"))
    log = OperationLog(centre.root / "log", person.name, centre.clock)
    named = {"insurer": "insurer", "purpose": "code"}  # in the subject, in the log
    place = {name: subject[key] for key, name in named.items() if key in subject}
    if "member_id" in subject:
        who = Member(str(subject["insurer"]), str(subject["member_id"]))
        place["sign"] = sign_of(centre, who)
    with log.operation(f"look_{operation}", **place):
        if reason is not None:
            raise UsageError(REASONS[reason], actor=person.name)
        if operation in ("number", "review") and not _responsible(centre, person, subject):
            raise UsageError("looks.other_operator", actor=person.name)
        age = centre.clock() - datetime.fromisoformat(asked["asked_at"])
        if not -SKEW <= age <= VALID:
            raise UsageError("looks.old")
        with centre.ledger.begin() as transaction:
            if not looks.use(transaction, asked["nonce"], operation, person.name, centre.now()):
                raise UsageError("looks.used")
    return person


@steady
def numbers_of(centre: Centre, who: Member) -> list[Number]:
    """All 個人番号 of the person whom an insurer knows by a 被保険者枝番, the newest last.

    The vault finds a number fast, not whose it is: all of it is read, file by file. A stranger's
    number, from which the person was parted, is not among them.

    Raises:
        UsageError: see `history.events`.
    """
    people = people_of(centre)
    link = link_of(centre, people, who.insurer, int(who.member_id), None)
    _, raw = people.raw_links(np.array([link]))
    own = pl.Series(raw[people.canonical(raw) == link]).implode()
    vault = centre.snapshot(VAULT)
    rows = vault.read(vault.files(), where=pl.col("link_number").is_in(own))
    rows = rows.sort("group_number", "reception")
    numbers = centre.tokeniser.numbers(rows["token_hi"].to_numpy(), rows["token_lo"].to_numpy())
    told = rows.select("origin", "reception").iter_rows()
    return [
        Number(f"{number:012d}", *one) for number, one in zip(numbers.tolist(), told, strict=True)
    ]


def _asked(text: str) -> dict[str, Any]:
    """A question, as `question` writes it."""
    try:
        asked = json.loads(text)
        whole = canonical(asked).decode("ascii") == text
        names = set(asked) == {"operation", "subject", "asked_at", "nonce", "site"}
        moment = datetime.fromisoformat(asked["asked_at"]) if names else None
    except (ValueError, TypeError, AttributeError):
        raise UsageError("looks.other") from None
    if not (whole and names and moment is not None and moment.tzinfo == UTC):
        raise UsageError("looks.other")
    return dict(asked)


def _responsible(centre: Centre, person: Person, subject: Subject) -> bool:
    """Whether the person's operator runs the history of the insurer that is asked about."""
    if "insurer" not in subject:
        return True
    kind = centre.site.insurer(str(subject["insurer"])).kind
    return kind in centre.catalogue.operators[person.operator].history_of

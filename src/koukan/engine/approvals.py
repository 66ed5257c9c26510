"""Approvals: one logged-in person operates the sending of a request and the storing of an answer.

A run never waits for one. A step asks (`ask`), goes on with other work, and looks each time it runs
whether persons have given it (`granted`); it uses it in the ledger transaction of what it was given
for (`use`), once. What persons sign is the ledger's text: operation, subject, counts, hashes of the
files, expiry and a nonce. A signature for anything else, or for an earlier approval, does not fit.

    step                            ledger              approvals/
    ask      new, expired, changed  row: open           a0000000001.json, again if missing
    approve  a person, at a desk    -                   a0000000001.<person>.sig
    granted  enough persons         refusals, once      -
    use                             row: used           -
    tidy                            row: expired        files of what is not open are removed

Persons come from site.toml with their public keys, rights and days. How many it takes and whether a
FIDO token must have verified its user are the site's choice, judged when the approval is used.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from koukan import oplog
from koukan.engine.centre import Centre
from koukan.engine.desk import Desk
from koukan.errors import IntegrityError, UsageError
from koukan.exchange import ApprovalFolder
from koukan.keys.approval import NAMESPACE, Judged, counting, judge, judged
from koukan.keys.secret import canonical
from koukan.keys.sshsig import PersonKey
from koukan.ledger import approvals as held
from koukan.ledger.approvals import Approval, Subject
from koukan.reports.approvals import pending
from koukan.sites import Operation
from koukan.sites.schedule import day_of

__all__ = [
    "Approval",
    "Given",
    "Grant",
    "Subject",
    "approve",
    "approve_signed",
    "ask",
    "granted",
    "pending",
    "tidy",
    "use",
    "withdraw",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_HASH = re.compile(r"[0-9a-f]{64}")
_CLOSED = {
    "used": "approvals.used",
    "expired": "approvals.expired",
    "replaced": "approvals.replaced",
}


@dataclass(frozen=True)
class Grant:
    """An approval that enough persons gave: good for one `use`."""

    approval: int
    persons: tuple[str, ...]
    at: str  # when it was looked at, UTC


class Given(NamedTuple):
    """What a person's approval came to: how many have given it of those that it takes."""

    approval: int
    operation: Operation
    person: str
    given: int
    needed: int


# --- the run's side


def ask(
    centre: Centre,
    operation: Operation,
    subject: Subject,
    hashes: Mapping[str, str],
    parameters: Mapping[str, int | str],
) -> Approval:
    """Ask persons for an approval, unless the same is asked already; lay its text out for signing.

    One that has expired, or was asked over other hashes or parameters, is closed and replaced.

    Args:
        hashes: name -> SHA-256 of what the operation is about, 64 hexadecimal digits.
        parameters: counts and names that tell a person what it is; no value of a record.

    Raises:
        ValueError: a name, hash or value is not of that kind (a bug of ours).
    """
    wanted = _wanted(operation, subject, hashes, parameters)
    found = held.open_approval(centre.ledger, operation, subject)
    if found is None or found.expired(centre.clock()) or not _says(found, wanted):
        found = _asked_anew(centre, operation, subject, wanted, found)
    ApprovalFolder.below(centre.root).publish(found.number, found.content)
    return found


def granted(
    centre: Centre, operation: Operation, subject: Subject, hashes: Mapping[str, str]
) -> Grant | None:
    """The approval, if it is given now and for exactly these bytes.

    A signature that does not count is logged, once for each reason, and stands in nobody's way.
    """
    wanted = _wanted(operation, subject, hashes, {})
    del wanted["parameters"]  # what was shown beside the hashes
    found = held.open_approval(centre.ledger, operation, subject)
    if found is None or found.expired(centre.clock()) or not _says(found, wanted):
        return None
    files = ApprovalFolder.below(centre.root).signatures(found.number)
    signatures = judged(found.content, files, centre.site, day_of(centre.clock()))
    _log_refused(centre, found.number, signatures)
    persons = counting(signatures)
    if len(persons) < centre.site.approvals.needed(operation):
        return None
    return Grant(found.number, persons, centre.now())


def use(transaction: Connection, grant: Grant) -> None:
    """Use an approval up, in the ledger transaction of what it was given for.

    Raises:
        IntegrityError: it is not open any more; the transaction must not go on.
    """
    if not held.close(transaction, grant.approval, "used", at=grant.at, by=grant.persons):
        raise IntegrityError("approvals.not_open", approval=grant.approval)


def withdraw(
    centre: Centre, transaction: Connection, operation: Operation, subject: Subject
) -> None:
    """Close what was asked, if it was: there is nothing any more that it could be given for."""
    found = held.open_approval(centre.ledger, operation, subject)
    if found is not None:
        held.close(transaction, found.number, "replaced")


def tidy(centre: Centre) -> None:
    """Close what has expired; then remove the files of all that is not open. Repeatable."""
    waiting = held.open_approvals(centre.ledger)
    over = [item.number for item in waiting if item.expired(centre.clock())]
    if over:
        with centre.ledger.begin() as transaction:
            for number in over:
                held.close(transaction, number, "expired")
    still = {item.number for item in waiting}.difference(over)
    ApprovalFolder.below(centre.root).tidy(still, held.newest(centre.ledger))


def _wanted(
    operation: Operation,
    subject: Subject,
    hashes: Mapping[str, str],
    parameters: Mapping[str, int | str],
) -> dict[str, object]:
    """The part of the text that says what is asked for."""
    if not hashes or not all(_HASH.fullmatch(value) for value in hashes.values()):
        raise ValueError("an approval is over SHA-256 hashes")
    if not all(_NAME.fullmatch(name) for name in (*hashes, *parameters)):
        raise ValueError("an approval does not take this name")
    for name, value in parameters.items():
        if not oplog.harmless(value):
            raise ValueError(f"an approval does not take this value of {name!r}")
    return {
        "operation": operation,
        "subject": subject._asdict(),
        "parameters": dict(parameters),
        "hashes": dict(hashes),
    }


def _says(approval: Approval, wanted: Mapping[str, object]) -> bool:
    """Whether the signed text asks for exactly that. Columns beside it prove nothing."""
    asked = approval.asked
    return all(asked[name] == value for name, value in wanted.items())


def _asked_anew(
    centre: Centre,
    operation: Operation,
    subject: Subject,
    wanted: Mapping[str, object],
    old: Approval | None,
) -> Approval:
    now = centre.clock().astimezone(UTC)
    expires = now + timedelta(days=centre.site.approvals.days)
    expires_at = expires.isoformat(timespec="seconds")
    text = {
        **wanted,
        "expires": expires_at,
        "nonce": secrets.token_hex(16),
        "site": centre.signer.public,
    }
    values = {
        "operation": operation,
        "subject": subject.kind,
        "subject_number": subject.number,
        "content": canonical(text).decode("ascii"),
        "created_at": centre.now(),
        "expires_at": expires_at,
    }
    place: dict[str, int | str] = {"command": operation, subject.kind: subject.number}
    with centre.log.operation("ask_approval", **place) as logged:
        with centre.ledger.begin() as transaction:
            if old is not None:
                held.close(transaction, old.number, "expired" if old.expired(now) else "replaced")
            number = held.add(transaction, values)
        logged.note(approval=number)
    return held.approval(centre.ledger, number)


def _log_refused(centre: Centre, number: int, signatures: list[Judged]) -> None:
    """Logged first, noted as logged after it: a run killed between the two logs it once more."""
    known = held.refusals(centre.ledger, number)
    for item in signatures:
        if item.reason is None or (item.sha256, item.reason) in known:
            continue
        where = {"code": item.reason}
        if item.person:
            where["actor"] = item.person
        with (
            centre.log.operation("refuse_signature", approval=number, **where),
            centre.ledger.begin() as transaction,
        ):
            held.note_refusal(transaction, number, item.sha256, item.reason)


# --- the person's side


def approve(desk: Desk, number: int, key: PersonKey) -> Given:
    """Approve as the person whose registered key it is. A second time changes nothing.

    Raises:
        UsageError: there is no such approval, it is used or has expired, or the key is nobody's, or
            of somebody who may not approve this today.
    """
    text = _waiting(desk, number).content
    return approve_signed(desk, number, key.sign(text.encode("ascii"), NAMESPACE))


def approve_signed(desk: Desk, number: int, signature: bytes) -> Given:
    """Approve by a signature made elsewhere over the approval's file, e.g. with a FIDO token.

    `ssh-keygen -Y sign -n koukan -f KEY approvals/a0000000001.json` makes one.

    Raises:
        UsageError: as `approve`, or it is no signature over this approval.
    """
    approval = _waiting(desk, number)
    today = day_of(desk.clock())
    person, reason = judge(approval.content, signature, desk.site, today)
    if person is None:
        raise UsageError(reason or "approvals.nobody", approval=number)
    kind, subject = approval.subject
    place: dict[str, int | str] = {"command": approval.operation, kind: subject}
    folder = ApprovalFolder.below(desk.root)
    with desk.log(person).operation("approve", approval=number, **place):
        if reason is not None:
            raise UsageError(reason, approval=number, actor=person.name)
        folder.put(number, person.name, signature)
    found = judged(approval.content, folder.signatures(number), desk.site, today)
    needed = desk.site.approvals.needed(approval.operation)
    return Given(number, approval.operation, person.name, len(counting(found)), needed)


def _waiting(desk: Desk, number: int) -> Approval:
    found = held.approval(desk.ledger, number)
    over = found.state == "open" and found.expired(desk.clock())
    state = "expired" if over else found.state
    if state != "open":
        raise UsageError(_CLOSED[state], approval=number)
    return found

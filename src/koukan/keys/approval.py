"""Which signatures under an approval count: whose they are, and why another one does not.

What is signed is the approval's text as the ledger holds it, canonical JSON:

    {"operation", "subject": {"kind", "number"}, "parameters": {name: count or name},
     "hashes": {name: SHA-256}, "expires" (UTC), "nonce", "site" (the centre's own public key)}

The nonce makes a signature fit this one approval and no other, of this centre or of any.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from koukan.errors import SignatureRefused
from koukan.keys.sshsig import Signed, verify
from koukan.sites import Person, Site

NAMESPACE = "koukan"


class Judged(NamedTuple):
    """What became of one signature.

    Args:
        name: of its file.
        sha256: of its content.
        person: who signed; None where that is not proven, or nobody of the site.
        reason: key of the word catalogue; None when the signature counts.
    """

    name: str
    sha256: str
    person: str | None
    reason: str | None


def judged(
    text: str, signatures: Iterable[tuple[str, bytes]], site: Site, today: date
) -> list[Judged]:
    """All signatures under an approval, each with what speaks against it; a person counts once.

    Args:
        text: of the approval, from the ledger.
        signatures: (name of the file, content).
        today: in JST.
    """
    found: list[Judged] = []
    for name, content in signatures:
        person, reason = judge(text, content, site, today)
        who = None if person is None else person.name
        if reason is None and who in counting(found):
            reason = "approvals.same_person"
        found.append(Judged(name, hashlib.sha256(content).hexdigest(), who, reason))
    return found


def counting(signatures: Iterable[Judged]) -> tuple[str, ...]:
    """The persons whose signatures count, in the order of their files."""
    return tuple(item.person for item in signatures if item.person and item.reason is None)


def judge(text: str, signature: bytes, site: Site, today: date) -> tuple[Person | None, str | None]:
    """(who signed, what speaks against it): the latter is None when the signature counts."""
    try:
        signed = verify(signature, text.encode("ascii"), NAMESPACE)
    except SignatureRefused as error:
        return None, error.key
    person = site.person_of(signed.key)
    if person is None:
        return None, "approvals.nobody"
    return person, objection(json.loads(text), signed, person, site, today)


def objection(
    content: Mapping[str, Any], signed: Signed, person: Person, site: Site, today: date
) -> str | None:
    """Key of the word catalogue that says why a person's valid signature does not count."""
    against = {
        "approvals.batch_key": signed.key.point.hex() == content["site"],
        "approvals.revoked": person.revoked,
        "approvals.not_yet": today < person.valid_from,
        "approvals.no_longer": person.valid_to is not None and today > person.valid_to,
        "approvals.no_right": content["operation"] not in person.rights,
        "approvals.not_verified": site.approvals.user_verified and not signed.user_verified,
    }
    return next((key for key, holds in against.items() if holds), None)

"""Whether an answer file may be stored: immediate ones at once, bulk ones after an approval."""

from __future__ import annotations

from typing import NamedTuple

from koukan.engine import approvals, originals
from koukan.engine.approvals import Grant, Subject
from koukan.engine.centre import Centre
from koukan.flows import identity
from koukan.ledger import Reception


class Permission(NamedTuple):
    """May it be stored now, and by which approval, if it takes one."""

    given: bool
    grant: Grant | None = None


def permission(centre: Centre, reception: Reception) -> Permission:
    """Look for the approval *store* over a bulk answer's hash; ask for it where it is missing."""
    if originals.control_of(centre, reception)["query_mode"] == identity.IMMEDIATE:
        return Permission(True)
    subject, hashes = Subject("reception", reception.number), {"answer": reception.sha256}
    parameters: dict[str, int | str] = {
        "partner": reception.sender,
        "file": reception.file_name,
        "rows": reception.rows,
    }
    approvals.ask(centre, "store", subject, hashes, parameters)
    grant = approvals.granted(centre, "store", subject, hashes)
    return Permission(grant is not None, grant)

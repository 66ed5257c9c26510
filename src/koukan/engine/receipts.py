"""What the ledger knows of a reception, as its sender is told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePath
from typing import NamedTuple

from sqlalchemy import Connection

from koukan.engine.centre import Centre
from koukan.flows.results import ACKNOWLEDGEMENT, PREFIXES, end_of_name
from koukan.ledger import Ledger, Reception
from koukan.ledger.corrections import correction, restated
from koukan.reports.ladder import ladder_of
from koukan.rules.acknowledge import COUNTS, Receipt, acknowledgement
from koukan.rules.ladder import Rung
from koukan.sites.schedule import JST


def local_time(moment: str) -> str:
    """A stored UTC time in JST, fourteen digits."""
    return datetime.fromisoformat(moment).astimezone(JST).strftime("%Y%m%d%H%M%S")


def shown_time(moment: str) -> str:
    """A stored UTC time in JST, for a person."""
    return f"{datetime.fromisoformat(moment).astimezone(JST):%Y-%m-%d %H:%M:%S}"


class Laid(NamedTuple):
    """A file as it is to lie in an outbox."""

    kind: str
    name: str
    content: Iterable[bytes]  # taken once
    sha256: str
    lines: int


def first_receipt(centre: Centre, reception: Reception) -> Laid:
    """What a sender gets at once: that its file is here, and when more is known."""
    receipt = Receipt(
        number=reception.number,
        file_name=reception.file_name,
        received_at=local_time(reception.received_at),
        outcome="open",
        code=None,
        line=0,
        counts=(),
        findings=(),
        rungs=rungs_of(centre, reception, datetime.fromisoformat(reception.received_at)),
    )
    return acknowledged(centre, reception, receipt)


def acknowledged(centre: Centre, reception: Reception, receipt: Receipt) -> Laid:
    """The acknowledgement of a reception as a file."""
    form = centre.catalogue.formats[ACKNOWLEDGEMENT]
    content = acknowledgement(form, centre.catalogue.reasons, receipt)
    name = outbound_name(ACKNOWLEDGEMENT, reception)
    digest = hashlib.sha256(content).hexdigest()
    return Laid(ACKNOWLEDGEMENT, name, (content,), digest, content.count(b"\n"))


def note_laid(transaction: Connection, reception: Reception, laid: Laid) -> None:
    """Let the ledger know a file in an outbox; one of the same kind is replaced."""
    Ledger.put_laid_out(
        transaction,
        {
            "reception": reception.number,
            "kind": laid.kind,
            "sender": reception.sender,
            "name": laid.name,
            "sha256": laid.sha256,
            "lines": laid.lines,
        },
    )


def rungs_of(centre: Centre, reception: Reception, moment: datetime) -> tuple[Rung, ...]:
    return tuple(
        rung._replace(at=rung.at and local_time(rung.at))
        for rung in ladder_of(centre.jobs, reception, moment)
    )


def receipt_of(centre: Centre, reception: Reception) -> Receipt:
    """From the ledger alone, so that it can be made again at any time.

    It must know when its sender is told, and which number is expected then.
    """
    told_at = datetime.fromisoformat(reception.told_at or reception.received_at)
    refused = reception.outcome == "refused"
    counts = (
        ()
        if refused
        else tuple(
            (item.insurer, {name: getattr(item, name) for name in COUNTS})
            for item in centre.ledger.counts(reception.number)
        )
    )
    return Receipt(
        number=reception.number,
        file_name=reception.file_name,
        received_at=local_time(reception.received_at),
        outcome=reception.outcome or "open",
        code=reception.code,
        line=reception.line,
        counts=counts,
        findings=tuple(centre.ledger.findings(reception.number)),
        remarks=reception.remarks,
        rungs=rungs_of(centre, reception, told_at),
        original=original_of(centre, reception),
        expects=reception.expects,
    )


def original_of(centre: Centre, reception: Reception) -> tuple[int, dict[str, int]] | None:
    """Of an accepted correction: the first reception that it goes back to, and its lines then."""
    found = correction(centre.ledger, reception.number)
    if found is None or reception.outcome != "accepted":
        return None
    return found.root, restated(centre.ledger, found.root, until=reception.group_number)


def control_of(reception: Reception) -> dict[str, str]:
    return {
        "reception_number": f"{reception.number:010d}",
        "received_file_name": reception.file_name,
        "received_at": local_time(reception.received_at),
    }


def outbound_name(kind: str, reception: Reception) -> str:
    """Name of a file laid out for a reception: the received file's name and the 受付番号."""
    stem = PurePath(reception.file_name).stem[:80]
    return f"{PREFIXES[kind]}_{stem}_{reception.number:010d}{end_of_name(kind)}"

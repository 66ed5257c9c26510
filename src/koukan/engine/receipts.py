"""What the ledger knows of a reception, as its sender is told."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath

from koukan.engine.centre import Centre
from koukan.flows.results import PREFIXES, end_of_name
from koukan.ledger import Reception
from koukan.rules.acknowledge import COUNTS, Receipt
from koukan.sites.schedule import JST


def local_time(moment: str) -> str:
    """A stored UTC time in JST, fourteen digits."""
    return datetime.fromisoformat(moment).astimezone(JST).strftime("%Y%m%d%H%M%S")


def shown_time(moment: str) -> str:
    """A stored UTC time in JST, for a person."""
    return f"{datetime.fromisoformat(moment).astimezone(JST):%Y-%m-%d %H:%M:%S}"


def receipt_of(centre: Centre, reception: Reception) -> Receipt:
    """From the ledger alone, so that it can be made again at any time."""
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
        outcome=reception.outcome or "held",
        code=reception.code,
        line=reception.line,
        counts=counts,
        findings=tuple(centre.ledger.findings(reception.number)),
        remarks=reception.remarks,
    )


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

"""Verify flow 5: every line of a log was rejected, is held, or is in the package of one office.

As `koukan.engine.verify`: what was received is counted again from sealed files and from the signed
records of what was erased, never from the ledger's own sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from koukan.engine import artefacts, entrusted
from koukan.engine import usage as engine
from koukan.engine.artefacts import GONE
from koukan.engine.centre import Centre
from koukan.engine.problems import Problem, differing, parsed, problem
from koukan.errors import IntegrityError, SecretError
from koukan.ledger import usage as known
from koukan.ledger.own_packages import Package
from koukan.ledger.usage import Held, Log

Records = Mapping[tuple[int, str], str]


def problems(centre: Centre) -> Iterator[Problem]:
    """Everything about 資格確認実績ログ that contradicts the ledger."""
    logs = known.all_logs(centre.ledger)
    if not logs:
        return
    records = {(row.number, row.what): row.record for row in centre.ledger.erasures()}
    packages: dict[int, list[Package]] = {}
    for package in known.all_packages(centre.ledger):
        packages.setdefault(package.reception, []).append(package)
    held: dict[int, list[Held]] = {}
    for item in known.all_held(centre.ledger):
        held.setdefault(item.reception, []).append(item)
    for log in logs:
        own = [*packages.get(log.reception, ()), *held.get(log.reception, ())]
        found = [yielded for item in own for yielded in of_item(centre, item, records)]
        yield from found
        if not found:
            yield from of_log(centre, log, own, records)


def of_log(
    centre: Centre, log: Log, own: list[Package | Held], records: Records
) -> Iterator[Problem]:
    """received = packaged + held + rejected + duplicate, by what is sealed and what was signed."""
    counts = centre.ledger.counts(log.reception)
    out = sum(item.rejected + item.duplicate for item in counts)
    received = sum(item.received for item in counts)
    # Lines that were held and are in later packages count there.
    parts = out + sum(rows(centre, item, records) for item in own if item.state != "released")
    if not received == log.rows == parts:
        known_rows = differing(f"{received}/{log.rows}", parts)
        yield problem("usage.verify_lines", reception=log.reception, known=known_rows)


def rows(centre: Centre, item: Package | Held, records: Records) -> int:
    """Lines of it, from the sealed file or from the record of its erasure."""
    if not item.erased:
        return sealed_rows(centre, item)
    said = signed(centre, item, records).get("rows")
    return said if isinstance(said, int) else GONE


def sealed_rows(centre: Centre, item: Package | Held) -> int:
    """Lines that are sealed; `GONE` when it is not what was sealed."""
    if isinstance(item, Package):
        which = item.reception, item.ordinal, item.file_sha256
        return artefacts.sealed_lines(centre, *which, beside=artefacts.FRAME)
    try:
        return sum(frame.height for frame in engine.open_held(centre, item))
    except (IntegrityError, SecretError) as error:
        artefacts.require_damage(error)
        return GONE


def of_item(centre: Centre, item: Package | Held, records: Records) -> Iterator[Problem]:
    """What waits is what was sealed; what was erased is gone and has its signed record."""
    name = entrusted.package_name(item.reception, item.ordinal)
    where = {"reception": item.reception, "file": name}
    if isinstance(item, Package) and item.state == "laid_out":
        lying = centre.outbox(item.sender).holds(item.name)
        if lying not in (None, item.sha256):
            yield problem("usage.verify_other", **where)
    if not item.erased:
        found = sealed_rows(centre, item)
        if found != item.rows:
            yield problem("usage.verify_sealed", **where, known=differing(item.rows, found))
        return
    if item.state != "released":
        said = signed(centre, item, records)
        if any(said.get(name) != value for name, value in engine.recorded(item).items()):
            yield problem("usage.verify_record", **where)
    paths = [
        centre.folder("packages", name),
        centre.folder("keyring", "random", "package", f"{name}.key"),
    ]
    if isinstance(item, Package):
        paths.append(centre.outbox(item.sender).folder / item.name)
    if any(path.exists() for path in paths):
        yield problem("usage.verify_left", **where)


def signed(centre: Centre, item: Package | Held, records: Records) -> dict[str, object]:
    """The record of its erasure; empty where it is not the centre's."""
    record = parsed(records.get((item.reception, engine.what(item)), ""))
    return record if record is not None and centre.signer.verify(record) else {}

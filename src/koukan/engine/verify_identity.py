"""Verify 本人確認: every question is open, in a package, or in the signed record of an erasure.

As `koukan.engine.verify`: what was asked is counted again from sealed questions, shares of answers
and results, and from the records of what is erased, never from the ledger's own sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from koukan.engine import artefacts, entrusted
from koukan.engine.centre import Centre
from koukan.engine.problems import Problem, differing, parsed, problem
from koukan.engine.steps.deliver import recorded, what
from koukan.errors import IntegrityError, SecretError
from koukan.flows import identity
from koukan.ledger import identity as asked
from koukan.ledger import withholding
from koukan.ledger.codes import CodeRequest
from koukan.ledger.identity import Package, Questions, Request

GONE = -1  # a sealed file that does not open


class Look(NamedTuple):
    """One file of questions to look at, with the packages and shares that the ledger knows."""

    reception: int
    generation: int
    open: int
    withheld: int
    answers: tuple[int, ...]
    packages: tuple[tuple[int, str], ...]  # ordinal and hash of those not erased


class Found(NamedTuple):
    """Lines of what was found: open questions, withheld answers, shares by answer file, results by
    ordinal.
    """

    open: int
    withheld: int
    shares: dict[int, int]
    results: dict[int, int]


def problems(centre: Centre) -> Iterator[Problem]:
    """Everything about 本人確認 that contradicts the ledger."""
    packages: dict[int, list[Package]] = {}
    for package in asked.packages(centre.ledger):
        packages.setdefault(package.reception, []).append(package)
    pending: dict[int, list[asked.Share]] = {}
    for share in asked.shares(centre.ledger, packaged=False):
        pending.setdefault(share.reception, []).append(share)
    records = {
        (row.number, row.what): row.record
        for row in centre.ledger.erasures()
        if row.what != "original"
    }
    files = asked.questions(centre.ledger)
    kept_back = withholding.rows_of(centre.ledger)
    shares: dict[int, int] = {}
    for share in asked.shares(centre.ledger):
        taken = share.answered + share.ambiguous
        shares[share.reception] = shares.get(share.reception, 0) + taken
    looks = [
        Look(
            item.reception,
            item.generation,
            item.open,
            kept_back.get(item.reception, 0),
            tuple(share.answer for share in pending.get(item.reception, ())),
            tuple(
                (one.ordinal, one.file_sha256)
                for one in packages.get(item.reception, ())
                if one.state in ("built", "laid_out")
            ),
        )
        for item in files
    ]
    found = centre.workers.map(look, looks)
    for item, seen in zip(files, found, strict=True):
        own = packages.get(item.reception, [])
        waiting = pending.get(item.reception, [])
        yield from of_questions(item, seen, waiting, own)
        yield from of_asked(centre, item, seen, own, records)
        counts = (shares.get(item.reception, 0), kept_back.get(item.reception, 0))
        yield from of_answered(centre, item, seen, Answers(*counts, own, waiting), records)
    for package in (one for several in packages.values() for one in several):
        yield from of_package(centre, package, records)
    for request in asked.requests(centre.ledger):
        place = entrusted.request_name(request.number)
        record = records.get((request.number, "request"))
        yield from of_request(centre, request, place, record)
    yield from of_answers(centre)


def look(centre: Centre, item: Look) -> Found:
    """Task: open everything that is sealed of one file of questions, and count its lines."""

    def counted(count: Callable[[], int]) -> int:
        try:
            return count()
        except (IntegrityError, SecretError) as error:
            artefacts.require_damage(error)
            return GONE

    number, generation = item.reception, item.generation
    open_ = 0
    if item.open:
        open_ = counted(lambda: entrusted.open_questions(centre, number, generation).height)
    withheld = 0
    if item.withheld:
        withheld = counted(lambda: entrusted.open_withheld(centre, number, generation).height)
    shares = {
        answer: counted(partial(share_rows, centre, number, generation, answer))
        for answer in item.answers
    }
    results = {
        ordinal: counted(partial(result_rows, centre, number, ordinal, digest))
        for ordinal, digest in item.packages
    }
    return Found(open_, withheld, shares, results)


def share_rows(centre: Centre, reception: int, generation: int, answer: int) -> int:
    return entrusted.open_share(centre, reception, generation, answer).height


def result_rows(centre: Centre, reception: int, ordinal: int, digest: str) -> int:
    """Data lines of a sealed result file; `GONE` when it is not the one that was sealed."""
    found, lines = hashlib.sha256(), 0
    for block in entrusted.result_blocks(centre, reception, ordinal):
        found.update(block)
        lines += block.count(b"\n")
    return lines - 2 if found.hexdigest() == digest else GONE  # control and end record


def of_questions(
    item: Questions, seen: Found, pending: list[asked.Share], packages: list[Package]
) -> Iterator[Problem]:
    """What is sealed of a file of questions, against what the ledger says of each part."""
    where = {"reception": item.reception, "insurer": item.insurer}
    if seen.open != item.open:
        yield problem("verify.questions_open", **where, known=differing(item.open, seen.open))
    for share in pending:
        pair = (share.answered + share.ambiguous, seen.shares[share.answer])
        if pair[0] != pair[1]:
            yield problem("verify.questions_share", **where, known=differing(*pair))
    for package in packages:
        rows = seen.results.get(package.ordinal, package.rows)
        if rows != package.rows:
            known = differing(package.rows, rows)
            yield problem("verify.package_rows", **where, file=package.name, known=known)


def of_asked(
    centre: Centre,
    item: Questions,
    seen: Found,
    packages: list[Package],
    records: Mapping[tuple[int, str], str],
) -> Iterator[Problem]:
    """asked = open + withheld + packaged + expired, by the sealed files and the signed records."""
    parts = [max(seen.open, 0), max(seen.withheld, 0)]
    parts += [packaged(centre, item, package, seen, records) for package in packages]
    if item.state == "expired":
        record = signed(centre, records.get((item.reception, "questions")))
        parts += [number_of(record, "unanswered"), number_of(record, "withheld")]
    accepted = sum(count.accepted for count in centre.ledger.counts(item.reception))
    if not accepted == item.asked == sum(parts):
        known = differing(f"{accepted}/{item.asked}", sum(parts))
        yield problem("verify.questions_asked", reception=item.reception, known=known)


def packaged(
    centre: Centre,
    item: Questions,
    package: Package,
    seen: Found,
    records: Mapping[tuple[int, str], str],
) -> int:
    """Lines of a package, from its sealed result or the record of its erasure."""
    if not package.erased:
        return seen.results.get(package.ordinal, package.rows)
    record = signed(centre, records.get((item.reception, what(package))))
    return number_of(record, "answered") + number_of(record, "ambiguous")


class Answers(NamedTuple):
    """What the ledger says of the answers to a file: all, withheld, in packages, in none yet."""

    all: int
    withheld: int
    packages: list[Package]
    pending: list[asked.Share]


def of_answered(
    centre: Centre,
    item: Questions,
    seen: Found,
    known: Answers,
    records: Mapping[tuple[int, str], str],
) -> Iterator[Problem]:
    """answered + ambiguous = delivered + waiting + withheld + expired."""
    where = {"reception": item.reception, "insurer": item.insurer}
    if seen.withheld != known.withheld:
        yield problem("verify.withheld", **where, known=differing(known.withheld, seen.withheld))
        return
    parts = [packaged(centre, item, package, seen, records) for package in known.packages]
    parts += [seen.withheld, *(one.answered + one.ambiguous for one in known.pending)]
    if item.state == "expired":
        record = signed(centre, records.get((item.reception, "questions")))
        if "answered" not in record:
            return  # an earlier koukan's record: it does not tell
        parts += [number_of(record, "answered"), number_of(record, "withheld")]
    if known.all != sum(parts) and GONE not in parts:
        yield problem("verify.answers_lost", **where, known=differing(known.all, sum(parts)))


def signed(centre: Centre, text: str | None) -> dict[str, object]:
    """A record that the centre signed; empty for any other."""
    record = parsed(text or "")
    return record if record is not None and centre.signer.verify(record) else {}


def number_of(record: Mapping[str, object], name: str) -> int:
    value = record.get(name, 0)
    return value if isinstance(value, int) else 0


def of_package(
    centre: Centre, package: Package, records: Mapping[tuple[int, str], str]
) -> Iterator[Problem]:
    """What was delivered is gone and has its signed record; what waits lies there unaltered."""
    where = {"reception": package.reception, "sender": package.sender, "file": package.name}
    if package.state == "laid_out":
        lying = centre.outbox(package.sender).holds(package.name)
        if lying not in (None, package.sha256):
            yield problem("verify.package_other", **where)
    if not package.erased:
        return
    record = signed(centre, records.get((package.reception, what(package))))
    if any(record.get(name) != value for name, value in recorded(package).items()):
        yield problem("verify.package_record", **where)
    name = entrusted.package_name(package.reception, package.ordinal)
    paths = (
        centre.folder("packages", name),
        centre.folder("keyring", "random", "package", f"{name}.key"),
        centre.outbox(package.sender).folder / package.name,
    )
    if any(path.exists() for path in paths):
        yield problem("verify.package_left", **where)


def of_request(
    centre: Centre, request: Request | CodeRequest, place: str, text: str | None
) -> Iterator[Problem]:
    """A request that waits is what it was; one that was answered is gone.

    Args:
        place: name of its folder and key.
        text: its record of erasure, if there is one.
    """
    where = {"file": request.name, "sender": request.partner}
    if request.state in asked.UNDER_WAY:
        digest = hashlib.sha256()
        try:
            for block in entrusted.request_blocks(centre, place):
                digest.update(block)
        except (IntegrityError, SecretError, FileNotFoundError) as error:
            if not isinstance(error, FileNotFoundError):
                artefacts.require_damage(error)
            yield problem("verify.request_broken", **where)
            return
        if digest.hexdigest() != request.sha256:
            yield problem("verify.request_broken", **where)
        return
    if request.state == "erased":
        if signed(centre, text).get("sha256") != request.sha256:
            yield problem("verify.request_record", **where)
        key = centre.folder("keyring", "random", "request", f"{place}.key")
        if key.exists() or centre.folder("requests", place).exists():
            yield problem("verify.request_left", **where)


def of_answers(centre: Centre) -> Iterator[Problem]:
    """Rows that an answer file brought, against those that files of questions have from it."""
    taken: dict[int, int] = {}
    for share in asked.shares(centre.ledger):
        taken[share.answer] = taken.get(share.answer, 0) + share.answered + share.ambiguous
    for reception in centre.ledger.receptions(outcome="accepted", formats=[identity.ANSWER]):
        accepted = sum(count.accepted for count in centre.ledger.counts(reception.number))
        if accepted != taken.get(reception.number, 0):
            known = differing(accepted, taken.get(reception.number, 0))
            yield problem("verify.answers_taken", reception=reception.number, known=known)

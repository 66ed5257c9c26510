"""admit: files enter in the order of their sequence numbers; what is out of order is held.

Sequences run for each sender and format, from 1, without gaps. A refused file frees its number. A
duplicate uses its number up. A file behind a gap is held and taken up by itself when the gap
closes; other bytes under a used name or number are held for an operator.
"""

from __future__ import annotations

from collections import defaultdict

from koukan.engine.centre import Centre
from koukan.ledger import Counts, Ledger, Reception
from koukan.sites import Job

GAP, NAME_USED, NUMBER_USED = "H101", "H102", "H103"


def run(centre: Centre, job: Job) -> None:
    """Admit or hold every gated reception; held ones are looked at again each time."""
    waiting = centre.ledger.receptions(state="gated", formats=job.formats)
    by_sequence: dict[tuple[str, str], list[Reception]] = defaultdict(list)
    for reception in waiting:
        if reception.code not in (NAME_USED, NUMBER_USED):  # those wait for an operator
            by_sequence[reception.sender, reception.format].append(reception)
    if not by_sequence:
        return
    with centre.log.operation("admit", job=job.name) as operation:
        admitted = 0
        # One transaction for all: what is killed before its end is decided again.
        with centre.ledger.together():
            for (sender, form), receptions in sorted(by_sequence.items()):
                ordered = sorted(receptions, key=lambda item: (item.sequence, item.number))
                admitted += admit(centre, sender, form, ordered)
        operation.note(files=admitted)


def admit(centre: Centre, sender: str, form: str, receptions: list[Reception]) -> int:
    """One sender's files of one format, ascending; the number admitted."""
    following = centre.ledger.next_sequence(sender, form)
    repeated = {
        duplicate.sequence
        for duplicate in centre.ledger.earlier(sender=sender, format=form, outcome="duplicate")
    }
    admitted = 0
    for reception in receptions:
        while following in repeated:
            following += 1
        code = obstacle(centre, reception, following)
        counts = centre.ledger.counts(reception.number)
        with centre.ledger.begin() as transaction:
            if code is None:
                following += reception.sequence == following
                admitted += 1
                Ledger.put_counts(transaction, reception.number, uncounted(counts))
                Ledger.set(transaction, reception.number, state="admitted", outcome=None, code=None)
                Ledger.put_sequence(transaction, sender, form, following)
            elif reception.code != code:
                Ledger.put_counts(transaction, reception.number, held(counts))
                Ledger.set(transaction, reception.number, outcome="held", code=code)
        centre.observe("admitted", step="admit")
    return admitted


def obstacle(centre: Centre, reception: Reception, following: int) -> str | None:
    """Why a reception cannot enter now."""
    named = centre.ledger.earlier(
        reception,
        sender=reception.sender,
        format=reception.format,
        file_name=reception.file_name,
    )
    if any(found.outcome != "refused" for found in named):
        return NAME_USED
    if reception.sequence < following:
        # below, a number is free only where what bore it was refused
        bearers = centre.ledger.earlier(
            reception,
            sender=reception.sender,
            format=reception.format,
            sequence=reception.sequence,
        )
        refused = [found.outcome == "refused" for found in bearers]
        return None if refused and all(refused) else NUMBER_USED
    return GAP if reception.sequence > following else None


def uncounted(counts: list[Counts]) -> list[Counts]:
    """Received, and nothing said yet."""
    return [Counts(item.insurer, item.first_line, item.received) for item in counts]


def held(counts: list[Counts]) -> list[Counts]:
    """Received, and all of it held."""
    return [
        Counts(item.insurer, item.first_line, item.received, held=item.received) for item in counts
    ]

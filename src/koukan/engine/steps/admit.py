"""admit: files enter in the order of their sequence numbers; what is out of order is held.

Sequences run for each sender and format, from 1, without gaps. A refused file frees its number. A
duplicate uses its number up. A file behind a gap is held and taken up by itself when the gap
closes, or taken in with a remark, as its insurers' policy says; other bytes under a used name or
number are held for an operator.
"""

from __future__ import annotations

from collections import defaultdict

from koukan.engine.centre import Centre
from koukan.ledger import Counts, Ledger, Reception
from koukan.rules.remarks import GAP_PASSED, SHARE_HELD, SUMS_HELD, with_remark
from koukan.sites import Job

GAP, NAME_USED, NUMBER_USED = "H101", "H102", "H103"
FOR_OPERATORS = (NAME_USED, NUMBER_USED, SUMS_HELD, SHARE_HELD)  # nothing else lets them in


def run(centre: Centre, job: Job) -> None:
    """Admit or hold every gated reception; held ones are looked at again each time."""
    waiting = centre.ledger.receptions(state="gated", formats=job.formats)
    by_sequence: dict[tuple[str, str], list[Reception]] = defaultdict(list)
    for reception in waiting:
        if reception.code not in FOR_OPERATORS:
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
    repeated = repetitions(centre, sender, form)
    admitted = 0
    for reception in receptions:
        while following in repeated:
            following += 1
        code = obstacle(centre, reception, following)
        counts = centre.ledger.counts(reception.number)
        with centre.ledger.begin() as transaction:
            if code in (None, GAP_PASSED):
                if reception.sequence >= following:
                    following = reception.sequence + 1
                admitted += 1
                Ledger.put_counts(transaction, reception.number, uncounted(counts))
                remarks = with_remark(reception.remarks, code)
                Ledger.set(
                    transaction,
                    reception.number,
                    state="admitted",
                    outcome=None,
                    code=None,
                    remarks=remarks,
                    admitted_at=centre.now(),
                )
                Ledger.put_sequence(transaction, sender, form, following)
            elif reception.code != code:
                Ledger.put_counts(transaction, reception.number, held(counts))
                Ledger.set(transaction, reception.number, outcome="held", code=code)
        centre.observe("admitted", step="admit")
    return admitted


def repetitions(centre: Centre, sender: str, form: str) -> set[int]:
    """Sequence numbers that duplicates have used up."""
    found = centre.ledger.earlier(sender=sender, format=form, outcome="duplicate")
    return {duplicate.sequence for duplicate in found}


def following(centre: Centre, reception: Reception) -> int:
    """The number that the next file of its sender and format is to have."""
    found = centre.ledger.next_sequence(reception.sender, reception.format)
    repeated = repetitions(centre, reception.sender, reception.format)
    while found in repeated:
        found += 1
    return found


def obstacle(centre: Centre, reception: Reception, following: int) -> str | None:
    """Why a reception cannot enter now; GAP_PASSED when it enters although numbers are missing."""
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
        if not refused and passes(centre, reception):
            return GAP_PASSED
        return None if refused and all(refused) else NUMBER_USED
    if reception.sequence == following:
        return None
    return GAP_PASSED if passes(centre, reception) else GAP


def passes(centre: Centre, reception: Reception) -> bool:
    """Whether numbers that were left out keep its insurers' files waiting."""
    return centre.policy_of(reception).sequence_gap == "warn"


def uncounted(counts: list[Counts]) -> list[Counts]:
    """Received, and nothing said yet."""
    return [Counts(item.insurer, item.first_line, item.received) for item in counts]


def held(counts: list[Counts]) -> list[Counts]:
    """Received, and all of it held."""
    return [
        Counts(item.insurer, item.first_line, item.received, held=item.received) for item in counts
    ]

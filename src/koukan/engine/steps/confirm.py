"""confirm: an insurer says that it has its packages (受領確認), each by its archive's hash.

Only who has opened a package can tell that hash. What is confirmed here is erased by `deliver`, an
answer to a system that asked by `hand_out`.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from koukan.engine import singly
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of
from koukan.engine.rendering import render, renderings
from koukan.engine.steps.link import Outcome
from koukan.flows import served
from koukan.flows.served import Flow
from koukan.ledger import Group
from koukan.ledger import identity as asked
from koukan.ledger.laid_packages import COPIES, CORRECTION, USAGE, laid, set_collected
from koukan.ledger.served import Answer
from koukan.rules.confirm import CONFIRMED, judge

SECTION = "receipt"
ITEMS = {"package_name": pl.String(), "archive_sha256": pl.String()}


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Take in a group of confirmations; one ledger transaction ends it."""
    centre.observe("entered", step="confirm")
    receptions = receptions_of(centre, group)
    with centre.log.operation("confirm", group=group.number) as operation:
        confirmed: list[tuple[str, str]] = []

        def decide(found: Outcome) -> Outcome:
            judged = judge(said(centre, chunks, found), laid_out(centre))
            good = judged.filter(pl.col("code") == CONFIRMED)
            confirmed.extend(good.select("sender", "package_name").iter_rows())
            others = judged.filter(pl.col("code") != CONFIRMED).select("row", "code")
            return singly.with_codes(found, others, "package_name")

        outcome = singly.concluded(centre, group, chunks, pending, decide)
        answered = [item for item in receptions if item.number not in outcome.refused]
        parts = centre.workers.map(render, renderings(answered, chunks))
        rendered = [item for part in parts for item in part]
        packages = {(item.sender, item.name): item for item in asked.packages(centre.ledger)}
        answers = {(item.sender, item.name): (flow, item) for flow, item in all_answers(centre)}
        with centre.ledger.begin() as transaction:
            for _ in singly.conclude(centre, transaction, group, outcome, rendered):
                pass
            for sender, name in confirmed:
                if (answer := answers.get((sender, name))) is not None:
                    given = {"state": "delivered", "closed_at": centre.now()}
                    flow, item = answer
                    flow.book.set_answer(transaction, item.reception, **given)
                    continue
                if (package := packages.get((sender, name))) is None:
                    set_collected(transaction, sender, name, centre.now())
                    continue
                values = {"state": "delivered", "how": "receipt", "closed_at": centre.now()}
                asked.set_package(transaction, package, **values)
        operation.note(packages=len(confirmed))
    centre.observe("confirmed", step="confirm")


def said(centre: Centre, chunks: list[Chunk], found: Outcome) -> pl.DataFrame:
    """The accepted lines: row of the group, sender, package_name, archive_sha256."""
    senders = {
        item.number: item.sender for item in centre.ledger.receptions() if item.state != "closed"
    }
    lines = singly.taken_lines(centre, chunks, found, SECTION, ITEMS)
    return lines.select(
        *("row", "package_name", "archive_sha256"),
        sender=pl.col("reception").replace_strict(senders, return_dtype=pl.String),
    )


def all_answers(centre: Centre) -> Iterator[tuple[Flow, Answer]]:
    """Answers to systems that asked, of every flow."""
    for flow in served.FLOWS:
        for item in flow.book.answers(centre.ledger):
            yield flow, item


def laid_out(centre: Centre) -> pl.DataFrame:
    """Every package that was laid out: sender, package_name, known (hash), open.

    Those of answers, also to systems that asked, of rejected lines, of 資格確認実績ログ, and of
    copies (副本).
    """
    rows = [
        {
            "sender": item.sender,
            "package_name": item.name,
            "known": item.archive_sha256,
            "open": item.state == "laid_out",
        }
        for item in asked.packages(centre.ledger)
        if item.archive_sha256 is not None
    ]
    rows += [
        {
            "sender": item.sender,
            "package_name": item.name,
            "known": item.archive_sha256,
            "open": item.collected_at is None,
        }
        for kind in (CORRECTION, USAGE, COPIES)
        for item in laid(centre.ledger, kind)
    ]
    rows += [
        {
            "sender": item.sender,
            "package_name": item.name,
            "known": item.archive_sha256,
            "open": item.state == "laid_out",
        }
        for _, item in all_answers(centre)
        if item.archive_sha256 is not None
    ]
    schema = {"sender": pl.String, "package_name": pl.String, "known": pl.String}
    return pl.DataFrame(rows, schema={**schema, "open": pl.Boolean})

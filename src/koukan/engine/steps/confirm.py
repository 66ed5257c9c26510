"""confirm: an insurer says that it has its packages (受領確認), each by its archive's hash.

Only who has opened a package can tell that hash. What is confirmed here is erased by `deliver`.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from koukan.engine import singly
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of, stage_of
from koukan.engine.rendering import render, renderings
from koukan.engine.steps.link import Outcome
from koukan.engine.steps.validate import ROW
from koukan.ledger import Group
from koukan.ledger import identity as asked
from koukan.ledger.laid_packages import CORRECTION, USAGE, laid, set_collected
from koukan.rules.acknowledge import ACCEPTED, DUPLICATE, REJECTED
from koukan.rules.confirm import CONFIRMED, judge

SECTION = "receipt"
SCHEMA = {ROW: pl.UInt32(), "package_name": pl.String(), "archive_sha256": pl.String()}
CLASSES = {"R": REJECTED, "D": DUPLICATE}


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
            return told(found, judged.filter(pl.col("code") != CONFIRMED))

        outcome = singly.concluded(centre, group, chunks, pending, decide)
        answered = [item for item in receptions if item.number not in outcome.refused]
        parts = centre.workers.map(render, renderings(answered, chunks))
        rendered = [item for part in parts for item in part]
        packages = {(item.sender, item.name): item for item in asked.packages(centre.ledger)}
        with centre.ledger.begin() as transaction:
            for _ in singly.conclude(centre, transaction, group, outcome, rendered):
                pass
            for sender, name in confirmed:
                if (package := packages.get((sender, name))) is None:
                    set_collected(transaction, sender, name, centre.now())
                    continue
                values = {"state": "delivered", "how": "receipt", "closed_at": centre.now()}
                asked.set_package(transaction, package, **values)
        operation.note(packages=len(confirmed))
    centre.observe("confirmed", step="confirm")


def said(centre: Centre, chunks: list[Chunk], found: Outcome) -> pl.DataFrame:
    """The accepted lines: row of the group, sender, package_name, archive_sha256."""
    parts = [pl.DataFrame(schema=SCHEMA)]
    for chunk in chunks:
        name = f"{chunk.number:05d}.{SECTION}"
        stage = stage_of(centre, chunk.group, chunk.attempt)
        if stage.holds(name):
            frame = stage.get(name)  # without the columns that no line of the chunk has a value of
            missing = [
                pl.lit(None, SCHEMA[item]).alias(item) for item in SCHEMA.keys() - {*frame.columns}
            ]
            parts.append(frame.with_columns(missing).select(list(SCHEMA)))
    lines = pl.concat(parts).sort(ROW)
    came_to = found.lines.select("reception", "class")[lines[ROW]]
    senders = {
        item.number: item.sender for item in centre.ledger.receptions() if item.state != "closed"
    }
    whole = pl.concat([lines.rename({ROW: "row"}), came_to], how="horizontal")
    taken = (pl.col("class") == ACCEPTED) & ~pl.col("reception").is_in(list(found.refused))
    return whole.filter(taken).select(
        pl.col("row").cast(pl.Int64),
        "package_name",
        "archive_sha256",
        sender=pl.col("reception").replace_strict(senders, return_dtype=pl.String),
    )


def laid_out(centre: Centre) -> pl.DataFrame:
    """Every package that was laid out: sender, package_name, known (hash), open.

    Those of answers, of rejected lines, and of 資格確認実績ログ.
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
        for kind in (CORRECTION, USAGE)
        for item in laid(centre.ledger, kind)
    ]
    schema = {"sender": pl.String, "package_name": pl.String, "known": pl.String}
    return pl.DataFrame(rows, schema={**schema, "open": pl.Boolean})


def told(found: Outcome, judged: pl.DataFrame) -> Outcome:
    """The outcome with the classes and findings of lines that confirm nothing."""
    classes = judged.select(
        "row", kind=pl.col("code").str.head(1).replace_strict(CLASSES, return_dtype=pl.Int8)
    )
    lines = (
        found.lines.with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .join(classes, on="row", how="left", maintain_order="left")
        .with_columns(pl.coalesce("kind", "class").alias("class"))
        .drop("row", "kind")
    )
    findings = judged.select("row", field=pl.lit("package_name"), code="code")
    return found._replace(lines=lines, findings=pl.concat([found.findings, findings]))

"""Verify: recompute what the ledger says from what lies there, and name every difference.

The ledger does not vouch for itself. What a reception received is read again from its sealed
original, through the gate; what became of its lines from its sealed result; what was registered
from the rows of the tables; what was erased from the signed record. Of each thing that is wrong one
problem is named, the most telling one: a result without one of its lines is that, not also a wrong
hash. Nothing is mended, nothing is written but who holds the lease.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from koukan import oplog
from koukan.engine import (
    answering,
    artefacts,
    forgetting,
    mending,
    originals,
    usage,
    vanishing,
    verify_codes,
    verify_copies,
    verify_identity,
    verify_online,
    verify_served,
    verify_usage,
)
from koukan.engine.artefacts import Found, Look, Rows
from koukan.engine.centre import Centre, version_of
from koukan.engine.digest import parts_of
from koukan.engine.leases import lease
from koukan.engine.problems import Problem, differing, parsed, problem
from koukan.engine.steps import package
from koukan.engine.steps.erase import expired, recorded
from koukan.errors import IntegrityError, SecretError, TableRefused
from koukan.exchange import AT_DOOR
from koukan.flows import copies, registration, served
from koukan.flows.copies import REPLICA
from koukan.flows.registration import HISTORY, PARTITION, ROSTER
from koukan.flows.results import ACKNOWLEDGEMENT, REPORTS, is_correction, line_result
from koukan.ledger import Counts, Reception, reviews
from koukan.rules.acknowledge import COUNTS
from koukan.rules.remarks import SUMS, SUMS_HELD, SUMS_PASSED
from koukan.tables.definition import SECTION
from koukan.tables.log import LOG
from koukan.tables.verify import verify as verify_table

ROW_KEYS = {
    PARTITION: "verify.partition_rows",
    HISTORY: "verify.history_rows",
    REPLICA: "verify.replica_rows",
}
ROWS_OF = {  # format -> tables that have a row of each accepted line
    **dict.fromkeys(registration.FORMATS, (PARTITION, HISTORY)),
    copies.REGISTRATION: (REPLICA,),
}
# Refusals that the gate alone does not come to: names, shares of lines, what only a step knows,
# rights, an operator.
NOT_THE_GATES = ("F119", "F120", "F121", "F122", "F17", "F18", "F2", "F9")
By = dict[str, int]  # lines or rows by insurer


def verify_ledger(centre: Centre) -> list[Problem]:
    """Everything that contradicts the ledger; an empty list for a sound centre.

    Raises:
        LeaseHeld: a job is running, and what it does would look like a contradiction.
    """
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        problems, rows = table_rows(centre)
        ending = [
            *expired(centre),
            *vanishing.over(centre),
            *package.over(centre),
            *answering.over(centre, *served.FLOWS),
            *usage.over(centre),
        ]
        under_way = {reception.number for reception in ending}
        receptions = centre.ledger.receptions()
        looks = [Look(item.number, item.number in under_way) for item in receptions]
        found = centre.workers.map(artefacts.look, looks)
        for done, artefact in enumerate(found):
            problems += reception_problems(centre, receptions[done], artefact, rows)
            centre.observe("verified", step="verify", done=done + 1, total=len(looks))
        known = {reception.number for reception in receptions}
        problems += strangers(rows, known)
        problems += notices(centre)
        problems += erased(centre, receptions)
        problems += forgetting.problems(centre)
        problems += mending.problems(centre)
        problems += verify_identity.problems(centre)
        problems += verify_served.problems(centre)
        problems += verify_online.problems(centre)
        problems += verify_usage.problems(centre)
        problems += verify_codes.problems(centre)
        problems += verify_copies.problems(centre)
        problems += log_problems(centre)
    return problems


def verify_tables(centre: Centre) -> list[Problem]:
    """Every file of every table, read with polars and with pyarrow.

    Raises:
        LeaseHeld: a job is running.
    """
    problems = []
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        written = [item.number for item in centre.ledger.open_groups() if item.state == "written"]
        ahead_by = written[0] if written else None
        for name, held in sorted(centre.ledger.table_versions().items()):
            table = centre.tables[name]
            for finding in verify_table(table, version_of(held), ahead_by=ahead_by):
                where: dict[str, object] = {"table": name, "path": finding.path}
                if finding.path == LOG:
                    where |= {"version": newest(centre, name), "known": held.number}
                problems.append(problem(finding.problem, **where))
    return problems


def newest(centre: Centre, table: str) -> object:
    try:
        return centre.tables[table].newest()
    except TableRefused:
        return "-"


# --- tables


def table_rows(centre: Centre) -> tuple[list[Problem], dict[str, dict[int, By]]]:
    """Rows by table, reception and insurer, with those that signed records say were erased.

    A table that cannot be read through has none here.
    """
    problems, tables = [], {}
    gone = forgetting.counted(centre)
    waiting: list[tuple[int, str, int]] = []
    for name in sorted(centre.tables):
        counted = gone_of(name, gone)
        try:
            items = [Rows(name, part.files) for part in parts_of(centre, name)]
            for item, shares in zip(
                items, centre.workers.map(artefacts.count_rows, items), strict=True
            ):
                if item.files[0].partition.get(SECTION) == ROSTER:
                    continue  # read, so that it is proven to be there; its rows are no lines
                for reception, insurer, rows, waits in shares:
                    counted[reception][insurer] += rows
                    if waits:
                        waiting.append((reception, insurer, waits))
        except (IntegrityError, SecretError) as refused:
            artefacts.require_damage(refused)
            problems.append(problem(refused.key, **{"table": name, **refused.where}))
            continue
        if name in ROW_KEYS:
            tables[name] = counted
    if PARTITION not in tables:  # nobody knows then who waits, so what the history lacks neither
        tables.pop(HISTORY, None)
    for reception, insurer, waits in waiting:  # accepted, and not in the history yet
        if HISTORY in tables:
            tables[HISTORY][reception][insurer] += waits
    return problems, {name: _plain(counted) for name, counted in tables.items()}


def gone_of(name: str, gone: forgetting.Counts) -> dict[int, By]:
    """Rows by reception and insurer that a table has no more, or would have but for that."""
    counted: dict[int, By] = defaultdict(lambda: defaultdict(int))
    for what in (name, forgetting.WAITED) if name in (PARTITION, HISTORY) else (name,):
        for number, by in gone.get(what, {}).items():
            for insurer, rows in by.items():
                counted[number][insurer] += rows
    return counted


def _plain(counted: dict[int, By]) -> dict[int, By]:
    return {number: dict(by) for number, by in counted.items()}


def strangers(rows: dict[str, dict[int, By]], known: set[int]) -> Iterator[Problem]:
    """Rows of receptions that there are not."""
    for name, by in sorted(rows.items()):
        for number in sorted(by.keys() - known):
            yield problem("verify.unknown_rows", table=name, reception=number)


# --- receptions


def reception_problems(
    centre: Centre, reception: Reception, found: Found, rows: dict[str, dict[int, By]]
) -> Iterator[Problem]:
    """All about one reception: its original, its result, its rows, its counts, its outbox."""
    counts = centre.ledger.counts(reception.number)
    where = {"reception": reception.number}
    for key, names in found.problems:
        yield problem(key, **where, **names)
    if not found.problems:
        yield from verdict(reception, counts, found)
    tables = [name for name in ROWS_OF.get(reception.format, ()) if name in rows]
    mine = {name: rows[name].get(reception.number, {}) for name in tables}
    yield from lines(reception, counts, found, mine)
    yield from balance(reception, counts)
    yield from outbox(centre, reception)


def verdict(reception: Reception, counts: list[Counts], found: Found) -> Iterator[Problem]:
    """What the gate says today of the original, against what it said."""
    if found.verdict is None or reception.state == "picked_up":
        return
    if reception.code in AT_DOOR:
        return  # refused for its name or marker: what is in it never counted
    where = {"reception": reception.number, "file": reception.file_name}
    code, line, rows, insurers = found.verdict
    if code in SUMS and {reception.code, *reception.remarks} & {SUMS_HELD, SUMS_PASSED}:
        code, line = None, 0  # what an operator decides, or has let in
    gates = reception.outcome == "refused" and not (reception.code or "").startswith(NOT_THE_GATES)
    known = (reception.code, reception.line) if gates else (None, 0)
    if (code, line) != known:
        yield problem("verify.verdict", **where, known=differing(known[0] or "-", code or "-"))
        return
    if reception.outcome == "refused":
        return
    if rows != reception.rows:
        yield problem("verify.rows", **where, known=differing(reception.rows, rows))
    received = {item.insurer: item.received for item in counts}
    for insurer in sorted(received.keys() | insurers.keys()):
        pair = (received.get(insurer, 0), insurers.get(insurer, 0))
        if pair[0] != pair[1]:
            yield problem("verify.received", **where, insurer=insurer, known=differing(*pair))


def lines(
    reception: Reception, counts: list[Counts], found: Found, rows: dict[str, By]
) -> Iterator[Problem]:
    """Accepted, rejected and duplicate lines, against the result and the tables.

    Where everything that can be counted agrees with itself, it is the ledger that is wrong.
    """
    where = {"reception": reception.number}
    final = reception.state == "closed" and reception.outcome == "accepted"
    accepted = {item.insurer: item.accepted for item in counts}
    if final and reception.result_sha256 is None and line_result(reception.format):
        yield problem("verify.result_unknown", **where)
    sums = {name: sum(by.values()) for name, by in rows.items()}
    if found.classes is not None:
        known = tuple(sum(getattr(item, name) for item in counts) for name in COUNTS[1:4])
        agreed = len(sums) > 0 and set(sums.values()) == {found.classes[0]}
        if known != found.classes:
            text = differing("/".join(map(str, known)), "/".join(map(str, found.classes)))
            key = "verify.counts" if agreed else "verify.result_counts"
            yield problem(key, **where, known=text)
            if agreed:
                return
    for name, by in sorted(rows.items()):
        wanted = accepted if final else {}
        for insurer in sorted(by.keys() | wanted.keys()):
            pair = (wanted.get(insurer, 0), by.get(insurer, 0))
            if pair[0] != pair[1]:
                place = {"table": name, "insurer": insurer, "known": differing(*pair)}
                yield problem(ROW_KEYS[name], **where, **place)


def balance(reception: Reception, counts: list[Counts]) -> Iterator[Problem]:
    """received = accepted + rejected + duplicate + held, in the way that the outcome allows."""
    if reception.state != "closed" and reception.outcome != "held":
        return
    if reception.outcome == "refused" and counts:
        yield problem("verify.refused_counts", reception=reception.number)
        return
    for item in counts:
        whole = {"duplicate": item.duplicate, "held": item.held}.get(reception.outcome or "")
        if not item.balanced or (whole is not None and whole != item.received):
            parts = f"{item.accepted}+{item.rejected}+{item.duplicate}+{item.held}"
            known = differing(item.received, parts)
            place = {"reception": reception.number, "insurer": item.insurer, "known": known}
            yield problem("verify.unbalanced", **place)


def outbox(centre: Centre, reception: Reception) -> Iterator[Problem]:
    """What still lies in the outbox is what was laid out; what is missing its owner took."""
    laid = centre.ledger.laid_out(reception.number)
    where = {"reception": reception.number}
    kinds = {row.kind for row in laid}
    lines = line_result(reception.format)
    wanted = {ACKNOWLEDGEMENT} if reception.told else set()
    if reception.told == "accepted" and lines:
        wanted.add(lines)
    if kinds.intersection(REPORTS):  # both of a report, or none as yet
        wanted.update(REPORTS)
    if wanted - kinds:
        yield problem("verify.not_laid_out", **where, sender=reception.sender)
    for row in laid:
        place = {**where, "sender": row.sender, "file": row.name}
        if row.kind == lines and row.sha256 != reception.result_sha256:
            yield problem("verify.laid_out_record", **place)
            continue
        found = artefacts.laid_out(centre.outbox(row.sender).folder / row.name)
        if found is None or (row.kind == ACKNOWLEDGEMENT and not reception.is_told):
            continue  # its owner took it, or the next run replaces it
        if row.kind in REPORTS or is_correction(row.kind):  # no text: line feeds count nothing
            found = found[0], row.lines
        if found != (row.sha256, row.lines):
            yield problem("verify.outbox_file", **place, known=differing(row.lines, found[1]))


# --- erasures, groups, log


def notices(centre: Centre) -> Iterator[Problem]:
    """Notices of reviews that still lie in outboxes are those that were laid out."""
    for notice in reviews.notices(centre.ledger):
        if not notice.name:
            continue
        found = artefacts.laid_out(centre.outbox(notice.sender).folder / notice.name)
        if found is not None and found != (notice.sha256, notice.lines + 2):
            where = {"sender": notice.sender, "file": notice.name, "insurer": notice.insurer}
            known = differing(notice.lines + 2, found[1])
            yield problem("verify.notice_file", **where, known=known)


def erased(centre: Centre, receptions: list[Reception]) -> Iterator[Problem]:
    """Every erased original has its signed record, which says what the ledger says, and is gone."""
    records = {row.number: row.record for row in centre.ledger.erasures() if row.what == "original"}
    for reception in receptions:
        where = {"reception": reception.number}
        text = records.pop(reception.number, None)
        if not reception.original_erased:
            if text is not None:
                yield problem("verify.erasure_early", **where)
            continue
        if text is None:
            yield problem("verify.erasure_missing", **where)
            continue
        record = parsed(text)
        if record is None or not centre.signer.verify(record):
            yield problem("verify.erasure_forged", **where)
        elif any(record.get(name) != value for name, value in recorded(centre, reception).items()):
            yield problem("verify.erasure_counts", **where)
        if any(path.exists() for path in left_over(centre, reception.original)):
            yield problem("verify.erasure_left", **where, path=reception.original)
    for number in sorted(records):
        yield problem("verify.erasure_early", reception=number)


def left_over(centre: Centre, name: str) -> list[Path]:
    """What must be gone once an original is erased."""
    key = centre.folder("keyring", "random", "original", f"{name}.key")
    return [key, originals.original_path(centre, name), originals.result_path(centre, name)]


def log_problems(centre: Centre) -> Iterator[Problem]:
    """Groups that are not committed, and an operation log that is broken or lacks their commits.

    A log whose newest entries were cut off is whole in itself; what the ledger knows to be
    committed tells that something is missing.
    """
    for group in centre.ledger.open_groups():
        yield problem("verify.group_open", group=group.number)
    folder = centre.folder("log")
    try:
        oplog.verify(folder)
    except IntegrityError as broken:
        yield problem(broken.key, **broken.where)
        return
    logged = artefacts.logged_groups(folder)
    members = {item.group_number for item in centre.ledger.receptions() if item.group_number}
    for number in sorted(members - logged):
        if centre.ledger.group(number).state == "committed":
            yield problem("verify.log_lacks", group=number)

"""The end of an erasure by rewriting: old keys go first, then files, then it is signed for good.

The record says how many rows went, by table, reception and insurer, and the hash of what went, and
names nobody. What is kept of a reception and what the records say add up to what was accepted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from koukan.engine.centre import Centre
from koukan.engine.datafiles import key_version
from koukan.engine.problems import Problem, parsed, problem
from koukan.engine.steps import erase
from koukan.ledger import Group, Ledger, rewritings
from koukan.tables.definition import BUCKET, MIXED, key_partition

MEMBERS = "members"  # what was erased; the records' numbers count up from 1
WAITED = "waited"  # rows of a 委託区画 of the time without a 個人番号: never in the 資格履歴
Counts = dict[str, dict[int, dict[str, int]]]  # rows by table (or roster), reception and insurer


def destroy_keys(centre: Centre, group: Group) -> None:
    """Keys that no file is under any more, in the partitions that the group wrote anew.

    Among them may be a new one of an attempt that was killed before it was `written`.
    """
    for name, owner in sorted(_owners(centre, group)):
        used = {
            key_version(file)
            for file in centre.snapshot(name).files()
            if key_partition(centre.tables[name].definition, file.partition) == owner
        }
        for version in centre.keyring.partition_versions(name, owner):
            if version not in used:
                centre.keyring.destroy(name, f"{owner}.{version}")
        centre.observe("keys destroyed", step=group.format)


def _owners(centre: Centre, group: Group) -> set[tuple[str, str]]:
    """Tables and their key partitions from which files went; and where rows lay before they were
    put into their buckets, as copies of those files may lie anywhere.
    """
    gone = [
        (row.name, json.loads(row.partition))
        for row in rewritings.removals(centre.ledger, group.number)
    ]
    gone += [(name, {BUCKET: MIXED}) for name, _ in gone if centre.tables[name].definition.spread]
    return {(name, key_partition(centre.tables[name].definition, where)) for name, where in gone}


def conclude(centre: Centre, group: Group) -> None:
    """Sign what went; with the record the group is at its end."""
    number = 1 + len([row for row in centre.ledger.erasures() if row.what == MEMBERS])
    said = recorded(centre, group.number, number)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, MEMBERS, number, said)
        Ledger.set_group(transaction, group.number, "committed")


def recorded(centre: Centre, group: int, number: int) -> dict[str, object]:
    """What the record of a group says, by the ledger; verified against it later."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for row in rewritings.forgotten(centre.ledger, group):
        insurers = counts.setdefault(row.what, {}).setdefault(str(row.reception), {})
        insurers[row.insurer] = row.rows
    hashes: dict[str, list[str]] = {}
    for name, path, found in rewritings.removed_hashes(centre.ledger, group):
        hashes.setdefault(name, []).append(f"{path} {found}\n")
    files = {
        name: {
            "files": len(lines),
            "sha256": hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(),
        }
        for name, lines in sorted(hashes.items())
    }
    return {"what": MEMBERS, "number": number, "counts": counts, "removed": files}


# --- verifying


def records(centre: Centre) -> list[dict[str, object] | None]:
    """The records in their order; None for one that does not carry our signature."""
    found = [parsed(row.record) for row in centre.ledger.erasures() if row.what == MEMBERS]
    return [item if item is not None and centre.signer.verify(item) else None for item in found]


def counted(centre: Centre) -> Counts:
    """Rows that went for good, as the signed records say."""
    total: Counts = {}
    for item in records(centre):
        counts = (item or {}).get("counts")
        for what, by in (counts if isinstance(counts, dict) else {}).items():
            for reception, insurers in by.items():
                place = total.setdefault(what, {}).setdefault(int(reception), {})
                for insurer, rows in insurers.items():
                    place[insurer] = place.get(insurer, 0) + int(rows)
    return total


def problems(centre: Centre) -> Iterator[Problem]:
    """Each erasure has its record, which says what the ledger says, and nothing is left."""
    groups, signed = rewritings.forgetting(centre.ledger), records(centre)
    if len(groups) != len(signed):
        yield problem("verify.forgotten_missing", known=f"{len(groups)} ≠ {len(signed)}")
    for number, (group, item) in enumerate(zip(groups, signed, strict=False), 1):
        if item is None:
            yield problem("verify.forgotten_forged", group=group)
        elif any(item.get(key) != value for key, value in recorded(centre, group, number).items()):
            yield problem("verify.forgotten_counts", group=group)
        for row in rewritings.removals(centre.ledger, group):
            path = centre.folder("tables", row.name, row.path)
            if path.exists():
                yield problem("verify.forgotten_left", table=row.name, path=row.path)

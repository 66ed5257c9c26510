"""Write rows of the tables anew: files come, others go, and no reader sees anything in between.

Compaction (`steps/compact.py`) does it so that there are few files, erasure (`steps/forget.py`) so
that rows are gone. Both only choose. The order is always the same: data files; then a group of its
own in the ledger names what comes and what goes (`written`); one commit for each table; the ledger
takes the versions (`replaced`); then what went is unlinked (`committed`). Killed before `written`,
nothing has happened; killed after it, the rest is done before any other group is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from koukan import durable
from koukan.engine.centre import Centre, held_version, version_of
from koukan.engine.forgetting import conclude, destroy_keys
from koukan.engine.leftovers import remove_files, remove_staged
from koukan.ledger import Group, Ledger, rewritings
from koukan.tables.table import DataFile


class Replaced(NamedTuple):
    """Files of one table: those that come hold what is left of those that go."""

    table: str
    come: tuple[DataFile, ...]
    go: tuple[DataFile, ...]


def replace(
    centre: Centre,
    group: Group,
    parts: Sequence[Replaced],
    forgotten: Iterable[Mapping[str, object]] = (),
    note: Callable[[Connection], None] = lambda _: None,
) -> None:
    """Let files that were just written take the place of others, or come beside them.

    Args:
        forgotten: counts of the rows that are in none of those that come.
        note: what else the ledger takes with them.
    """
    come = [row_of(part.table, file) for part in parts for file in part.come]
    go = [row_of(part.table, file) for part in parts for file in part.go]
    for row in go:
        del row["sha256"]
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group.number, come)
        rewritings.put_removals(transaction, group.number, go)
        rewritings.put_forgotten(transaction, group.number, forgotten)
        note(transaction)
        Ledger.set_group(transaction, group.number, "written")
    centre.observe("written", step=group.format)
    finish(centre, centre.ledger.group(group.number))


def row_of(name: str, file: DataFile) -> dict[str, object]:
    """A data file as the ledger names it."""
    partition = json.dumps(dict(file.partition), sort_keys=True)
    numbers = {"rows": file.rows, "size": file.size, "sha256": file.sha256}
    return {"name": name, "path": file.path, "partition": partition, **numbers}


def settle(centre: Centre) -> None:
    """Finish what killed runs left, before anything else is done with the tables."""
    for group in rewritings.unfinished(centre.ledger):
        finish(centre, group)


def finish(centre: Centre, group: Group) -> None:
    """From wherever it stands to its end; of what was not written yet, nothing is left."""
    forgets = group.format == rewritings.FORGET and group.state != "open"
    if group.state == "written":
        remove_staged(centre)
        commit(centre, group)
    if group.state == "open":
        remove_files(centre, group)
    else:
        if forgets:
            destroy_keys(centre, group)
        unlink(centre, group)
    if forgets:
        conclude(centre, group)
    else:
        close(centre, group)
    centre.observe("committed", step=group.format)


def close(centre: Centre, group: Group) -> None:
    """Nothing is left to do."""
    with centre.ledger.begin() as transaction:
        Ledger.set_group(transaction, group.number, "committed")


def commit(centre: Centre, group: Group) -> None:
    """Make the commits that are missing; the ledger takes the versions."""
    come = by_table(centre.ledger.group_files(group.number))
    go = by_table(rewritings.removals(centre.ledger, group.number))
    held = centre.ledger.table_versions()
    with centre.log.operation("replace", group=group.number) as operation:
        versions = []
        for name in sorted(come.keys() | go.keys()):
            version = centre.tables[name].commit(
                come.get(name, []),
                go.get(name, []),
                transaction=group.number,
                expected=version_of(held[name]),
            )
            versions.append(held_version(name, version))
            centre.observe("table committed", step=group.format)
        with centre.ledger.begin() as transaction:
            for version_held in versions:
                Ledger.put_table_version(transaction, version_held)
            Ledger.set_group(transaction, group.number, "replaced")
        operation.note(added=sum(map(len, come.values())), removed=sum(map(len, go.values())))
    centre.observe("replaced", step=group.format)


def by_table(rows: Iterable[Row[Any]]) -> dict[str, list[DataFile]]:
    """Files as the ledger names them."""
    found: dict[str, list[DataFile]] = {}
    for row in rows:
        file = DataFile(row.path, json.loads(row.partition), row.rows, row.size)
        found.setdefault(row.name, []).append(file)
    return found


def unlink(centre: Centre, group: Group) -> None:
    """Nobody opens what went any more; who was just reading asks again: `engine.reading`."""
    rows = rewritings.removals(centre.ledger, group.number)
    durable.remove(centre.folder("tables", row.name, row.path) for row in rows)
    centre.observe("unlinked", step=group.format)

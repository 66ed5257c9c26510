"""What must hold of a centre at rest, however it came to rest. Runs no query when imported."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from koukan import durable, oplog
from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.reissuing import list_name
from koukan.engine.verify import verify_ledger
from koukan.flows import online
from koukan.flows.results import is_correction
from koukan.flows.served import ONLY
from koukan.ledger import code_lists, codes, copies
from koukan.ledger import identity as asked
from koukan.ledger.online import UNDER_WAY, all_pushes
from koukan.ledger.served import BOOKS


def names(folder: Path, suffix: str) -> set[str]:
    """Names in a folder without the suffix that all of them must have."""
    if not folder.is_dir():
        return set()
    return {path.name.removesuffix(suffix) for path in folder.iterdir()}


def leftovers(centre: Centre) -> Iterator[str]:
    """Files that a run which was killed has left and no later one has cleaned away."""
    yield from _unfinished(centre.root)
    yield from _strange_copies(centre)
    for name in sorted(centre.tables):
        yield from _table_leftovers(centre, name)
    yield from _strange_secrets(centre)
    for sender in centre.site.senders:
        laid = {row.name for row in centre.ledger.laid_out() if row.sender == sender.name}
        laid |= {
            item.name + end
            for item in asked.packages(centre.ledger, states=["laid_out"])
            if item.sender == sender.name
            for end in ("", ".sig")
        }
        laid |= {
            online.push_name(push.sequence) + end
            for push in all_pushes(centre.ledger)
            if push.partner == sender.name and push.state != UNDER_WAY
            for end in (".age", ".age.sig")
        }
        laid |= {
            name
            for book in BOOKS
            for item in book.answers(centre.ledger, states=["laid_out"])
            if item.sender == sender.name
            for name in (item.name, item.name + ".sig")
        }
        laid |= {
            item.name + end
            for item in copies.all_packages(centre.ledger, states=["laid_out"])
            if item.sender == sender.name
            for end in ("", ".sig")
        }
        laid |= {one.name for one in codes.all_told(centre.ledger) if one.sender == sender.name}
        there = names(centre.outbox(sender.name).folder, "")
        rows = [row for row in centre.ledger.laid_out() if row.sender == sender.name]
        gone = {row.name for row in rows if is_correction(row.kind)} - there  # taken, or withdrawn
        for file in sorted(there ^ laid - gone):
            yield f"outbox of {sender.name}: {file}"
        for door in sender.doors:
            for arrival in centre.inbox(sender.name, door).look().arrivals:
                yield f"inbox of {sender.name}: {arrival.name}"
    for group in centre.ledger.open_groups():
        yield f"open group {group.number}"


def _unfinished(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        strange = path.name.startswith(durable.TEMPORARY) or "#" in path.name
        if strange or path.name.endswith(".tmp"):
            yield f"temporary: {path.relative_to(root)}"
    for folder in ("stages", "temporary", "keyring/random/stage"):
        for path in sorted((root / folder).glob("*")):
            yield f"left: {path.relative_to(root)}"


def _strange_copies(centre: Centre) -> Iterator[str]:
    receptions = centre.ledger.receptions()
    kept = {item.original for item in receptions if not item.original_erased}
    answered = {
        item.original for item in receptions if item.result_sha256 and not item.original_erased
    }
    for folder, suffix, wanted in (
        ("originals", ".sealed", kept),
        ("results", ".sealed", answered),
        ("keyring/random/original", ".key", kept),
    ):
        for name in sorted(names(centre.root / folder, suffix) ^ wanted):
            yield f"{'missing' if name in wanted else 'orphan'}: {folder}/{name}"


def _strange_secrets(centre: Centre) -> Iterator[str]:
    """Keys and sealed files of 本人確認 and 機関別符号 that are not those which the ledger says."""
    questions = {
        entrusted.questions_name(item.reception, item.generation)
        for item in asked.questions(centre.ledger)
        if item.state == "open"
    }
    requests = {
        entrusted.request_name(item.number)
        for item in asked.requests(centre.ledger, states=["cut", "sent"])
    }
    requests |= {
        entrusted.code_request_name(item.number)
        for item in codes.all_requests(centre.ledger, states=["cut", "sent"])
    }
    lists = code_lists.all_lists(centre.ledger)
    requests |= {list_name(item.number) for item in lists if item.state != "erased"}
    packages = {
        entrusted.package_name(item.reception, item.ordinal)
        for item in asked.packages(centre.ledger, states=["built", "laid_out"])
    }
    packages |= {
        entrusted.package_name(item.reception, ONLY)
        for book in BOOKS
        for item in book.answers(centre.ledger, states=["built", "laid_out"])
    }
    packages |= {
        entrusted.package_name(item.reception, item.ordinal)
        for item in copies.all_packages(centre.ledger, states=["built"])
    }
    wanted = {"question": questions, "request": requests, "package": packages}
    for scope, known in wanted.items():
        keys = names(centre.root / "keyring" / "random" / scope, ".key")
        files = names(centre.root / f"{scope}s", ".withheld")
        for name in sorted((keys ^ known) | (files ^ known)):
            yield f"{'missing' if name in known else 'orphan'}: {scope} {name}"


def _table_leftovers(centre: Centre, name: str) -> Iterator[str]:
    folder = centre.folder("tables", name)
    wanted = {file.path for file in centre.snapshot(name).files()}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
    for path in sorted(found ^ wanted):
        yield f"table {name}: {path}"


def problems(centre: Centre) -> list[str]:
    """Everything wrong with a centre at rest, in words for the reader of a failed test."""
    found = list(leftovers(centre))
    found += [f"verify: {item.key} {item.where}" for item in verify_ledger(centre)]
    oplog.verify(centre.folder("log"))
    for reception in centre.ledger.receptions():
        if not all(item.balanced for item in centre.ledger.counts(reception.number)):
            found.append(f"unbalanced: {reception.number}")
    return found


def told(centre: Centre) -> dict[str, object]:
    """What the world was told, byte for byte, and the state: equal under an equal clock.

    More than the state digest: contents of the outboxes and erasure records are in it too; but for
    what is encrypted, which is never the same. Of that the digest has the archives.
    """
    outboxes = {
        sender.name: {
            path.name: "sealed"
            if ".age" in path.suffixes
            else hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(centre.outbox(sender.name).folder.iterdir())
        }
        for sender in centre.site.senders
    }
    return {
        "digest": state_digest(centre),
        "outboxes": outboxes,
        "erasures": [[row.what, row.number, row.record] for row in centre.ledger.erasures()],
        "receptions": [
            [item.number, item.file_name, item.outcome, item.code, item.told, item.closed_at]
            for item in centre.ledger.receptions()
        ],
    }

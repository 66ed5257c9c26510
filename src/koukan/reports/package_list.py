"""Every sealed package that was made, whichever flow made it, and what became of it.

identity    answers of 本人確認, for the insurer that asked
correction  an insurer's rejected lines
usage       a welfare office's lines of 資格確認実績ログ
copies      what stands in an insurer's 副本区画, for that insurer
pmh         PMH-IDs, for PMH
disclosure  answers about persons who asked through マイナポータル, for NWS
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from koukan.ledger import copies, laid_packages, usage
from koukan.ledger.laid_packages import LaidPackage
from koukan.ledger.own_packages import Package
from koukan.ledger.served import BOOKS, Answer
from koukan.reports.packages import key_of, packages
from koukan.reports.source import Source, age, local

KINDS = ("identity", "correction", "usage", "copies", *(book.name for book in BOOKS))


def package_list(source: Source, *, insurer: str | None = None) -> list[dict[str, Any]]:
    """All packages in the order of KINDS, each kind by reception; or one insurer's.

    Of one that nobody has collected also its age, where it is known since when it lies there, and,
    but for answers to systems, its key: see `packages`.
    """
    found = [{"kind": "identity", **page} for page in packages(source, insurer=insurer)]
    found += [*corrections(source), *usages(source), *extracts(source), *answers(source)]
    return [page for page in found if insurer in (None, page["insurer"])]


def corrections(source: Source) -> Iterator[dict[str, Any]]:
    """Collected they are gone; else they go with their reception's original."""
    for item in _by_reception(source, laid_packages.CORRECTION):
        if item.collected_at is not None:
            state = "erased"
        elif source.ledger.reception(item.reception).original_erased:
            state = "expired"
        else:
            state = "laid_out"
        page = {
            **_common("correction", item),
            "state": state,
            "built_at": None,  # the ledger keeps none: it is made anew for a new key
            "closed_at": item.collected_at and local(item.collected_at),
        }
        if state == "laid_out":
            page |= {
                "key_sha256": item.key_sha256,
                "key": key_of(source, item.insurer, item.key_sha256),
            }
        yield page


def usages(source: Source) -> Iterator[dict[str, Any]]:
    """One for each office of a log, more where lines were released later."""
    return _own("usage", usage.all_packages(source.ledger), source)


def extracts(source: Source) -> Iterator[dict[str, Any]]:
    """One for each insurer of a file of queries of its copies."""
    return _own("copies", copies.all_packages(source.ledger), source)


def _own(kind: str, items: Sequence[Package], source: Source) -> Iterator[dict[str, Any]]:
    """Packages of a flow that has a table of its own, whose kind is that in `laid_packages`."""
    laid = _by_reception(source, kind)
    keyed = {(item.sender, item.name): item.key_sha256 for item in laid}
    for item in items:
        page = {**_common(kind, item), **_lived(item), "rows": item.rows}
        if item.state == "laid_out":
            key = keyed.get((item.sender, item.name), "")
            page |= {"age_seconds": age(source, item.built_at), "key_sha256": key}
            page["key"] = key_of(source, item.insurer, key)
        yield page


def answers(source: Source) -> Iterator[dict[str, Any]]:
    """One for each request of a system; to how many lines something was given is in `given`."""
    for book in BOOKS:
        for item in book.answers(source.ledger):
            counts = {"rows": item.rows, "given": item.given}
            page = {**_common(book.name, item), **_lived(item), **counts}
            if item.state == "laid_out":
                page["age_seconds"] = age(source, item.built_at)
            yield page


def _by_reception(source: Source, kind: str) -> list[LaidPackage]:
    found = laid_packages.laid(source.ledger, kind)
    return sorted(found, key=lambda item: (item.reception, item.insurer, item.name))


def _common(kind: str, item: LaidPackage | Package | Answer) -> dict[str, Any]:
    return {
        "kind": kind,
        "package": item.name,
        "insurer": None if isinstance(item, Answer) else item.insurer,
        "sender": item.sender,
        "reception": item.reception,
        "archive_sha256": item.archive_sha256,
    }


def _lived(item: Package | Answer) -> dict[str, Any]:
    return {
        "state": "erased" if item.erased and item.state == "delivered" else item.state,
        "built_at": local(item.built_at),
        "closed_at": None if item.closed_at is None else local(item.closed_at),
    }

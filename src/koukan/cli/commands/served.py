"""What the commands about answers to systems have in common: a table in numbers, nobody named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from koukan.cli import output
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.ledger.served import Book


class Shown(NamedTuple):
    """How one flow's answers are shown: keys of words.

    Args:
        fresh: what a document calls the rows in the flow's own table; empty where none is shown.
    """

    document: str
    nothing: str
    headings: Sequence[str]
    why: Sequence[str]
    states: Mapping[str, str]
    fresh: str = ""


def answers(settings: Settings, book: Book, shown: Shown) -> int:
    """Each request with what was given, and why nothing was, over all of them."""
    with settings.centre() as centre:
        found = book.answers(centre.ledger)
        totals = book.reason_totals(centre.ledger)
        titles = {
            code: reason.title if settings.language == "ja" else reason.title_en
            for code, reason in centre.catalogue.reasons.items()
        }
    rows = [
        {"reception": one.reception, "rows": one.rows, "given": one.given}
        | ({shown.fresh: one.fresh} if shown.fresh else {})
        | {"state": one.state}
        for one in found
    ]
    if settings.json:
        output.document(shown.document, {"answers": rows, "reasons": totals})
        return Exit.DONE
    if not rows:
        output.show(settings.text(shown.nothing))
        return Exit.DONE
    body = [
        [*list(one.values())[:-1], settings.text(shown.states[str(one["state"])])] for one in rows
    ]
    headings = [settings.text(key) for key in shown.headings]
    output.show(output.table(headings, body, numbers=range(len(headings) - 1)))
    if totals:
        body = [[code, titles[code], count] for code, count in totals.items()]
        output.show(output.table([settings.text(key) for key in shown.why], body, numbers=[2]))
    return Exit.DONE

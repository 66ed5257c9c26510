"""`koukan pmh status`: what PMH asked and was given, in numbers; nobody is named."""

from __future__ import annotations

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

STATES = {
    "built": "pmh.state.built",
    "laid_out": "pmh.state.laid_out",
    "delivered": "pmh.state.delivered",
    "expired": "pmh.state.expired",
}
WHY = ("pmh.head.code", "pmh.head.why", "pmh.head.rows")
HEADINGS = ("pmh.head.reception", "pmh.head.rows", "pmh.head.given", "pmh.head.state")


@shape.command("status", site=True, json=True)
def status(settings: Settings) -> int:
    """Each request with what was given, and why nothing was, over all of them."""
    with settings.centre() as centre:
        from koukan.ledger import pmh

        found = pmh.answers(centre.ledger)
        totals = pmh.reason_totals(centre.ledger)
        titles = {
            code: reason.title if settings.language == "ja" else reason.title_en
            for code, reason in centre.catalogue.reasons.items()
        }
    rows = [
        {"reception": one.reception, "rows": one.rows, "given": one.given, "state": one.state}
        for one in found
    ]
    if settings.json:
        output.document("pmh_status", {"answers": rows, "reasons": totals})
        return Exit.DONE
    if not rows:
        output.show(settings.text("pmh.nothing"))
        return Exit.DONE
    body = [
        [one["reception"], one["rows"], one["given"], settings.text(STATES[str(one["state"])])]
        for one in rows
    ]
    headings = [settings.text(key) for key in HEADINGS]
    output.show(output.table(headings, body, numbers=[0, 1, 2]))
    if totals:
        body = [[code, titles[code], count] for code, count in totals.items()]
        output.show(output.table([settings.text(key) for key in WHY], body, numbers=[2]))
    return Exit.DONE


pmh = shape.family("pmh", status)

COMMANDS = {"pmh": pmh}

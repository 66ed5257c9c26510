"""`koukan waiting`."""

from __future__ import annotations

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

HEADINGS = (
    "waiting.head.for",
    "waiting.head.member",
    "waiting.head.days",
    "waiting.head.reception",
    "waiting.head.line",
)


@shape.command("waiting", site=True, json=True)
@click.argument("insurer")
def waiting(settings: Settings, insurer: str) -> int:
    """Whom an insurer has still to settle, the oldest first."""
    with settings.centre() as centre:
        from koukan.engine.waiting import LISTED, NUMBER
        from koukan.engine.waiting import waiting as look

        found = look(centre, insurer)
        kinds = {
            NUMBER: settings.text("waiting.number"),
            **centre.catalogue.codes["member_class"].values,
        }
    rows = [{**row, "member_id": f"{row['member_id']:010d}"} for row in found.iter_rows(named=True)]
    if settings.json:
        output.document("waiting", {"insurer": insurer, "waiting": rows})
        return Exit.DONE
    if not rows:
        output.show(settings.text("waiting.nobody"))
        return Exit.DONE
    kind, member, reception, line, days = LISTED
    body = [[kinds[row[kind]], row[member], row[days], row[reception], row[line]] for row in rows]
    headings = [settings.text(key) for key in HEADINGS]
    output.show(output.table(headings, body, numbers=[2, 3, 4]))
    output.tell(settings.text("cli.waiting_count", count=len(rows)))
    return Exit.DONE


COMMANDS = {"waiting": waiting}

"""`koukan media`: 媒体管理簿, which media were approved, what went on to them, which are gone."""

from __future__ import annotations

from pathlib import Path

import click

from koukan.cli import looks, output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

LABEL = click.argument("label")
COPIED = {  # what may go on to a medium
    "reissue_list": "media.what.reissue_list",
    "provision_records": "media.what.provision_records",
}


@shape.command("approve", site=True, json=True)
@LABEL
@looks.options
def approve(settings: Settings, label: str, **signing: Path | None) -> int:
    """Enter a medium that may be used."""
    return _entered(settings, "approve", label, looks.Signing(**signing))


@shape.command("destroyed", site=True, json=True)
@LABEL
@looks.options
def destroyed(settings: Settings, label: str, **signing: Path | None) -> int:
    """Note that a medium was destroyed."""
    return _entered(settings, "destroyed", label, looks.Signing(**signing))


def _entered(settings: Settings, what: str, label: str, signing: looks.Signing) -> int:
    with settings.centre() as centre:
        from koukan.engine import media

        media.require_label(label)
        subject = {"medium": label, "entry": what}
        person = looks.allowed(settings, centre, "administer", subject, signing)
        if person is None:
            return Exit.DONE
        if what == "approve":
            media.approve(centre, label, person)
        else:
            media.destroyed(centre, label, person)
    if settings.json:
        output.document("medium", {"medium": label, "entry": what})
    else:
        output.show(settings.text("cli.medium_entered"))
    return Exit.DONE


@shape.command("list", root=True, json=True)
def list_(settings: Settings) -> int:
    """Every medium with what was copied on to it."""
    with settings.desk() as desk:
        from koukan.ledger.code_lists import all_copies, all_media
        from koukan.reports.source import local

        copies = [vars(one) for one in all_copies(desk.ledger)]
        found = [
            {**vars(one), "copies": [copy for copy in copies if copy["label"] == one.label]}
            for one in all_media(desk.ledger)
        ]
    if settings.json:
        output.document("media", {"media": found})
        return Exit.DONE
    for one in found:
        at = one["destroyed_at"]
        end = settings.text("media.in_use") if at is None else settings.text("media.gone")
        when = local(one["approved_at"] if at is None else at)
        output.show(f"{one['label']}  {end} {when}  {one['destroyed_by'] or one['approved_by']}")
        for copy in one["copies"]:
            who = f"{copy['permitted_by']} {copy['second']}"
            what = settings.text(COPIED[copy["what"]])
            output.show(
                f"  {local(copy['copied_at'])}  {what}  {copy['rows']:,}  {who}  {copy['reason']}"
            )
    if not found:
        output.show(settings.text("media.nothing"))
    return Exit.DONE


COMMANDS = {"media": shape.family("media", approve, destroyed, list_)}

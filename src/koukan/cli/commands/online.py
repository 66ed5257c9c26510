"""`koukan online`: pushes to オンライン資格確認等システム, how far each is, and pushes by hand."""

from __future__ import annotations

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit
from koukan.ledger.online import Push


@shape.command("status", site=True, json=True)
def status(settings: Settings) -> int:
    """Every push."""
    with settings.centre() as centre:
        from koukan.ledger.online import all_pushes

        found = all_pushes(centre.ledger)
    if settings.json:
        output.document("online_status", {"pushes": [_told(one) for one in found]})
    elif found:
        output.show(settings.text("online.head"), *(_line(settings, one) for one in found))
    else:
        output.show(settings.text("online.none"))
    return Exit.DONE


@shape.command("export", site=True, json=True)
@click.option("--full", is_flag=True, required=True)
def export(settings: Settings, *, full: bool) -> int:  # noqa: ARG001 - the one way to ask for it
    """Push everybody, now."""
    with settings.centre() as centre:
        from koukan.engine.steps.export import push_all

        return _pushed(settings, push_all(centre))


@shape.command("resend", site=True, json=True)
@click.option("--since", "push", type=click.IntRange(min=1), required=True, metavar="N")
def resend(settings: Settings, *, push: int) -> int:
    """Push again, as they are now, all of whom a push and later ones told."""
    with settings.centre() as centre:
        from koukan.engine.steps.export import push_again

        return _pushed(settings, push_again(centre, push))


def _pushed(settings: Settings, push: Push) -> int:
    if settings.json:
        output.document("online_push", _told(push))
    else:
        output.show(settings.text("online.head"), _line(settings, push))
    return Exit.DONE


def _told(push: Push) -> dict[str, object]:
    return {**vars(push), "unanswered": push.unanswered}


def _line(settings: Settings, push: Push) -> str:
    kind, state = (
        settings.text(f"online.{kind}.{name}")
        for kind, name in (("kind", push.kind), ("state", push.state))
    )
    counts = f"{push.persons:>10}  {push.deleted:>8}  {push.rows:>10}"
    return f"{push.sequence:06d}  {push.day}  {counts}  {kind}  {state}"


online = shape.family("online", status, export, resend)

COMMANDS = {"online": online}

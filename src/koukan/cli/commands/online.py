"""`koukan online`: pushes to オンライン資格確認等システム, how far each is, and pushes by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from koukan.cli import output, render_online, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    from koukan.ledger.online import Push


@shape.command("status", site=True, json=True)
def status(settings: Settings) -> int:
    """Every push, what was answered, and what is open."""
    with settings.centre() as centre:
        from koukan.reports.online import clock_online, listed, online

        found, still_open, code = listed(centre), online(centre), clock_online(centre)
    if settings.json:
        output.document("online_status", {"pushes": found, "open": still_open}, code)
    elif found:
        output.show(
            settings.text("online.head"), *(render_online.line(settings, one) for one in found)
        )
        output.show(*render_online.needs(settings, still_open))
    else:
        output.show(settings.text("online.none"))
    return code


@shape.command("export", site=True, json=True)
@click.option("--full", is_flag=True, required=True)
def export(settings: Settings, *, full: bool) -> int:  # noqa: ARG001 - the one way to ask for it
    """Push everybody, now."""
    with settings.centre() as centre:
        from koukan.engine.steps.export import push_all

        return _pushed(settings, centre, push_all(centre))


@shape.command("resend", site=True, json=True)
@click.option("--since", "push", type=click.IntRange(min=1), metavar="N")
@click.option("--refused", is_flag=True)
def resend(settings: Settings, *, push: int | None, refused: bool) -> int:
    """Push again, as they are now, all of whom a push and later ones told, or who was refused."""
    if (push is None) != refused:
        raise UsageError("online.resend_what")
    with settings.centre() as centre:
        from koukan.engine.steps.export import push_again, push_refused

        made = push_refused(centre) if push is None else push_again(centre, push)
        return _pushed(settings, centre, made)


@shape.command("reconcile", site=True, json=True)
@click.option("--repair", is_flag=True)
def reconcile(settings: Settings, *, repair: bool) -> int:
    """Whether replaying every push gives what the history says."""
    with settings.centre() as centre:
        from koukan.engine.steps.export import reconcile

        found = reconcile(centre, repair=repair)
    differ = len(found.links)
    code = Exit.HELD if differ and not repair else Exit.DONE
    told = {name: count for name, count in found._asdict().items() if name != "links"}
    if settings.json:
        output.document("online_reconcile", {**told, "queued": differ if repair else 0}, code)
    else:
        output.show(*render_online.reconciled(settings, told, queued=repair and differ > 0))
    return code


def _pushed(settings: Settings, centre: Any, push: Push) -> int:
    from koukan.reports.online import listed

    (told,) = (one for one in listed(centre) if one["sequence"] == push.sequence)
    if settings.json:
        output.document("online_push", told)
    else:
        output.show(settings.text("online.head"), render_online.line(settings, told))
    return Exit.DONE


online = shape.family("online", status, export, resend, reconcile)

COMMANDS = {"online": online}

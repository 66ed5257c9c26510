"""`koukan codes`: how far 機関別符号 are, in numbers or of one person; never a code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from koukan.cli import looks, output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

STATES = {
    "wanted": "codes.state.wanted",
    "asked": "codes.state.asked",
    "set": "codes.state.set",
    "failed": "codes.state.failed",
}
PURPOSES = {"all": "codes.purpose.all", "self_disclosure": "codes.purpose.self_disclosure"}
REQUESTS = {
    "cut": "codes.request.cut",
    "sending": "codes.request.sending",
    "sent": "codes.request.sent",
    "over": "codes.request.over",
    "erased": "codes.request.erased",
}
HEADINGS = tuple(
    f"codes.head.{name}"
    for name in ("request", "rows", "set", "failed", "unanswered", "created_at", "state")
)
SHOWN = (  # of one person, in this order
    *("state", "result_detail_code", "purpose", "linked_members", "reissue"),
    *("wanted_at", "asked_at", "code_received_at", "code_set_at", "code_status_at"),
)


@shape.command("status", root=True, json=True)
def status(settings: Settings) -> int:
    """Requests with what came of them, and why there were no codes; nobody is named."""
    with settings.desk() as desk:
        from koukan.reports.codes import codes

        found = codes(desk)
        titles = desk.catalogue.codes["code_result"].values
    if settings.json:
        output.document("codes_status", found)
        return Exit.DONE
    if not any(found["events"].values()):
        output.show(settings.text("codes.nothing"))
        return Exit.DONE
    told = (f"{settings.text(STATES[name])} {count:,}" for name, count in found["events"].items())
    output.show("  ".join(told))
    body = [
        [*(one[name] for name in ("request", "rows", "set", "failed", "unanswered", "created_at")),
         settings.text("codes.overdue" if one["overdue"] else REQUESTS[one["state"]])]
        for one in found["requests"]
    ]  # fmt: skip
    output.show(output.table([settings.text(key) for key in HEADINGS], body, numbers=range(5)))
    for code, count in found["failures"].items():
        output.show(f"{code} {titles.get(code, '')} {count:,}")
    return Exit.DONE


@shape.command("show", site=True, json=True)
@click.argument("insurer")
@click.argument("member_id")
@looks.options
def show(settings: Settings, insurer: str, member_id: str, **signing: Path | None) -> int:
    """The state of one person's code, for a person with the right "code"."""
    with settings.centre() as centre:
        from koukan.engine.code_states import state_of
        from koukan.engine.history import Member
        from koukan.engine.looks import require_member

        who = Member(insurer, member_id)
        require_member(centre, who)
        if not looks.allowed(settings, centre, "code", who._asdict(), looks.Signing(**signing)):
            return Exit.DONE
        found = state_of(centre, who)
    if settings.json:
        output.document("code_state", found)
        return Exit.DONE
    output.show(*(line(settings, name, found) for name in SHOWN if found[name] is not None))
    return Exit.DONE


def line(settings: Settings, name: str, found: Mapping[str, Any]) -> str:
    """One item with its label."""
    value = found[name]
    words = {"state": STATES, "purpose": PURPOSES}.get(name, {})
    if isinstance(value, bool):
        value = settings.text("codes.yes" if value else "codes.no")
    shown = settings.text(words[value]) if value in words else value
    return f"{settings.text(f'codes.item.{name}')}: {shown}"


COMMANDS = {"codes": shape.family("codes", status, show)}

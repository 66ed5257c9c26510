"""`koukan policy show`: what is done with an insurer's files that are not as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.engine.desk import Desk
    from koukan.formats import Policy


@shape.command("show", root=True, json=True)
@click.argument("insurer")
def show(settings: Settings, insurer: str) -> int:
    """The whole policy of an insurer, and who says each entry of it."""
    with settings.desk() as desk:
        from koukan.engine.policies import in_force

        policy = in_force(desk.catalogue, desk.site, insurer)
        said = _origins(desk, insurer)
    entries = {name: {"value": value, "from": said[name]} for name, value in policy}
    if settings.json:
        output.document("policy", {"insurer": insurer, "policy": entries})
        return Exit.DONE
    headings = [settings.text(f"cli.policy.{name}") for name in ("entry", "value", "from")]
    body = [
        [
            settings.text(f"cli.policy.{name}"),
            _shown(settings, name, policy),
            settings.text(f"cli.policy.from.{said[name]}"),
        ]
        for name in entries
    ]
    output.show(output.table(headings, body))
    output.tell(settings.text("cli.policy.several"))
    return Exit.DONE


def _origins(desk: Desk, insurer: str) -> dict[str, str]:
    """Who says each entry: the insurer's own, the site's, the shipped defaults, or the format."""
    places = {
        "insurer": desk.site.insurer(insurer).policy,
        "site": desk.site.policy,
        "default": desk.catalogue.policy,
    }
    return {
        name: next(
            (place for place, policy in places.items() if getattr(policy, name) is not None),
            "format",
        )
        for name, _ in desk.catalogue.policy
    }


def _shown(settings: Settings, name: str, policy: Policy) -> str:
    """An entry's value in words."""
    value = getattr(policy, name)
    if value is None:
        return settings.text("cli.policy.by_format")
    if name == "late_days":
        never = settings.text("cli.policy.never")
        return settings.text("cli.policy.days", count=value) if value else never
    if name == "reject_share":
        return f"{value:.0%}"
    return settings.text(f"cli.policy.{value}")


policy = shape.family("policy", show)

COMMANDS = {"policy": policy}

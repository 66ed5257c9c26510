"""`koukan review`: what reviews of the spells told whom; with --persons, of whom: personal data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from koukan.cli import looks, output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError


@shape.command("review", site=True, json=True)
@click.option("--persons", "number", type=click.IntRange(min=1), metavar="N")
@looks.options
def review(settings: Settings, *, number: int | None, **signing: Path | None) -> int:
    """Counts by review and insurer, or the overlapping spells of one review as they are now."""
    signed = looks.Signing(**signing)
    if number is None and signed.given:
        raise UsageError("review.persons_alone")
    with settings.centre() as centre:
        from koukan.engine import overlapping as engine
        from koukan.ledger import reviews

        if number is None:
            found = [vars(one) for one in reviews.notices(centre.ledger)]
            lines = [
                f"{one['review']:06d}  {one['insurer']}  {one['same']:<10}  {one['other']:<10}  "
                f"{one['name']}"
                for one in found
            ]
            return _told(settings, "reviews", found, "review.head.counts", lines)
        if not looks.allowed(settings, centre, "review", {"review": number}, signed):
            return Exit.DONE
        frame = engine.of_review(centre, number)
        found = json.loads(frame.write_json())
        lines = [
            f"{one['code']}    {one['insurer_code']}  {one['member_id']}    "
            f"{one['qualification_date']}"
            for one in found
        ]
        return _told(settings, "review_persons", found, "review.head.persons", lines)


def _told(
    settings: Settings, name: str, found: list[dict[str, Any]], head: str, lines: list[str]
) -> int:
    if settings.json:
        output.document(name, {"found": found})
    elif found:
        output.show(settings.text(head), *lines)
    else:
        output.show(settings.text("review.nothing"))
    return Exit.DONE


COMMANDS = {"review": review}

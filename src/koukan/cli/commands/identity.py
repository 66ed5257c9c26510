"""`koukan identity`: answers that are withheld, questions that are overdue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.ledger.withholding import Verdict

HEADINGS = (
    "withholding.head.reception",
    "withholding.head.line",
    "withholding.head.level",
    "withholding.head.evidence",
    "withholding.head.decision",
)
LATE = (
    "asking.head.reception",
    "asking.head.insurer",
    "asking.head.asked",
    "asking.head.unanswered",
    "asking.head.asked_at",
    "asking.head.again_at",
)
RECEPTION = click.argument("reception", type=click.IntRange(min=1))
LINES = click.option("--line", "lines", type=click.IntRange(min=2), multiple=True, metavar="N")


@shape.command("withheld", site=True, json=True)
@click.argument("reception", type=click.IntRange(min=1), required=False)
def withheld(settings: Settings, reception: int | None) -> int:
    """Lines, levels and evidence; no item of anybody."""
    with settings.centre() as centre:
        from koukan.engine.withholding import listed

        found = json.loads(listed(centre, reception).write_json())
    if settings.json:
        output.document("identity_withheld", {"withheld": found})
    elif found:
        heads = [settings.text(name) for name in HEADINGS]
        output.show(output.table(heads, [_row(item) for item in found], numbers=[0, 1, 4]))
        output.show(settings.text("withholding.evidence"))
        output.tell(settings.text("cli.withheld_count", count=len(found)))
    else:
        output.show(settings.text("withholding.none"))
    return Exit.DONE


def _row(item: dict[str, Any]) -> list[object]:
    evidence = " ".join(
        value or "-" for name, value in item.items() if str(name).endswith("_match")
    )
    place = [item["reception"], item["line_number"], item["match_level"]]
    return [*place, evidence, item["decision"] or ""]


@shape.command("release", site=True, json=True)
@RECEPTION
@LINES
def release(settings: Settings, reception: int, lines: tuple[int, ...]) -> int:
    """Hand them over, once a person has signed that."""
    return _decide(settings, reception, "release", lines)


@shape.command("refuse", site=True, json=True)
@RECEPTION
@LINES
def refuse(settings: Settings, reception: int, lines: tuple[int, ...]) -> int:
    """Do not, once a person has signed that."""
    return _decide(settings, reception, "refuse", lines)


def _decide(settings: Settings, reception: int, verdict: Verdict, lines: tuple[int, ...]) -> int:
    with settings.centre() as centre:
        from koukan.engine.withholding import propose

        decision, approval = propose(centre, reception, verdict, lines)
    if settings.json:
        told = {"decision": decision, "approval": approval, "reception": reception}
        output.document("identity_decision", {**told, "verdict": verdict})
        return Exit.DONE
    output.show(settings.text("cli.withheld_asked", count=decision, approval=approval))
    output.suggest(settings, f"koukan approval approve {approval} --key …")
    return Exit.DONE


@shape.command("overdue", root=True, json=True)
def overdue(settings: Settings) -> int:
    """Files whose questions have waited for answers for too long."""
    with settings.desk() as desk:
        from koukan.reports.identity import overdue_files

        found = overdue_files(desk)
    if settings.json:
        output.document("identity_overdue", {"overdue": found})
        return Exit.DONE
    if not found:
        output.show(settings.text("asking.nothing_late"))
        return Exit.DONE
    heads = [settings.text(key) for key in LATE]
    body = [
        [item["reception"], item["insurer"], item["asked"], item["unanswered"], item["asked_at"],
         item["asked_again_at"] or ""]
        for item in found
    ]  # fmt: skip
    output.show(output.table(heads, body, numbers=[0, 2, 3]))
    output.suggest(settings, f"koukan identity ask-again {found[0]['reception']}")
    return Exit.DONE


@shape.command("ask-again", site=True, json=True)
@click.argument("receptions", type=click.IntRange(min=1), nargs=-1, required=True)
def ask_again(settings: Settings, receptions: tuple[int, ...]) -> int:
    """Their open questions, and only those, go into the next request."""
    with settings.centre() as centre:
        from koukan.engine.asking import again

        rows = again(centre, receptions)
    if settings.json:
        output.document("identity_ask_again", {"receptions": list(receptions), "rows": rows})
        return Exit.DONE
    output.show(settings.text("cli.asked_again", count=rows))
    output.suggest(settings, "koukan tick")
    return Exit.DONE


COMMANDS = {
    "identity": shape.family("identity", withheld, release, refuse, overdue, ask_again),
}

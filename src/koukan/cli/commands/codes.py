"""`koukan codes`: how far 機関別符号 are, in numbers or of one person; never a code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from koukan.cli import looks, output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

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


ENDS = {
    **STATES,
    "no_member": "codes.end.no_member",
    "no_number": "codes.end.no_number",
    "not_concerned": "codes.end.not_concerned",
}
LISTS = {
    "registered": "codes.list.registered",
    "instructed": "codes.list.instructed",
    "checked": "codes.list.checked",
    "erased": "codes.list.erased",
}
NUMBER = click.argument("number", type=click.IntRange(min=1))


@shape.command("register", site=True, json=True)
@click.argument("file", type=looks.FILE)
@looks.options
def register(settings: Settings, file: Path, **signing: Path | None) -> int:
    """Register a list of persons who are to get new codes."""
    with settings.centre() as centre:
        import hashlib

        from koukan.engine.reissuing import LARGEST, read
        from koukan.engine.reissuing import register as keep
        from koukan.keys.secret import read_small

        if not file.is_file():
            raise UsageError("offline.no_file", file=file.name)
        content = read_small(file.resolve(), LARGEST)
        rows = read(content).height
        digest = hashlib.sha256(content).hexdigest()
        subject: dict[str, str | int] = {"sha256": digest, "rows": rows}
        signed = looks.Signing(**signing)
        person = looks.allowed(settings, centre, "reissue", subject, signed)
        if person is None:
            return Exit.DONE
        found = keep(centre, content, person)
    if settings.json:
        output.document("reissue_registered", {"list": found.number, "rows": found.rows})
        return Exit.DONE
    output.show(settings.text("cli.reissue_registered", key=found.number, count=found.rows))
    return Exit.DONE


@shape.command("list", root=True, json=True)
def lists(settings: Settings) -> int:
    """Lists with their states, in numbers."""
    with settings.desk() as desk:
        from koukan.ledger.code_lists import all_lists

        found = [vars(one) for one in all_lists(desk.ledger)]
    if settings.json:
        output.document("reissue_lists", {"lists": found})
        return Exit.DONE
    if not found:
        output.show(settings.text("codes.no_lists"))
        return Exit.DONE
    heads = [settings.text(f"codes.head.{name}") for name in ("list", "rows", "given_up", "state")]
    body = [
        [one["number"], one["rows"], one["persons"], settings.text(LISTS[one["state"]])]
        for one in found
    ]
    output.show(output.table(heads, body, numbers=[0, 1, 2]))
    return Exit.DONE


@shape.command("check", site=True, json=True)
@NUMBER
@looks.options
def check(settings: Settings, number: int, **signing: Path | None) -> int:
    """What became of a list, line by line; once every line has its end the list is done with."""
    with settings.centre() as centre:
        import json

        from koukan.engine.reissuing import checked, conclude

        signed = looks.Signing(**signing)
        person = looks.allowed(settings, centre, "reissue", {"list": number}, signed)
        if person is None:
            return Exit.DONE
        frame = checked(centre, number)
        whole = conclude(centre, number, frame, person)
        found = json.loads(frame.write_json())
    if settings.json:
        output.document("reissue_checked", {"list": number, "whole": whole, "lines": found})
        return Exit.DONE
    for one in found:
        place = f"{one['line']:>8}  {one['insurer']:08d}  {one['member_id']:010d}"
        end = settings.text(ENDS[one["end"]])
        output.show(f"{place}  {end} {one['result_detail_code'] or ''}".rstrip())
    output.tell(settings.text("cli.reissue_whole" if whole else "cli.reissue_open", key=number))
    return Exit.DONE


@shape.command("extract", site=True, json=True)
@click.argument("insurers", nargs=-1)
@click.option("--medium", "label", required=True, metavar="LABEL")
@click.option("--reason", required=True, metavar="TEXT")
@click.option("--output", "target", required=True, type=looks.FILE, metavar="FILE")
@click.option("--person-key", "first", required=True, type=looks.FILE, metavar="FILE")
@click.option("--second-key", "second", required=True, type=looks.FILE, metavar="FILE")
def extract(
    settings: Settings, insurers: tuple[str, ...], *, first: Path, second: Path, **given: Any
) -> int:
    """Copy the list of whose codes are set on to a medium, with two persons' signatures."""
    with settings.centre() as centre:
        from koukan.engine import media

        copying = media.Copying(given["label"], given["target"], given["reason"], insurers)
        media.require(centre, copying)
        subject = {
            "medium": copying.label,
            "output": copying.target.name,
            "insurers": " ".join(insurers),
        }
        one, two = looks.Signing(first, None, None), looks.Signing(second, None, None)
        permitting = looks.allowed(settings, centre, "administer", subject, one)
        beside = looks.allowed(settings, centre, "reissue", subject, two)
        signers = [person for person in (permitting, beside) if person is not None]
        rows = media.extract(centre, copying, signers)
    if settings.json:
        output.document("reissue_extracted", {"medium": copying.label, "rows": rows})
        return Exit.DONE
    output.show(settings.text("cli.reissue_extracted", count=rows, path=copying.target.name))
    return Exit.DONE


REISSUE = shape.family("reissue", register, lists, check, extract)
COMMANDS = {"codes": shape.family("codes", status, show, REISSUE)}

"""`koukan approval list` and `koukan approval approve`: a person's side, without the batch key."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from koukan.cli import output, render_approvals, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, SecretError, UsageError

if TYPE_CHECKING:
    from koukan.engine.approvals import Given
    from koukan.engine.desk import Desk

FILE = click.Path(path_type=Path)
TERMINAL = "/dev/tty"


@shape.command("list", root=True, json=True)
def list_(settings: Settings) -> int:
    """What waits for persons."""
    with settings.desk() as desk:
        from koukan.reports import pending
        from koukan.reports.approvals import unsigned

        found = pending(desk)
    if settings.json:
        for item in found:
            for one in item["signatures"]:
                told = one["reason"] and render_approvals.refusal(settings, item["approval"], one)
                one["sentence"] = told
        output.document("approval_list", {"approvals": found})
        return Exit.DONE
    waiting = [item for item in found if unsigned(item)]
    whole = [item for item in found if item["given"] >= item["needed"] and not item["expired"]]
    if not waiting:
        output.show(settings.text("cli.no_approvals"))
    else:
        output.show(settings.text("cli.signatures_waiting", count=len(waiting)))
        output.show(*render_approvals.approvals(settings, waiting))
    if whole:
        output.show("", settings.text("cli.signatures_whole", count=len(whole)))
    for item in whole:
        output.show(*render_approvals.approvals(settings, [item]))
        output.show(f"  {render_approvals.used(settings, item['next_run'])}")
    expired = sum(item["expired"] for item in found)
    if expired:
        output.show("", settings.text("cli.approvals_expired", count=expired))
    if waiting:
        output.suggest(settings, f"koukan approval approve {waiting[0]['approval']} --key …")
    return Exit.DONE


@shape.command("approve", root=True, json=True)
@click.argument("numbers", metavar="NUMBER...", type=click.IntRange(min=1), nargs=-1, required=True)
@click.option("--key", "key_file", type=FILE, metavar="PATH")
@click.option("--signature", type=FILE, metavar="FILE")
def approve(
    settings: Settings, numbers: tuple[int, ...], key_file: Path | None, signature: Path | None
) -> int:
    """Give approvals, by a private key or, a single one, by a signature made elsewhere."""
    if (key_file is None) == (signature is None) or (signature and len(numbers) > 1):
        raise UsageError("cli.key_or_signature")
    told = []
    with settings.desk() as desk:
        from koukan.ledger.approvals import approval as approval_of
        from koukan.reports.approvals import used_by
        from koukan.reports.due import next_run

        for given in _given(settings, desk, numbers, key_file, signature):
            enough = given.given >= given.needed
            step = used_by(approval_of(desk.ledger, given.approval))
            following = next_run(desk, step) if enough else None
            told.append({**given._asdict(), "next_run": following})
            if not settings.json:
                _tell(settings, given, following)
    if settings.json:
        output.document("approvals_given", {"approvals": told})
    return Exit.DONE


def _tell(settings: Settings, given: Given, following: Mapping[str, Any] | None) -> None:
    """At once: a later one may be refused."""
    operation = settings.text(f"approvals.operation.{given.operation}")
    where = {"approval": given.approval, "actor": given.person, "code": operation}
    counts = {"count": given.given, "total": given.needed}
    output.show(settings.text("cli.approved", **where, **counts))
    if given.given >= given.needed:
        output.tell(render_approvals.used(settings, following))
    else:
        output.suggest(settings, "koukan approval list")


def _given(
    settings: Settings,
    desk: Desk,
    numbers: Sequence[int],
    key_file: Path | None,
    signature: Path | None,
) -> Iterator[Given]:
    """One approval after another, as each is given."""
    from koukan.engine.approvals import approve, approve_signed
    from koukan.keys.secret import read_small
    from koukan.keys.sshsig import LARGEST, load_private_key

    if key_file is not None:
        key = load_private_key(
            key_file, outside=desk.root, passphrase=lambda: passphrase(settings, key_file)
        )
        yield from (approve(desk, number, key) for number in numbers)
        return
    assert signature is not None
    if not signature.is_file():
        raise UsageError("offline.no_file", file=signature.name)
    yield approve_signed(desk, numbers[0], read_small(signature.resolve(), LARGEST))


def passphrase(settings: Settings, key_file: Path) -> bytes:
    """What a key is locked with, asked on the terminal and read nowhere else.

    Raises:
        SecretError: there is no terminal.
    """
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise SecretError("cli.no_terminal", path=key_file.name) from None
    prompt = settings.text("cli.passphrase", path=key_file.name)
    try:
        return getpass.getpass(f"{prompt}: ").encode()
    except EOFError:  # Ctrl-D: nothing was typed, which opens no key
        return b""


approval = shape.family("approval", list_, approve, site=False)

COMMANDS = {"approval": approval}

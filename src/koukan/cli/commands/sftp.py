"""`koukan sftp`: what lets senders in, and whether the machine is as it has to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.sites import Site

READABLE, RUNNABLE = 0o644, 0o755  # nothing in these files is secret


@shape.command("config", root=True, json=True)
@click.option("--output", "folder", type=click.Path(path_type=Path), metavar="DIR")
def config(settings: Settings, folder: Path | None) -> int:
    """Accounts, folders, keys and the rules of sshd; the machine itself is not touched."""
    from koukan.sites import server

    site = _site(settings)
    made = server.files(site)
    if folder is not None:
        for name, text in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
            path.chmod(RUNNABLE if name.endswith(".sh") else READABLE)
    if settings.json:
        output.document("sftp_config", {"files": made})
        return Exit.DONE
    if folder is None:
        for name, text in made.items():
            output.raw(f"# {name}\n{text}\n")  # as it is: nothing is to be wrapped
    else:
        output.show(settings.text("cli.sftp.wrote", count=len(made), folder=folder))
    if not any(sender.ssh_keys for sender in server.accounts(site)):
        output.tell(settings.text("cli.sftp.nobody"))
    if folder is not None:
        output.suggest(settings, f"sudo sh {folder}/apply.sh")
    return Exit.DONE


@shape.command("check", root=True, json=True)
def check(settings: Settings) -> int:
    """Owners, modes and keys on this machine. Exit code 40 where one is not as it has to be."""
    from koukan.exchange.standing import differences

    found = differences(_site(settings), settings.need_root() / "exchange")
    if settings.json:
        output.document("sftp_check", {"differences": [item._asdict() for item in found]})
    elif found:
        for item in found:
            known = f"{item.found} → {item.wanted}"
            output.show(settings.text("cli.sftp.difference", path=item.path, known=known))
    else:
        output.show(settings.text("cli.sftp.right"))
    return Exit.CONFIGURATION if found else Exit.DONE


def _site(settings: Settings) -> Site:
    """The site's definitions; it need not be initialised."""
    from koukan.sites import require_site

    return require_site(settings.need_root() / "site.toml", settings.catalogue())


sftp = shape.family("sftp", config, check, site=False)

COMMANDS = {"sftp": sftp}

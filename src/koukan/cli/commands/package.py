"""`koukan package`: `open` and `receipt` for insurers, `list` and `key` for the centre."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from koukan.cli import output, render, render_identity, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    from koukan.engine.packages import Opened
    from koukan.sites.publickey import PublicKey

PATH = click.Path(path_type=Path)
LARGEST_LINE = 4096  # bytes of a file with a public key


@shape.command("open", json=True)
@click.argument("package", type=PATH, metavar="FILE")
@click.option("--key", "key_file", type=PATH, required=True, metavar="PATH")
@click.option("--signer", required=True, metavar="KEY|FILE")
@click.option("--signature", type=PATH, metavar="FILE")
@click.option("--into", type=PATH, metavar="DIR")
def open_(
    settings: Settings,
    *,
    package: Path,
    key_file: Path,
    signer: str,
    signature: Path | None,
    into: Path | None,
) -> int:
    """Check a package and take its files out: no site, no network."""
    from koukan.engine.packages import open_package
    from koukan.keys.package import load_package_identity

    public, identity = public_key(signer), load_package_identity(key_file)
    opened = open_package(package, identity, public, into, signature=signature)
    if settings.json:
        output.document("package_open", _content(opened, into))
    else:
        _print(settings, package, opened, into)
    return Exit.DONE


@shape.command("list", root=True, json=True)
@click.option("--insurer", metavar="CODE")
def list_(settings: Settings, insurer: str | None) -> int:
    """What was built, what lies in outboxes, what was handed over and erased."""
    with settings.desk() as desk:
        from koukan.reports.package_list import package_list

        found = package_list(desk, insurer=insurer)
    if settings.json:
        output.document("package_list", {"packages": found})
    elif found:
        output.show(*render_identity.packages(settings, found, kinds=True))
    else:
        output.show(settings.text("reports.identity.no_packages"))
    return Exit.DONE


@shape.command("key", site=True, json=True)
def key(settings: Settings) -> int:
    """The public key with which insurers check packages."""
    with settings.centre() as centre:
        found = centre.signer.ssh
    if settings.json:
        output.document("package_key", {"key": str(found), "fingerprint": found.fingerprint})
        return Exit.DONE
    output.raw(f"{found}\n")  # one line, however wide the terminal is
    output.tell(settings.text("cli.package_key", key=found.fingerprint))
    return Exit.DONE


@shape.command("receipt", json=True)
@click.argument("packages", type=PATH, nargs=-1, required=True)
@click.option("--sender", required=True, metavar="NAME")
@click.option("--sequence", type=click.IntRange(1, 999_999), required=True, metavar="N")
@click.option("--key", "key_file", type=PATH, required=True, metavar="PATH")
@click.option("--signer", required=True, metavar="KEY|FILE")
@click.option("--into", type=PATH, metavar="DIR")
def receipt(
    settings: Settings,
    *,
    packages: tuple[Path, ...],
    sender: str,
    sequence: int,
    key_file: Path,
    signer: str,
    into: Path | None,
) -> int:
    """The file that confirms packages, each checked first: no site, no network."""
    from datetime import UTC, datetime

    from koukan.engine.confirming import write_receipt
    from koukan.engine.packages import open_package
    from koukan.flows import identity, served
    from koukan.keys.package import load_package_identity
    from koukan.sites.schedule import day_of

    public, own = public_key(signer), load_package_identity(key_file)
    opened = [open_package(path, own, public) for path in packages]
    (whose, *others) = sorted({item.manifest.about.insurer for item in opened})
    kind = identity.RECEIPT if others else served.RECEIPTS.get(whose, identity.RECEIPT)
    form = settings.catalogue().formats[kind]
    where = into or Path()
    day = day_of(datetime.now(UTC))
    path = write_receipt(where, form, opened, sender=sender, sequence=sequence, day=day)
    if settings.json:
        names = [file_name(item) for item in opened]
        output.document("package_receipt", {"file": path.name, "packages": names})
    else:
        output.show(settings.text("cli.package_receipt", file=path.name, count=len(opened)))
    return Exit.DONE


def public_key(given: str) -> PublicKey:
    """A public key, or the one line of a file that holds it. Raises UsageError."""
    from koukan.keys.secret import read_small
    from koukan.sites.publickey import PLAIN, PublicKey

    try:
        if not given.startswith("ssh-"):
            given = read_small(Path(given), LARGEST_LINE).decode("utf-8")
        found = PublicKey.parse(given)
    except (OSError, ValueError):
        raise UsageError("package.signer_wrong") from None
    if found.kind != PLAIN:
        raise UsageError("package.signer_wrong")
    return found


def file_name(opened: Opened) -> str:
    """The package's name as the centre knows it and as a receipt must give it."""
    from koukan.engine.packages import PACKAGE

    return opened.manifest.package + PACKAGE


def _content(opened: Opened, into: Path | None) -> dict[str, object]:
    about = opened.manifest.about
    return {
        "package": opened.manifest.package,
        "package_name": file_name(opened),
        "insurer": about.insurer,
        "reception": about.reception,
        "kind": about.kind,
        "counts": about.counts._asdict(),
        "files": [file._asdict() for file in opened.files],
        "archive_sha256": opened.archive_sha256,
        "into": None if into is None else str(into),
    }


def _print(settings: Settings, package: Path, opened: Opened, into: Path | None) -> None:
    about, counts = opened.manifest.about, opened.manifest.about.counts
    kind = render.format_name(settings.catalogue(), about.kind)
    where = {"insurer": about.insurer, "reception": about.reception, "format": kind}
    output.show(settings.text("cli.package_good", file=package.name, **where), "")
    said = [
        ("cli.package_rows", counts.rows),
        ("cli.package_answered", counts.answered),
        ("cli.package_ambiguous", counts.ambiguous),
        ("cli.package_still_open", counts.still_open),
    ]
    headings = [settings.text(label) for label, _ in said]
    output.show(output.table(headings, [[count for _, count in said]], numbers=range(4)), "")
    length = settings.text("cli.package_length")
    output.show(f"{settings.text('cli.package_file')}:")
    for file in opened.files:
        output.show(f"  {file.name}  {file.length:,} {length}")
    output.show("", settings.text("cli.package_name"), f"  {file_name(opened)}")
    output.show(settings.text("cli.package_identity"), f"  {opened.archive_sha256}")
    if into is None:
        output.tell(settings.text("cli.package_only_checked"))
    else:
        output.tell(settings.text("cli.package_into", path=into.name))


package = shape.family("package", list_, open_, receipt, key)

COMMANDS = {"package": package}

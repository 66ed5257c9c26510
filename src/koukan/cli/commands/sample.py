"""`koukan sample`: synthetic files of invented persons, and an example site.toml."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from koukan import durable
from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    from koukan.formats import Format
    from koukan.samples.scenario import SampleSender

SITE = "site"
USUAL = "kenpo-a"  # the sender when none is named and the format is its
LINES_OF_A_PERSON = 3
PAIRS = "R303"  # the one fault that takes two persons


@shape.command("sample", root=True, json=True)
@click.argument("format_name", metavar="FORMAT")
@click.option("--rows", type=click.IntRange(min=1), default=300, metavar="N")
@click.option("--seed", type=click.IntRange(min=0), default=1, metavar="N")
@click.option("--fault", "faults", multiple=True, metavar="CODE")
@click.option("--sender", metavar="NAME")
@click.option("--output", "target", type=click.Path(path_type=Path), metavar="FILE")
def sample(
    settings: Settings,
    *,
    format_name: str,
    rows: int,
    seed: int,
    faults: tuple[str, ...],
    sender: str | None,
    target: Path | None,
) -> int:
    """Write one file, or print an example site.toml."""
    from koukan.samples.scenario import SCENARIO, site_toml
    from koukan.samples.writing import file_name

    if format_name == SITE:
        output.raw(site_toml(SCENARIO))
        return Exit.DONE
    forms = settings.catalogue().formats
    known = sorted({one.format for one in SCENARIO.senders})
    if format_name not in known:
        raise UsageError("cli.no_format", format=format_name, known=", ".join([*known, SITE]))
    if target is None:
        raise UsageError("cli.missing", key="--output", command="koukan sample")
    form, one = forms[format_name], sender_of(format_name, sender)
    path = target / file_name(form, one.name, 1) if target.is_dir() else target
    if os.path.lexists(path):
        raise UsageError("cli.exists", path=path.name)
    lines = make(path, form, one, rows=rows, seed=seed, faults=faults)
    if settings.json:
        output.document("sample", {"path": str(path), "lines": lines})
        return Exit.DONE
    output.show(settings.text("cli.sample_written", path=path.name, count=lines))
    output.suggest(settings, f"koukan validate --format {format_name} {path.name}")
    return Exit.DONE


def sender_of(format_name: str, name: str | None) -> SampleSender:
    """The sender of that name, or one whose files have this format."""
    from koukan.samples.scenario import SCENARIO

    fitting = [one for one in SCENARIO.senders if one.format == format_name]
    if name is None:
        return next((one for one in fitting if one.name == USUAL), fitting[0])
    if name not in {one.name for one in fitting}:
        known = ", ".join(one.name for one in fitting)
        raise UsageError("cli.bad_choice", key="--sender", known=known)
    return SCENARIO.sender(name)


def make(
    path: Path, form: Format, sender: SampleSender, *, rows: int, seed: int, faults: Sequence[str]
) -> int:
    """Write the file, one person for each row fault; returns its data lines."""
    from koukan.samples.faults import FILE_FAULTS
    from koukan.samples.writing import PART

    codes, spoilt = sorted_out(faults)
    if spoilt is None:  # written piece by piece: memory does not grow with the file
        try:
            return written(path, form, sender, rows=rows, seed=seed, codes=codes)
        except BaseException:
            path.with_name(path.name + PART).unlink(missing_ok=True)
            raise
    content = io.BytesIO()
    lines = written(content, form, sender, rows=rows, seed=seed, codes=codes)
    _, whole = FILE_FAULTS[spoilt](path.name, content.getvalue(), form)
    durable.write(path, whole)
    return lines


def sorted_out(faults: Sequence[str]) -> tuple[list[str], str | None]:
    """Codes of rows, and the name of the fault of the whole file if there is one.

    Raises:
        UsageError: no such fault, or two of the whole file.
    """
    from koukan.samples.faults import FILE_FAULTS, ROW_FAULTS

    names = {one.code: name for name, one in reversed(list(FILE_FAULTS.items()))}  # the first
    codes = [one for one in faults if one in ROW_FAULTS]
    whole = [names.get(one, one) for one in faults if one not in ROW_FAULTS]
    for one in whole:
        if one not in FILE_FAULTS:
            known = ", ".join([*ROW_FAULTS, *FILE_FAULTS])
            raise UsageError("samples.fault", code=one, known=known)
    if len(whole) > 1:
        raise UsageError("cli.one_file_fault")
    return codes, whole[0] if whole else None


def written(
    target: Path | BinaryIO,
    form: Format,
    sender: SampleSender,
    *,
    rows: int,
    seed: int,
    codes: Sequence[str],
) -> int:
    """Write a file with nothing wrong but these codes; returns its data lines."""
    from koukan.samples.bulk import write_bulk
    from koukan.samples.laying import NIGHT_DAY
    from koukan.samples.scenario import SCENARIO

    needed = sum(2 if code == PAIRS else 1 for code in codes)
    bulk = write_bulk(
        target,
        form,
        seed=seed,
        insurer=SCENARIO.insurer(sender.insurers[0]),
        persons=max(-(-rows // LINES_OF_A_PERSON), needed),
        sender=sender.name,
        as_of=NIGHT_DAY,
        bad_persons=len(codes),
        codes=codes,
    )
    return bulk.file.lines


COMMANDS = {"sample": sample}

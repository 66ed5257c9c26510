"""`koukan sample`: synthetic files of invented persons, and an example site.toml."""

from __future__ import annotations

import os
from pathlib import Path

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

SITE = "site"
MODES = ("1", "2")


@shape.command("sample", root=True, json=True)
@click.argument("format_name", metavar="FORMAT")
@click.option("--rows", type=click.IntRange(min=1), metavar="N")
@click.option("--seed", type=click.IntRange(min=0), default=1, metavar="N")
@click.option("--mode", type=click.Choice(MODES))
@click.option("--whole-record", is_flag=True)
@click.option("--fault", "faults", multiple=True, metavar="CODE")
@click.option("--sender", metavar="NAME")
@click.option("--output", "target", type=click.Path(path_type=Path), metavar="FILE")
def sample(
    settings: Settings,
    *,
    format_name: str,
    rows: int | None,
    seed: int,
    mode: str | None,
    whole_record: bool,
    faults: tuple[str, ...],
    sender: str | None,
    target: Path | None,
) -> int:
    """Write one file, or print an example site.toml."""
    from koukan.samples import offered
    from koukan.samples.scenario import SCENARIO, site_toml
    from koukan.samples.writing import file_name

    if format_name == SITE:
        output.raw(site_toml(SCENARIO))
        return Exit.DONE
    forms, known = settings.catalogue().formats, offered.formats_offered()
    if format_name not in known:
        raise UsageError("cli.no_format", format=format_name, known=", ".join([*known, SITE]))
    if target is None:
        raise UsageError("cli.missing", key="--output", command="koukan sample")
    form, one = forms[format_name], offered.sender_of(format_name, sender)
    path = target / file_name(form, one.name, 1) if target.is_dir() else target
    if os.path.lexists(path):
        raise UsageError("cli.exists", path=path.name)
    wished = offered.wish(form, faults, rows=rows, seed=seed, mode=mode)
    wished = offered.with_whole_record(form, wished) if whole_record else wished
    lines = offered.write_sample(path, form, one, wished)
    if settings.json:
        output.document("sample", {"path": str(path), "lines": lines})
        return Exit.DONE
    output.show(settings.text("cli.sample_written", path=path.name, count=lines))
    output.suggest(settings, f"koukan validate --format {format_name} {path.name}")
    return Exit.DONE


COMMANDS = {"sample": sample}

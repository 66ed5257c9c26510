"""`koukan sample`: synthetic files of invented persons, and an example site.toml."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    from koukan.formats import Catalogue, Format
    from koukan.samples.scenario import Scenario

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
@click.option("--sequence", type=click.IntRange(min=1, max=999_999), metavar="N")
@click.option("--output", "target", type=click.Path(path_type=Path), metavar="FILE|DIR")
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
    sequence: int | None,
    target: Path | None,
) -> int:
    """Write one file, or print an example site.toml."""
    from koukan.samples import offered
    from koukan.samples.scenario import SCENARIO, site_toml
    from koukan.samples.writing import file_name

    if format_name == SITE:
        output.raw(f"{site_toml(SCENARIO)}\n{settings.text('samples.site_notes').strip()}\n")
        return Exit.DONE
    catalogue, known = settings.catalogue(), offered.formats_offered()
    if format_name not in known:
        raise UsageError("cli.no_format", format=format_name, known=", ".join([*known, SITE]))
    if target is None:
        raise UsageError("cli.missing", key="--output", command="koukan sample")
    form, scenario = catalogue.formats[format_name], _scenario(settings, catalogue)
    in_name = _named(form, target)
    sender, sequence = sender or in_name.get("sender"), sequence or int(in_name["sequence"])
    one = offered.sender_of(format_name, sender, catalogue, scenario)
    path = target / file_name(form, one.name, sequence) if target.is_dir() else target
    if os.path.lexists(path):
        raise UsageError("cli.exists", path=path.name)
    wished = offered.wish(form, faults, rows=rows, seed=seed, mode=mode, sequence=sequence)
    wished = offered.with_whole_record(form, wished) if whole_record else wished
    lines = offered.write_sample(path, form, one, wished, scenario)
    if settings.json:
        found = {"sender": one.name, "door": one.door, "sequence": sequence}
        output.document("sample", {"path": str(path), "lines": lines, **found})
        return Exit.DONE
    output.show(settings.text("cli.sample_written", path=path.name, count=lines))
    inbox = f"exchange/{one.name}/inbox/{one.door}/"
    output.tell(settings.text("cli.sample_inbox", sender=one.name, path=inbox))
    more = f"--sender {one.name} --sequence {sequence + 1} --seed {seed + 1}"
    output.tell(settings.text("cli.sample_more", command=f"koukan sample {format_name} {more} …"))
    output.suggest(settings, f"koukan validate --format {format_name} {shlex.quote(str(path))}")
    return Exit.DONE


def _scenario(settings: Settings, catalogue: Catalogue) -> Scenario:
    """Senders and insurers of the site, where there is one, else those of the example."""
    from koukan.samples import offered
    from koukan.samples.scenario import SCENARIO
    from koukan.sites import require_site

    path = None if settings.root is None else settings.root / "site.toml"
    if path is None or not path.is_file():
        return SCENARIO
    return offered.scenario_of(require_site(path, catalogue))


def _named(form: Format, target: Path) -> dict[str, str]:
    """Sender and sequence number that a name by the rule says already; else the first number."""
    match = None if target.is_dir() else form.file.expression.fullmatch(target.name)
    return {"sequence": "1"} if match is None else match.groupdict()


COMMANDS = {"sample": sample}

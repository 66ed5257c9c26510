"""`koukan docs`: formats/README.md from the definitions."""

from __future__ import annotations

from pathlib import Path

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import DefinitionError, EnvironmentRefused, Exit

NAME = "README.md"


@shape.command("docs", json=True)
@click.option("--check", is_flag=True)
def docs(settings: Settings, check: bool) -> int:
    """Write the document, or say whether it is fresh."""
    from koukan import durable, shipped
    from koukan.formats import require_catalogue
    from koukan.formats.docs import document
    from koukan.formats.load import load_items

    folder = shipped.formats_folder()
    if not (folder.parent / "pyproject.toml").is_file():
        raise EnvironmentRefused("cli.not_a_checkout")
    path, shown = folder / NAME, f"{folder.name}/{NAME}"
    catalogue = require_catalogue(folder)
    content = document(catalogue, load_items(catalogue, folder)[0]).encode()
    stale = _read(path) != content
    if stale and check:
        raise DefinitionError("cli.stale", path=shown)
    if stale:
        durable.write(path, content, replace=True)
        path.chmod(0o644)  # a document of the source, not data of a site
    if settings.json:
        output.document("docs", {"path": shown, "written": stale})
    else:
        key = "cli.documents_written" if stale else "cli.documents_fresh"
        output.show(settings.text(key, path=shown))
    return Exit.DONE


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


COMMANDS = {"docs": docs}

"""Read `site.toml` and `jobs/*.toml`, and check them against what is known."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from koukan.errors import DefinitionError
from koukan.formats.load import Problems, definition_files
from koukan.formats.model import Catalogue
from koukan.sites.model import Job, Site


def load_site(path: Path, catalogue: Catalogue) -> tuple[Site | None, list[str]]:
    """The site, or every problem of it."""
    problems = Problems()
    if not path.is_file():
        return None, [f"{path.name}: there is no such file"]
    site = problems.build(path.name, Site, problems.read(path))
    if site is None:
        return None, problems
    for insurer in site.insurers:
        if insurer.kind not in catalogue.kinds:
            known = ", ".join(sorted(catalogue.kinds))
            problems.append(f"{path.name} insurer {insurer.code}: kind is not one of {known}")
    for sender in site.senders:
        if sender.system is not None and sender.system not in catalogue.systems:
            known = ", ".join(sorted(catalogue.systems))
            problems.append(f"{path.name} sender {sender.name}: system is not one of {known}")
        for door in sorted(set(sender.doors) - set(catalogue.doors)):
            known = ", ".join(sorted(catalogue.doors))
            problems.append(f"{path.name} sender {sender.name}: {door!r} is not one of {known}")
    return (None if problems else site), problems


def load_jobs(
    folders: Collection[Path], catalogue: Catalogue, steps: Collection[str]
) -> tuple[dict[str, Job], list[str]]:
    """Jobs by name; later folders override earlier ones file by file."""
    problems = Problems()
    jobs = {}
    for name, path in sorted(definition_files(folders).items()):
        stem = name.removesuffix(".toml")
        job = problems.build(name, Job, problems.read(path), name=stem)
        if job is None:
            continue
        jobs[stem] = job
        for what, used, known in (
            ("step", job.steps, set(steps)),
            ("format", job.formats, set(catalogue.formats)),
        ):
            for item in sorted(set(used) - known):
                names = ", ".join(sorted(known))
                problems.append(f"{name}: {what} {item!r} is not one of {names}")
    return jobs, problems


def require_site(path: Path, catalogue: Catalogue) -> Site:
    """The site, or a DefinitionError that names the first problems."""
    site, problems = load_site(path, catalogue)
    if site is None:
        raise DefinitionError("sites.wrong", known="; ".join(problems[:3]))
    return site

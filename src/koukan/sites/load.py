"""Read `site.toml` and `jobs/*.toml`, and check them against what is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import get_args

from koukan.errors import DefinitionError
from koukan.formats.load import Problems, definition_files
from koukan.formats.model import Catalogue
from koukan.formats.problems import Problem, listed, places
from koukan.sites.model import Job, Person, Right, Site
from koukan.sites.payers import check_payers

DUTIES = {  # whose work a right is: at the 資格履歴, else at the 情報提供サーバーAP
    **dict.fromkeys(get_args(Right), "identity"),
    **dict.fromkeys(("number", "review"), "history"),
    **dict.fromkeys(("code", "reissue", "record", "administer"), "linkage"),
}
TAKES = "pick_up"  # the step that looks into inboxes


def load_site(path: Path, catalogue: Catalogue) -> tuple[Site | None, list[Problem]]:
    """The site, or every problem of it."""
    problems, file = Problems(), path.name
    if not path.is_file():
        problems.add(file, "", "definitions.no_file")
        return None, problems
    site = problems.build(file, Site, problems.read(path, file))
    if site is None:
        return None, problems
    for insurer in site.insurers:
        if insurer.kind not in catalogue.kinds:
            where = {"key": insurer.kind, "known": listed(set(catalogue.kinds))}
            problems.add(file, f"insurer[{insurer.code}].kind", "definitions.unknown", **where)
    check_payers(problems, file, site, catalogue)
    for sender in site.senders:
        place = f"sender[{sender.name}]"
        if sender.system is not None and sender.system not in catalogue.systems:
            where = {"key": sender.system, "known": listed(set(catalogue.systems))}
            problems.add(file, f"{place}.system", "definitions.unknown", **where)
        for door in sorted(set(sender.doors) - set(catalogue.doors)):
            where = {"key": door, "known": listed(set(catalogue.doors))}
            problems.add(file, f"{place}.doors", "definitions.unknown", **where)
    for person in site.persons:
        _check_person(problems, file, person, catalogue)
    return (None if problems else site), problems


def _check_person(problems: Problems, file: str, person: Person, catalogue: Catalogue) -> None:
    """Staff work for an operator, and at what is its duty."""
    place = f"person[{person.name}]"
    operator = catalogue.operators.get(person.operator)
    if operator is None:
        where = {"key": person.operator, "known": listed(set(catalogue.operators))}
        problems.add(file, f"{place}.operator", "definitions.unknown", **where)
    elif not {DUTIES[right] for right in person.rights} <= set(operator.duties):
        where = {"key": operator.name, "known": listed(set(operator.duties))}
        problems.add(file, f"{place}.rights", "definitions.person_duty", **where)


def load_jobs(
    folders: Collection[Path], catalogue: Catalogue, steps: Collection[str]
) -> tuple[dict[str, Job], list[Problem]]:
    """Jobs by name; later folders override earlier ones file by file."""
    problems = Problems()
    jobs = {}
    for name, path in sorted(definition_files(folders).items()):
        stem, file = name.removesuffix(".toml"), f"jobs/{name}"
        job = problems.build(file, Job, problems.read(path, file), name=stem)
        if job is None:
            continue
        jobs[stem] = job
        for place, used, known in (
            ("steps", job.steps, set(steps)),
            ("every_tick", job.every_tick, set(steps)),
            ("formats", job.formats, set(catalogue.formats)),
        ):
            for item in sorted(set(used) - known):
                where = {"key": item, "known": listed(known)}
                problems.add(file, place, "definitions.unknown", **where)
    return jobs, problems


def job_gaps(jobs: Mapping[str, Job], catalogue: Catalogue) -> list[Problem]:
    """Files that no job would take up, or more than one."""
    problems = Problems()
    takers: dict[str, list[str]] = {}
    for job in jobs.values():
        file = f"jobs/{job.name}.toml"
        if TAKES in job.steps and not job.formats:
            problems.add(file, "formats", "definitions.job_without_formats", step=TAKES)
        if job.formats and TAKES not in job.steps:
            problems.add(file, "steps", "definitions.job_without_step", step=TAKES)
        for name in job.formats:
            form = catalogue.formats.get(name)
            if form is not None and form.direction != "inbound":
                problems.add(file, "formats", "definitions.job_outbound", format=name)
            takers.setdefault(name, []).append(job.name)
    for name, form in catalogue.formats.items():
        found = takers.get(name, [])
        if form.direction == "inbound" and not found:
            problems.add(f"formats/{name}.toml", "", "definitions.no_job", format=name)
        if len(found) > 1:
            where = {"format": name, "known": listed(found)}
            problems.add(f"jobs/{found[-1]}.toml", "formats", "definitions.two_jobs", **where)
    return problems


def require_site(path: Path, catalogue: Catalogue) -> Site:
    """The site, or a DefinitionError that names the first problems' places."""
    site, problems = load_site(path, catalogue)
    if site is None:
        raise DefinitionError("sites.wrong", known=places(problems))
    return site

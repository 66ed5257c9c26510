"""Everything that can be wrong with what a site decides, before anything comes: `koukan check`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from koukan.engine.centre import SITE, STEPS, format_folders, job_folders
from koukan.errors import SecretError
from koukan.flows import (
    codes,
    copies,
    disclosure,
    identity,
    online,
    pmh,
    registration,
    tables,
    usage,
)
from koukan.formats import Catalogue, Problem, gaps, load_catalogue
from koukan.formats.items import Items
from koukan.formats.load import load_items
from koukan.formats.problems import listed, problem
from koukan.keys.package import recipient
from koukan.ledger.schema import metadata
from koukan.rules.checks import unknown_checks
from koukan.sites import Job, Site, job_gaps, load_jobs, load_site
from koukan.sites.model import Insurer

# The steps that know what is in a file, each with the formats that it knows.
FLOWS: Mapping[str, tuple[str, ...]] = {
    "commit": registration.FORMATS,
    "ask": tuple(identity.QUESTIONS),
    "split": (identity.ANSWER,),
    "confirm": (identity.RECEIPT, pmh.RECEIPT, disclosure.RECEIPT),
    "issue": (pmh.REQUEST,),
    "allot": (usage.LOG,),
    "take_in": (online.RESPONSE,),
    "want": (codes.QUERY,),
    "take_codes": (codes.ANSWER,),
    "disclose": (disclosure.REQUEST,),
    "deposit": (copies.REGISTRATION,),
    "extract": (copies.QUERY,),
}


def definition_problems(root: Path | None) -> list[Problem]:
    """Everything wrong with formats, site and jobs: what `koukan check` prints."""
    catalogue, problems = load_catalogue(*format_folders(root))
    if catalogue is None:
        return problems
    for form in catalogue.formats.values():
        file = f"formats/{form.name}.toml"
        for name in unknown_checks(form):
            problems.append(problem(file, "checks", "definitions.check_unknown", key=name))
    problems += [*gaps(catalogue), *width_gaps(catalogue)]
    items, found = load_items(catalogue, *format_folders(root))
    problems += found or [one for item in items for one in place_gaps(item, catalogue)]
    jobs, found = load_jobs(job_folders(root), catalogue, STEPS)
    problems += found or [*job_gaps(jobs, catalogue), *flow_gaps(jobs)]
    if root is not None:
        site, found = load_site(root / SITE, catalogue)
        problems += found if site is None else site_problems(site, jobs)
    return problems


def place_gaps(items: Items, catalogue: Catalogue) -> list[Problem]:
    """Items of a documented file whose column, or entry of site.toml, does not exist."""
    known = {
        f"{name}.{column}"
        for name, table in tables.definitions(catalogue.formats, 1).items()
        for column in (*table.partition_by, *chain.from_iterable(table.sections.values()))
    }
    ledger = {
        f"{name}.{column.name}" for name, table in metadata.tables.items() for column in table.c
    }
    entries = {f"insurer.{name}" for name in Insurer.model_fields}
    problems = []
    for section, item in items.all():
        field = items.field_of(catalogue, section, item)
        places = (
            (field and f"{items.table}.{field.name}", known),
            (item.column, known),
            (item.ledger, ledger),
            (item.site, entries),
        )
        for place, there in places:
            if place is not None and place not in there:
                where, key = {"field": item.label, "key": place}, "definitions.item_nowhere"
                problems.append(problem(items.file, section.title, key, **where))
    return problems


def width_gaps(catalogue: Catalogue) -> list[Problem]:
    """Fields of results into which what an answer says would not fit: nothing is ever cut."""
    answer = catalogue.formats.get(identity.ANSWER)
    problems = []
    for name in identity.RESULTS.values():
        form = catalogue.formats.get(name)
        if answer is None or form is None:
            continue
        said = {item.name: item for item in answer.all_fields}
        for item in form.all_fields:
            came = said.get(item.name)
            if came is not None and item.sensitive and item.length < came.length:
                where = {"key": came.name, "format": answer.name}
                place = f"formats/{name}.toml"
                problems.append(problem(place, item.name, "definitions.narrower", **where))
    return problems


def flow_gaps(jobs: Mapping[str, Job]) -> list[Problem]:
    """Formats in jobs that no step of theirs knows what to do with."""
    problems = []
    for job in jobs.values():
        known = {name for step in job.steps for name in FLOWS.get(step, ())}
        for name in job.formats:
            if name not in known:
                where = {"format": name, "known": listed(known) or "–"}
                place = f"jobs/{job.name}.toml"
                problems.append(problem(place, "formats", "definitions.no_flow", **where))
    return problems


def site_problems(site: Site, jobs: Mapping[str, Job]) -> list[Problem]:
    """What cannot be known from site.toml alone."""
    problems = package_key_problems(site)
    asking = [job.name for job in jobs.values() if "request" in job.steps]
    if asking and site.partner(identity.SYSTEM) is None:
        where = {"key": identity.SYSTEM, "job": asking[0]}
        problems.append(problem(SITE, "sender", "definitions.no_partner", **where))
    return problems


def package_key_problems(site: Site) -> list[Problem]:
    """Keys that look right and are none: one letter was copied wrongly, or RSA is too short."""
    problems = []
    for insurer in site.insurers:
        try:
            if insurer.package_key:
                recipient(insurer.package_key, insurer.code)
        except SecretError:
            place = f"insurer[{insurer.code}].package_key"
            problems.append(problem(SITE, place, "definitions.package_key"))
    return problems

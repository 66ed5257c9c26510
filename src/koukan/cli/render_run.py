"""What jobs did, as text: receptions, requests, packages, and what stopped them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from koukan import words
from koukan.cli.settings import Settings

if TYPE_CHECKING:
    from koukan.engine.run import Ran
    from koukan.errors import KoukanError
    from koukan.sites import Job


def named(name: str, title: str) -> str:
    """A job or format by its name, which commands take, and its title, which people know."""
    return name if not title or title == name else f"{name} {title}"


def document(settings: Settings, ran: Ran) -> dict[str, Any]:
    """A job's part of the JSON document."""
    failure = None if ran.failure is None else fault(settings, ran.failure)
    return {**ran._asdict(), "exit": int(ran.exit), "failure": failure}


def fault(settings: Settings, error: KoukanError) -> dict[str, Any]:
    """What stopped a job, in words."""
    return {
        "key": error.key,
        "retryable": error.retryable,
        "where": error.where,
        **told(settings, error.key, error.where),
    }


def told(settings: Settings, key: str, where: Mapping[str, str]) -> dict[str, str]:
    """Sentence and next step of a fault that was noted; one of another version goes by its key."""
    if key not in words.catalogue():
        return {"sentence": key, "next": ""}
    language = settings.language
    return {
        "sentence": words.sentence(key, language, **where),
        "next": words.next_step(key, language, **where),
    }


def jobs(settings: Settings, known: Mapping[str, Job], done: Sequence[Ran]) -> Iterator[str]:
    """A line or a few for each job that ran; what stopped several of them is told once."""
    failed: list[dict[str, Any]] = []
    for ran in done:
        job = known[ran.job]
        name = named(job.name, job.title)
        where = {"job": name, "seconds": f"{ran.seconds:.1f}"}
        if ran.failure is not None:
            line = settings.text("cli.failed", exit=int(ran.exit), **where)
            failed.append({"line": line, "key": ran.failure.key, "where": ran.failure.where})
            continue
        count = len(ran.receptions)
        key = "cli.ran" if count else "cli.no_input" if job.formats else "cli.ran_alone"
        yield settings.text(key, count=count, **where)
        yield from _work(settings, ran.work or {})
    for lines, cause in causes(failed):
        yield from lines
        yield from reason(settings, cause)


def causes(failed: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    """The lines of jobs that failed for the same reason, with the first of them."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in failed:
        found.setdefault(f"{item['key']} {sorted(item['where'].items())}", []).append(item)
    for items in found.values():
        yield [item["line"] for item in items], items[0]


def reason(settings: Settings, cause: Mapping[str, Any]) -> Iterator[str]:
    """Why, and what next."""
    found = told(settings, cause["key"], cause["where"])
    yield f"  {found['sentence']}"
    yield f"  {found['next']}"


def _work(settings: Settings, work: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Requests, answers and packages, a line each where there is anything to tell."""
    for kind, counts in work.items():
        if any(counts.values()):
            shown = {name: f"{count:,}" for name, count in counts.items()}
            yield f"  {settings.text(f'reports.work.{kind}', **shown)}"

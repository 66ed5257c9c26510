"""Reports as text: the same objects that `--json` prints, for a screen of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from koukan import words
from koukan.cli import output, render_identity, render_inboxes, render_online
from koukan.cli.render_approvals import approvals, used
from koukan.cli.render_run import causes, named, reason
from koukan.cli.settings import Settings
from koukan.cli.text import age, packed
from koukan.errors import Exit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koukan.engine.problems import Problem
    from koukan.formats import Catalogue, Reason

COUNTS = ("received", "accepted", "rejected", "duplicate", "held")
STYLES = {"needs_you": "bold red", "running": "cyan", "waiting": "", "others": "", "quiet": "green"}
Page = Mapping[str, Any]


def meaning(settings: Settings, reason: Reason, line: int = 0) -> dict[str, str]:
    """Title, sentence and action of a code of rejects.toml."""
    english = settings.language == "en"
    text = reason.text_en if english else reason.text
    if not line:  # a code in general, or a file's refusal that points to no line
        text = text.replace("{line}行目：", "").replace("Line {line}: ", "")
    # A length belongs to a field; spoken of in general there is none.
    for general in ("（定め：{length}桁）", " ({length})"):
        text = text.replace(general, "")
    return {
        "title": reason.title_en if english else reason.title,
        "text": text.replace("{line}", str(line)),
        "action": reason.action_en if english else reason.action,
    }


def problems(settings: Settings, name: str, found: Sequence[Problem], sound: str) -> int:
    """What a verification found; 50 if anything."""
    code = Exit.INTEGRITY if found else Exit.DONE
    told = [
        {
            "key": item.key,
            "where": item.where,
            "sentence": settings.text(item.key, **item.where),
            "next": words.next_step(item.key, settings.language, **item.where),
        }
        for item in found
    ]
    if settings.json:
        output.document(name, {"problems": told}, code)
    elif not told:
        output.show(settings.text(sound))
    else:
        for item in told:
            output.show(str(item["sentence"]), f"  {item['next']}")
        output.tell(settings.text("cli.problems", count=len(told)))
    return code


def summary(settings: Settings, found: Page) -> Iterator[RenderableType]:
    """Outcomes, codes, lines by insurer, and whether they balance."""
    yield outcomes(settings, found["receptions"])
    yield from packed(f"{code} {count:,}" for code, count in found["codes"].items())
    if found.get("insurers"):
        yield ""
        yield insurers(settings, found["insurers"])
    elif found["records"]["received"]:
        yield lines(settings, found["records"])
    key = "reports.balanced" if found["ledger_balanced"] else "reports.not_balanced"
    yield settings.text(key)


def outcomes(settings: Settings, found: Mapping[str, int]) -> str:
    """Files by outcome on one line."""
    told = [
        f"{settings.text(f'reports.outcome.{name}')} {count:,}"
        for name, count in found.items()
        if count
    ]
    return f"{settings.text('reports.files')}: {'  '.join(told) or settings.text('reports.none')}"


def lines(settings: Settings, found: Mapping[str, int]) -> str:
    """Lines by what became of them on one line."""
    told = [f"{settings.text(f'reports.count.{name}')} {found[name]:,}" for name in COUNTS]
    return f"{settings.text('reports.lines')}: {'  '.join(told)}"


def insurers(
    settings: Settings, found: Sequence[Page], *, registers: bool = True
) -> RenderableType:
    """A row for each insurer and one for their sum; what registers nothing is only taken in."""
    taken = dict.fromkeys(COUNTS, "") if registers else {"accepted": "taken"}
    headings = [settings.text("reports.insurer")]
    headings += [settings.text(f"reports.count.{taken.get(name) or name}") for name in COUNTS]
    body = [[whose(item), *(item[name] for name in COUNTS)] for item in found]
    sums = [sum(item[name] for item in found) for name in COUNTS]
    body.append([settings.text("reports.sum"), *sums])
    return output.table(headings, body, numbers=range(1, len(COUNTS) + 1))


def whose(item: Page) -> str:
    """An insurer, or a dash for lines that name none: a national system's."""
    from koukan.codecs.gate import NOBODY  # with numpy, which help does without

    return "－" if item["insurer"] == NOBODY else str(item["insurer"])


def status(settings: Settings, catalogue: Catalogue, page: Page) -> Iterator[RenderableType]:
    """The whole page, the verdict first."""
    from rich.text import Text

    verdict, runs = page["verdict"], page["running"]
    since = runs["since"] if runs else ""
    key = f"reports.verdict.{verdict['state']}"
    told = settings.text(key, count=verdict["count"], since=since)
    yield Text(f"● {told}    {page['now']}", style=STYLES[verdict["state"]])
    yield from _section(settings, "reports.needs_you", _needs(settings, catalogue, page))
    if runs:
        running = f"{runs['lease']}  {runs['holder']}  {runs['since']}"
        yield from _section(settings, "reports.running", iter([running]))
    yield from _section(settings, "reports.waiting", _waiting(settings, catalogue, page))
    tonight = page["tonight"]
    heading = settings.text("reports.tonight", night=tonight["night"])
    yield ""
    yield f"■ {heading}"
    yield from summary(settings, tonight)
    totals = list(render_identity.totals(settings, page["identity"]))
    if totals:  # what is above is of one night, these are of all
        yield from _section(settings, "reports.identity.totals", iter(totals))


def _section(
    settings: Settings, key: str, content: Iterator[RenderableType]
) -> Iterator[RenderableType]:
    found = list(content)
    yield ""
    yield f"■ {settings.text(key)}{'' if found else ': ' + settings.text('reports.none')}"
    yield from found


def _needs(settings: Settings, catalogue: Catalogue, page: Page) -> Iterator[RenderableType]:
    needs = page["needs_you"]
    if not needs["ledger_balanced"]:
        yield settings.text("reports.not_balanced")
    yield from _failed(settings, needs["failed_jobs"])
    yield from _hosts(settings, needs["hosts"])
    yield from _usage(settings, needs["usage"])
    for name, count in needs["copies"].items():
        if count:
            yield settings.text(f"reports.copies.{name}", count=count)
    if page["identity"]["overdue"]:
        yield settings.text("reports.identity.overdue", count=page["identity"]["overdue"])
    if page["codes"]["overdue"]:
        yield settings.text("reports.overdue_codes", count=page["codes"]["overdue"])
    yield from render_identity.withheld(settings, page["identity"])
    yield from render_identity.uncollected_long(settings, page["identity"])
    yield from render_online.needs(settings, page["online"])
    if needs["approvals"]:
        yield settings.text("reports.approvals", count=len(needs["approvals"]))
        yield from approvals(settings, needs["approvals"])
    late = sum(item["overdue"] for item in needs["approvals"])
    if late:
        yield settings.text("reports.approvals_overdue", count=late)
    if page["running"] is None:
        yield from render_identity.undelivered(settings, page["identity"])
        yield from render_identity.undelivered(settings, page["pmh"])
        yield from render_identity.undelivered(settings, page["disclosure"])
    yield from render_identity.left_as_laid(settings, page["identity"])
    if not needs["held"]:
        return
    for item in needs["held"]:
        number = f"{settings.text('reports.reception')} {item['reception']}"
        told = [number, item["sender"], item["file"], age(settings, item["age_seconds"])]
        yield from packed(words.harmless(one) for one in told)
        title = meaning(settings, catalogue.reasons[item["code"]])["title"]
        yield f"  {item['code']} {title}"
    more = needs["held_total"] - len(needs["held"])
    if more:
        yield settings.text("reports.more", count=more)


def _failed(settings: Settings, jobs: Sequence[Page]) -> Iterator[str]:
    """What failed, when, why, and what next."""
    failed = []
    for job in jobs:
        where = {"job": named(job["job"], job["title"]), "at": job["finished_at"]}
        line = settings.text("reports.failed_job", exit=job["exit"], **where)
        failed.append({**job, "line": line})
    for lines, cause in causes(failed):
        yield from lines
        yield from reason(settings, cause)
        if cause["exit"] < Exit.INTEGRITY:
            yield f"  {settings.text('reports.failed_retry', job=cause['job'])}"


def _hosts(settings: Settings, faults: Sequence[Page]) -> Iterator[str]:
    """Which partner's host cannot be served, since when, why, and what next."""
    for fault in faults:
        yield settings.text("reports.host_fault", sender=fault["sender"], at=fault["since"])
        yield from reason(settings, fault)


def _usage(settings: Settings, needs: Page) -> Iterator[str]:
    """Lines of 資格確認実績ログ and packages of them that wait for a person."""
    counts = {**needs, "held": sum(item["rows"] for item in needs["held"])}
    for name in ("held", "undelivered", "uncollected_long"):
        if counts[name]:
            yield settings.text(f"reports.usage.{name}", count=counts[name])


def _waiting(settings: Settings, catalogue: Catalogue, page: Page) -> Iterator[RenderableType]:
    found = page["waiting"]
    unsigned = {item["approval"] for item in page["needs_you"]["approvals"]}
    signed = [item for item in found["approvals"] if item["approval"] not in unsigned]
    for item in signed:
        name = settings.text("approvals.line", approval=item["approval"])
        yield f"{name}: {used(settings, item['next_run'])}"
    for item in found["missing"]:
        where = {"sender": item["sender"], "format": format_name(catalogue, item["format"])}
        yield settings.text("reports.missing_number", key=f"{item['sequence']:06d}", **where)
    for item in found["inboxes"]:
        if item["files"]:
            yield settings.text("reports.in_inbox", sender=item["sender"], count=item["files"])
        if item["unreadable"]:
            yield settings.text("reports.inbox_unreadable", sender=item["sender"])
        yield from render_inboxes.aside(settings, item)
    if found["unfinished"]:
        yield settings.text("reports.unfinished", count=found["unfinished"])
    yield from _withdrawals(settings, found["withdrawals"])
    failed = {item["job"] for item in page["needs_you"]["failed_jobs"]}
    due = [item for item in found["due_jobs"] if item["job"] not in failed]
    for item in due:
        if item["missed"]:
            name = named(item["job"], item["title"])
            yield settings.text("reports.due_job", job=name, at=item["due"])
    never = sum(not item["missed"] for item in due)
    if never and not failed:  # else what failed comes first
        yield settings.text("reports.never_run", count=never)
    yield from render_identity.waiting(settings, page["identity"])
    yield from render_online.waiting(settings, page["online"])


def _withdrawals(settings: Settings, found: Page) -> Iterator[RenderableType]:
    if not found["members"]:
        return
    run = found["next_run"]
    where = {"count": found["members"], "age": age(settings, found["age_seconds"])}
    yield settings.text("reports.withdrawals_open", **where)
    key = "reports.withdrawals_never" if run is None else "reports.withdrawals_next"
    yield f"  {settings.text(key, **({} if run is None else {'job': run['job'], 'at': run['at']}))}"


def reception(settings: Settings, catalogue: Catalogue, found: Page) -> Iterator[RenderableType]:
    """One reception: what, why, what to do, counts, steps."""
    outcome = settings.text(f"reports.outcome.{found['outcome']}")
    shown: dict[str, object] = {
        "reception": str(found["reception"]),
        "outcome": outcome,
        "sender": f"{found['sender']} / {found['door']}",
        "file": found["file"],
        "format": format_name(catalogue, found["format"]),
        "received_at": found["received_at"],
        "lines": found["lines"],
    }
    if found["code"]:
        why = found["why"]
        shown |= {"code": f"{found['code']} {why['title']}", "why": why["text"]}
        shown |= {"action": why["action"]}
    shown |= {name: found[name] for name in ("reason", "first") if found[name]}
    if found["remarks"]:
        told = {code: meaning(settings, catalogue.reasons[code]) for code in found["remarks"]}
        shown["remarks"] = "  ".join(f"{code} {said['title']}" for code, said in told.items())
    labels = {name: settings.text(f"reports.{name}") for name in shown}
    for name, value in shown.items():
        yield f"{labels[name]}: {value}"
    if found["original_erased"]:
        yield settings.text("reports.erased")
    yield ""
    yield f"■ {settings.text('reports.ladder')}"
    for rung in found["ladder"]:
        state = settings.text(f"reports.rung_state.{rung['state']}")
        name = settings.text(f"reports.rung.{rung['rung']}")
        yield f"{name}  {state}  {rung['at'] or ''}".rstrip()
    if found["expected_sequence"]:
        yield settings.text("reports.expected_sequence", key=f"{found['expected_sequence']:06d}")
    yield ""
    yield f"■ {settings.text('reports.steps')}"
    yield from packed(
        f"{settings.text(f'reports.step.{name}')}"
        f" {settings.text('reports.done' if done else 'reports.pending')}"
        for name, done in found["steps"].items()
    )
    if found["insurers"]:
        yield ""
        yield insurers(settings, found["insurers"], registers=found["registers"])
    if found["findings"]:
        yield f"■ {settings.text('reports.findings')}"
        yield _findings(settings, catalogue, found["findings"])
    if found["corrected"]:
        yield f"■ {settings.text('reports.corrected')}"
        yield from _corrected(settings, found["corrected"])
    if found["identity"]:
        yield f"■ {settings.text('reports.identity')}"
        yield from render_identity.asked_by(settings, found["identity"])
    yield from _outbox(settings, found)


def _corrected(settings: Settings, found: Page) -> Iterator[str]:
    """The first reception's lines as they are now, and the files that mended some."""
    names = ("received", "accepted", "rejected", "corrected")
    sums = {name: found[name] for name in names}
    yield settings.text("reports.corrected.totals", reception=found["root"], **sums)
    for item in found["files"]:
        yield settings.text(
            "reports.corrected.file",
            reception=item["reception"],
            original=item["original"],
            count=item["lines"],
        )


def _outbox(settings: Settings, found: Page) -> Iterator[str]:
    """What was laid out for a reception, and what could not be."""
    if found["without_key"]:
        yield settings.text("reports.without_key", insurer=", ".join(found["without_key"]))
    if found["laid_out"]:
        yield f"■ {settings.text('reports.laid_out')}"
        for item in found["laid_out"]:
            yield f"{settings.text('reports.kind.' + item['kind'].split(':')[0])}: {item['file']}"


def format_name(catalogue: Catalogue, name: str) -> str:
    """A format's name with its title."""
    form = catalogue.formats.get(name)  # a site may have dropped it since
    return named(name, form.title if form else "")


def _findings(settings: Settings, catalogue: Catalogue, found: Sequence[Page]) -> RenderableType:
    names = ("insurer", "code", "why", "lines")
    body = [
        [
            whose(item),
            item["code"],
            meaning(settings, catalogue.reasons[item["code"]])["title"],
            item["lines"],
        ]
        for item in found
    ]
    headings = [settings.text(f"reports.{name}") for name in names]
    return output.table(headings, body, numbers=[3])

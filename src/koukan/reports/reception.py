"""One reception, as an operator needs to see it."""

from __future__ import annotations

from typing import Any

from koukan.ledger import Reception
from koukan.ledger.corrections import accepted_of, correction, restated
from koukan.reports.identity import asked_by
from koukan.reports.ladder import ladder_of
from koukan.reports.source import Source, local
from koukan.reports.summary import registering

# What a reception has behind it when it is in a state.
REACHED = {
    "picked_up": ("pick_up",),
    "gated": ("pick_up", "gate"),
    "admitted": ("pick_up", "gate", "admit"),
}
# by group, as the job has them
TOGETHER = ("validate", "link", "commit", "ask", "split", "confirm", "issue")


def reception(source: Source, number: int) -> dict[str, Any]:
    """Everything about one reception but its content.

    Raises:
        UsageError: there is no such reception.
    """
    found = source.ledger.reception(number)
    return {
        "reception": found.number,
        "job": found.job,
        "format": found.format,
        "sender": found.sender,
        "door": found.door,
        "file": found.file_name,
        "sequence": found.sequence,
        "bytes": found.length,
        "lines": found.rows,
        "sha256": found.sha256,
        "received_at": local(found.received_at),
        "state": found.state,
        "outcome": found.outcome or "open",
        "code": found.code,
        "line": found.line or None,
        "reason": found.reason,
        "remarks": list(found.remarks),
        "first": found.first,
        "group": found.group_number,
        "original_erased": found.original_erased,
        "ladder": [
            {"rung": rung.name, "state": rung.state, "at": rung.at and local(rung.at)}
            for rung in ladder_of(source.jobs, found, source.clock())
        ],
        "expected_sequence": found.expects,
        "steps": steps(source, found),
        "registers": found.format in registering(source),
        "insurers": [vars(item) for item in source.ledger.counts(number)],
        "findings": [
            {"insurer": insurer, "code": code, "lines": lines}
            for insurer, code, lines in source.ledger.findings(number)
        ],
        "corrected": corrected(source, number),
        "without_key": without_key(source, found),
        "laid_out": [
            {"kind": row.kind, "file": row.name, "lines": row.lines}
            for row in source.ledger.laid_out(number)
        ],
        "identity": asked_by(source, number),
    }


def corrected(source: Source, number: int) -> dict[str, Any] | None:
    """What mended a reception, or what it mends itself; None when it has to do with neither.

    Returns:
        {"original": 受付番号 that the file names, or None,
         "root": the first reception, "received", "accepted", "rejected", "corrected": its lines,
         "files": [{"reception", "original", "lines"}] that mended it, in the order of their groups}
    """
    own = correction(source.ledger, number)
    root = own.root if own else number
    files = accepted_of(source.ledger, root)
    if own is None and not files:
        return None
    return {
        "original": own.original if own else None,
        "root": root,
        **restated(source.ledger, root),
        "files": [
            {"reception": item.reception, "original": item.original, "lines": item.mended}
            for item in files
        ],
    }


def without_key(source: Source, found: Reception) -> list[str]:
    """Insurers with rejected lines that get no package of them, having no key."""
    if found.format not in registering(source) or found.outcome != "accepted":
        return []
    hindrance = source.site.hindrances()
    return [
        item.insurer
        for item in source.ledger.counts(found.number)
        if item.rejected and hindrance(item.insurer, found.sender) is not None
    ]


def steps(source: Source, found: Reception) -> dict[str, bool]:
    """Step -> done. A step that the outcome made needless is not listed."""
    told = found.outcome is not None and found.is_told
    job = source.jobs.get(found.job)  # a site may have dropped it since
    grouped = [step for step in job.steps if step in TOGETHER] if job else ["validate"]
    every = (*REACHED["admitted"], *grouped, "acknowledge")
    if found.state == "closed":
        names = every if found.outcome == "accepted" else REACHED["gated"]
        if found.outcome == "refused" and found.group_number is not None:
            names = (*REACHED["admitted"], "validate")  # too many rejects
        return {**dict.fromkeys(names, True), "acknowledge": told}
    reached = set(REACHED[found.state])
    group = found.group_number
    if group is not None and source.ledger.group(group).state == "written":
        reached |= {"validate", "link"}
    done = {name: name in reached for name in every}
    return {**done, "acknowledge": told} if found.outcome == "held" else done

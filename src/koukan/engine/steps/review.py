"""review: what the groups since the last review left overlapping is told to the insurers concerned.

In a job of its own, behind the night. Both sides of an overlap are told that there is another
spell, never whose nor when. A review is named before it looks and done when every notice is laid
out; killed in between, it is done again: the same groups give the same notices, which are nothing
that the history does not hold, so they are not kept beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.overlapping import overlapping
from koukan.flows.registration import FORMATS
from koukan.flows.results import PREFIXES, SPELL_NOTICE
from koukan.ledger import reviews
from koukan.ledger.reviews import Notice, Review
from koukan.rules.notices import lines_of, notice
from koukan.rules.overlaps import SAME
from koukan.sites import Job
from koukan.sites.schedule import JST


def run(centre: Centre, job: Job) -> None:
    """Finish the review that a killed run left, then look at the groups behind it."""
    for review in reviews.reviews(centre.ledger, state="open"):
        conclude(centre, job, review)
    groups = reviews.unreviewed(centre.ledger, FORMATS)
    if groups:
        day = centre.clock().astimezone(JST).strftime("%Y%m%d")
        review = reviews.begin(centre.ledger, groups, day)
        centre.observe("review named", step="review")
        conclude(centre, job, review)


def conclude(centre: Centre, job: Job, review: Review) -> None:
    """Look, lay out, let the ledger know."""
    with centre.log.operation("review", job=job.name) as operation:
        found = overlapping(centre, reviews.groups_of(centre.ledger, review, FORMATS))
        told = list(lay_out(centre, review, found))
        with centre.ledger.begin() as transaction:
            for item in told:
                reviews.put_notice(transaction, item)
            reviews.finish(transaction, review.number)
        operation.note(files=sum(1 for item in told if item.name), rows=found.height)
    centre.observe("reviewed", step="review")


def lay_out(centre: Centre, review: Review, found: pl.DataFrame) -> Iterator[Notice]:
    """A notice for each insurer with any overlap: there are some thousands of them at most."""
    form = centre.catalogue.formats[SPELL_NOTICE]
    for insurer in found["insurer_code"].unique().sort().to_list():
        lines = lines_of(found, insurer)
        same = lines.filter(pl.col("code") == SAME).height
        sender = speaker_for(centre, insurer)
        if sender is None:
            yield Notice(review.number, insurer, "", "", "", same, lines.height - same)
            continue
        name = f"{PREFIXES[SPELL_NOTICE]}_{insurer}_{review.number:06d}.csv"
        control = {
            "insurer_code": insurer,
            "review_number": f"{review.number:06d}",
            "creation_date": review.day,
        }
        content = notice(form, centre.catalogue.reasons, control, lines)
        digest = hashlib.sha256(content).hexdigest()
        centre.outbox(sender).put(name, content, digest)
        centre.observe("notice laid out", step="review")
        yield Notice(review.number, insurer, sender, name, digest, same, lines.height - same)


def speaker_for(centre: Centre, insurer: str) -> str | None:
    """Who sent the insurer's last file, or else anybody who may speak for it; None: nobody may."""
    allowed = [one.name for one in centre.site.senders if insurer in one.insurers]
    last = reviews.sender_of(centre.ledger, insurer, FORMATS)
    return last if last in allowed else next(iter(allowed), None)

"""export: what changed in the 資格履歴 since the last push goes to オンライン資格確認等システム.

Flow 1-(2). A push is named, with its span of groups, before anything is written; then it is
rendered piece by piece straight into the file that is encrypted to the partner's key, signed and
laid out. Of whom it told stays in its roll, without any item. Killed anywhere, the next run does it
again under the same name: what it says is what the history says by then. Nothing but the items of
the format can be in it, and nothing comes back but the 処理結果電文.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from koukan.codecs import render
from koukan.codecs.gate import TOTAL_MODULUS
from koukan.engine import online as pushing
from koukan.engine import rolls
from koukan.engine.centre import Centre
from koukan.engine.leases import lease
from koukan.engine.matching import Matched, match
from koukan.engine.online import Share
from koukan.engine.packages import PACKAGE, lay_sealed
from koukan.engine.reading import undisturbed
from koukan.errors import DefinitionError, UsageError
from koukan.flows import online
from koukan.flows.registration import HISTORY
from koukan.formats.model import Format
from koukan.keys.package import recipient
from koukan.ledger import online as pushes
from koukan.ledger.online import Push
from koukan.sites import Job, Sender
from koukan.sites.schedule import JST

COUNTED = ("persons", "deleted", "rows", "total")
BY_HAND = "export_online"  # as which job an operator's push stands in the log


def run(centre: Centre, job: Job) -> None:
    """Lay out what a killed run left, then a push of all that is new."""
    partner = centre.site.partner(online.SYSTEM)
    if partner is None:
        return
    finish(centre, job.name, partner)
    since, until = pushes.told_until(centre.ledger), pushes.committed_until(centre.ledger)
    if pushing.anything(centre, since, until):
        begin(centre, job.name, partner, "delta", (since, until))


def finish(centre: Centre, job: str, partner: Sender) -> None:
    """The rest of what a killed run left."""
    for push in pushes.all_pushes(centre.ledger):
        if push.state == pushes.UNDER_WAY:
            conclude(centre, job, partner, push)
    settle_refusals(centre)
    pushing.tidy(centre)


def begin(
    centre: Centre, job: str, partner: Sender, kind: str, span: tuple[int, int], *, again: int = 0
) -> Push:
    """Name a push of the groups in (since, until] and lay it out.

    Args:
        again: all of whom pushes from this one on told are in it, too; 0: of none.

    Raises:
        SecretError: the partner has no key in site.toml; no push is named.
        DefinitionError: the format has an item that the 資格履歴 does not have; neither is one.
    """
    recipient(partner.package_key, partner.name)
    require_items(centre)
    day = centre.clock().astimezone(JST).strftime("%Y%m%d")
    push = pushes.begin(centre.ledger, kind, span, partner=partner.name, day=day, again=again)
    centre.observe("push named", step="export")
    return conclude(centre, job, partner, push)


def require_items(centre: Centre) -> None:
    """Only what the 資格履歴 has can be sent: it has no 個人番号, token or 機関別符号."""
    form = centre.catalogue.formats[online.EXPORT]
    known = centre.tables[HISTORY].definition.sections
    for section in online.sections(form):
        for item in online.items(form, section):
            if item not in known.get(section, ()):
                raise DefinitionError("online.item", field=item, format=form.name)


def conclude(centre: Centre, job: str, partner: Sender, push: Push) -> Push:
    """Render, lay out, let the ledger know, destroy."""
    with centre.log.operation("export", job=job) as operation, undisturbed(centre):
        rolls.start(centre, push.sequence)
        persons, gone = pushing.touched(centre, push)
        counts = Counter(dict.fromkeys(COUNTED, 0))
        pieces = rendered(centre, push, pushing.shares(centre, push, persons, gone), counts)
        values = lay_out(centre, partner, push, pieces)
        del counts["total"]
        centre.observe("push laid out", step="export")
        with centre.ledger.begin() as transaction:
            told = {**values, **counts, "laid_at": centre.now(), "state": "laid"}
            pushes.change(transaction, push.sequence, **told)
            pushes.tell_again(transaction, push)
        operation.note(rows=counts["rows"])
    settle_refusals(centre)
    pushing.tidy(centre)
    centre.observe("push settled", step="export")
    return next(one for one in pushes.all_pushes(centre.ledger) if one.sequence == push.sequence)


def rendered(
    centre: Centre, push: Push, shares: Iterable[Share], counts: Counter[str]
) -> Iterator[bytes]:
    """The push as it is before it is encrypted; counts what is in it."""
    form = centre.catalogue.formats[online.EXPORT]
    yield head(form, push)
    for done, piece in enumerate(centre.workers.map(pushing.write, shares), 1):
        for name in COUNTED:
            counts[name] += getattr(piece, name)
        centre.observe("rendered", step="export", done=done)
        yield from piece.parts
    yield end(form, counts)


def settle_refusals(centre: Centre) -> None:
    """Who was refused and is in a later push is open no more; whether it was taken, that one tells.

    Done before every push, too, so that nothing is lost where a run was killed behind the last one.
    """
    for push in pushes.all_pushes(centre.ledger):
        if push.open_refused:
            left = len(rolls.open_refusals(centre, push, rolls.answers(centre, push))[0])
            if left != push.open_refused:
                with centre.ledger.begin() as transaction:
                    pushes.change(transaction, push.sequence, open_refused=left)


def push_all(centre: Centre) -> Push:
    """Push everybody, for a receiver that begins with an empty table.

    Raises:
        UsageError: the site has no such partner.
        LeaseHeld: a job is running.
    """
    with _alone(centre) as partner:
        until = pushes.committed_until(centre.ledger)
        return begin(centre, BY_HAND, partner, "full", (0, until), again=1)


def push_again(centre: Centre, since: int) -> Push:
    """Push all persons of whom a push or any later one told, as they are now.

    Raises:
        UsageError: there is no such push, or the site has no such partner.
        LeaseHeld: a job is running.
    """
    with _alone(centre) as partner:
        again = [one for one in pushes.all_pushes(centre.ledger) if one.sequence >= since]
        if not again or again[0].sequence != since:
            raise UsageError("online.unknown")
        until = pushes.committed_until(centre.ledger)
        kind = "full" if any(one.kind == "full" for one in again) else "delta"
        first = min(one.since_group for one in again)
        return begin(centre, BY_HAND, partner, kind, (first, until), again=since)


def push_refused(centre: Centre) -> Push:
    """Push whom the receiver refused and no later push has told of, with all that is new.

    Raises:
        UsageError: nobody is, or the site has no such partner.
        LeaseHeld: a job is running.
    """
    with _alone(centre) as partner:
        found = [
            rolls.open_refusals(centre, push, rolls.answers(centre, push))[0]
            for push in pushes.all_pushes(centre.ledger)
            if push.open_refused
        ]
        if not found:
            raise UsageError("online.none_refused")
        rolls.queue(centre, np.unique(np.concatenate(found)))
        centre.observe("queued", step="export")
        since, until = pushes.told_until(centre.ledger), pushes.committed_until(centre.ledger)
        return begin(centre, BY_HAND, partner, "delta", (since, until))


def reconcile(centre: Centre, *, repair: bool) -> Matched:
    """Hold what the receiver must have against the history; with `repair` the next push tells of
    whoever differs.

    Raises:
        UsageError: nothing was pushed, or not all of it can be replayed.
        LeaseHeld: a job is running.
    """
    with _alone(centre), centre.log.operation("reconcile", job=BY_HAND) as operation:
        found = match(centre)
        if repair and len(found.links):
            rolls.queue(centre, found.links)
            centre.observe("queued", step="export")
        operation.note(rows=len(found.links))
    return found


@contextmanager
def _alone(centre: Centre) -> Iterator[Sender]:
    """The partner, under the jobs' lease, with nothing of an earlier push under way."""
    partner = centre.site.partner(online.SYSTEM)
    if partner is None:
        raise UsageError("online.no_partner")
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        finish(centre, BY_HAND, partner)
        yield partner


def head(form: Format, push: Push) -> bytes:
    """The control record."""
    values = {
        "file_sequence": f"{push.sequence:06d}",
        "creation_date": push.day,
        "export_class": online.FULL if push.kind == "full" else online.DELTA,
    }
    return render.control(form, values)


def end(form: Format, counts: Mapping[str, int]) -> bytes:
    """The end record."""
    values = {
        "export_record_count": f"{counts['rows']:010d}",
        "person_count": f"{counts['persons']:010d}",
        "control_total": f"{counts['total'] % TOTAL_MODULUS:018d}",
    }
    return render.end(form, values)


def lay_out(
    centre: Centre, partner: Sender, push: Push, pieces: Iterator[bytes]
) -> dict[str, object]:
    """Encrypted to the partner's key into its outbox, with a signature beside it."""
    folder = centre.outbox(partner.name).folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / (online.push_name(push.sequence) + PACKAGE)
    keys = [recipient(partner.package_key, partner.name)]
    return {"file_sha512": lay_sealed(target, pieces, keys, centre.signer)[0]}

"""Verify pushes: every roll is there and whole, and its answers are those of the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from koukan.engine import artefacts, rolls
from koukan.engine.centre import Centre
from koukan.engine.problems import Problem, differing, problem
from koukan.errors import IntegrityError, SecretError
from koukan.flows import online
from koukan.ledger import online as pushes
from koukan.ledger.online import Push
from koukan.rules.responses import counted

GONE = "-"  # what does not open, or is not there


def problems(centre: Centre) -> Iterator[Problem]:
    """What contradicts the ledger, of pushes since the last answered one of everybody."""
    known = [one for one in pushes.all_pushes(centre.ledger) if one.file_sha512]
    first = max((one.sequence for one in known if one.kind == "full" and one.answered), default=0)
    for push in known:
        if push.sequence < first:
            continue
        where = {"file": online.push_name(push.sequence)}
        length, answers = found(centre, push)
        if length != push.persons:
            yield problem("online.verify_roll", **where, known=differing(push.persons, length))
        elif answers != (told := f"{push.accepted}/{push.refused}"):
            yield problem("online.verify_answers", **where, known=differing(told, answers))


def found(centre: Centre, push: Push) -> tuple[int | str, str]:
    """How many persons the roll has, and how many of them are answered for."""
    try:
        pieces = rolls.names(centre, push.sequence) if rolls.holds(centre, push.sequence) else []
        length = sum(len(rolls.piece(centre, push.sequence, name)[0]) for name in pieces)
        accepted, refused = counted(rolls.answers(centre, push))
    except (IntegrityError, SecretError) as error:
        artefacts.require_damage(error)
        return GONE, GONE
    return length, f"{accepted}/{refused}"

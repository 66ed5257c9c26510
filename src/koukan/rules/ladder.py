"""The ladder of receipts: how far a file has come, rung by rung, and when it is due to climb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# 受領: we have it; 形式: it is admitted; 明細: its lines are judged; 反映: the tables have them.
RUNGS = ("received", "form", "lines", "applied")
DONE, PLANNED, HELD, ENDED, NEEDLESS = "done", "planned", "held", "ended", "needless"


class Rung(NamedTuple):
    """One rung; `at` is when it was reached, or for one that is not, when it is due, if known."""

    name: str
    state: str
    at: str | None


def ladder(
    reached: Sequence[str | None], outcome: str | None, closed: str | None, due: str | None
) -> tuple[Rung, ...]:
    """The rungs of a file.

    Args:
        reached: when it came to each rung but the last, as far as it has.
        outcome: accepted, refused, duplicate, held; None while it is under way.
        closed: when the outcome became final.
        due: when the next run may take it further; None: that is for a person to say.
    """
    if outcome == "accepted":
        return tuple(
            Rung(name, DONE, at or closed)
            for name, at in zip(RUNGS, [*reached, closed], strict=True)
        )
    height = next((place for place, at in enumerate(reached) if at is None), len(reached))
    rungs = [Rung(name, DONE, at) for name, at in zip(RUNGS, reached[:height], strict=False)]
    rest = RUNGS[height:]
    if outcome in ("refused", "duplicate"):
        rungs.append(Rung(rest[0], ENDED, closed))
        return (*rungs, *(Rung(name, NEEDLESS, None) for name in rest[1:]))
    if outcome == "held":
        rungs.append(Rung(rest[0], HELD, due))
        rest = rest[1:]
    return (*rungs, *(Rung(name, PLANNED, due) for name in rest))

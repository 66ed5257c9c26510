"""Pushes to オンライン資格確認等システム as operators see them: answered, refused, overdue."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from koukan.errors import Exit
from koukan.ledger.online import UNDER_WAY, Push, all_answers, all_pushes
from koukan.reports.source import Source, age, local


def online(source: Source) -> dict[str, Any]:
    """What is open.

    Returns:
        {"waiting": pushes whose answer has to come yet, "overdue": of them for too long,
         "unanswered": persons of them, "refused": persons who were refused and of whom no later
         push has told, "refused_pushes": in how many, "age_seconds": of the oldest that waits}
    """
    found = all_pushes(source.ledger)
    waits = [push for push in found if push.waits]
    return {
        "waiting": len(waits),
        "overdue": sum(overdue(source, push) for push in waits),
        "unanswered": sum(push.unanswered for push in waits),
        "refused": sum(push.open_refused for push in found),
        "refused_pushes": sum(push.open_refused > 0 for push in found),
        "age_seconds": age(source, str(waits[0].laid_at)) if waits else 0,
    }


def listed(source: Source) -> list[dict[str, Any]]:
    """Every push with all that is known of it."""
    answers: dict[int, dict[str, int]] = {}
    for one in all_answers(source.ledger):
        sums = answers.setdefault(one.push, {"answers": 0, "held": 0, "duplicate": 0, "late": 0})
        sums["answers"] += 1
        for name in ("held", "duplicate", "late"):
            sums[name] += getattr(one, name)
    return [
        _listed(source, push, answers.get(push.sequence, {})) for push in all_pushes(source.ledger)
    ]


def _listed(source: Source, push: Push, sums: dict[str, int]) -> dict[str, Any]:
    late = push.waits and overdue(source, push)
    return {
        **vars(push),
        "unanswered": push.unanswered,
        "shown": shown(push, late=late),
        "overdue": late,
        "due_at": None if push.laid_at is None else local(allowed_until(source, push).isoformat()),
        "answers": sums.get("answers", 0),
        "held": sums.get("held", 0),
        "duplicate": sums.get("duplicate", 0),
        "late": sums.get("late", 0),
    }


def shown(push: Push, *, late: bool) -> str:
    """A word for how a push stands."""
    if push.state == UNDER_WAY:
        return UNDER_WAY
    if push.told_again_by is not None and not push.answered:
        return "told_again"
    return "overdue" if late else push.state


def allowed_until(source: Source, push: Push) -> datetime:
    """Until when the answer to a push may take."""
    return datetime.fromisoformat(str(push.laid_at)) + timedelta(
        days=source.site.online.overdue_days
    )


def overdue(source: Source, push: Push) -> bool:
    """Whether the answer to a push that waits for it has taken too long."""
    return allowed_until(source, push) < source.clock()


def clock_online(source: Source) -> Exit:
    """The exit code that open pushes call for."""
    found = online(source)
    if found["overdue"]:
        return Exit.OVERDUE
    return Exit.HELD if found["refused"] else Exit.DONE

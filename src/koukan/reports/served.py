"""Answers to systems that asked as operators see them: those that cannot be laid out, and why."""

from __future__ import annotations

from typing import Any

from koukan.ledger.served import Book
from koukan.reports.packages import PLACE_TAKEN, SHOWN
from koukan.reports.source import Source, age, local

NO_KEY = "no_key_of_system"


def answers(source: Source, book: Book) -> dict[str, Any]:
    """{"undelivered": at most 20, each with its reason; "undelivered_total"}"""
    keys = {sender.name: sender.package_key for sender in source.site.senders}
    built = book.answers(source.ledger, states=["built"])
    return {
        "undelivered_total": len(built),
        "undelivered": [
            {
                "package": item.name,
                "sender": item.sender,
                "built_at": local(item.built_at),
                "age_seconds": age(source, item.built_at),
                "reason": PLACE_TAKEN if keys.get(item.sender) else NO_KEY,
            }
            for item in built[:SHOWN]
        ],
    }

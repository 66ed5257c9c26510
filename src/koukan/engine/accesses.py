"""Who looked at a person by a right of one's own, and when: read from the operation log.

The log names nobody. A look leaves in it a sign of whom it was about: derived with the centre's
own key from 保険者コード and 被保険者枝番 as they were asked by, so that without that key no sign
can be made for anybody, and with it a person's looks can be told when the person asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

from koukan.engine.centre import Centre
from koukan.engine.history import Member
from koukan.keys.secret import derive
from koukan.sites.schedule import JST

SIGN = 32  # hexadecimal digits
LOOK = "look_"  # how the names of these operations begin
RECORD = ("look_record",)  # at 情報提供等記録


class Access(NamedTuple):
    """One look: when (JST, to the second), who, what was looked at, and of which insurer."""

    at: str
    actor: str
    operation: str
    insurer: str


def sign_of(centre: Centre, who: Member) -> str:
    """The sign of a member."""
    key = centre.keyring.purpose_key("signing")
    return derive(key, "access", who.insurer, who.member_id).hex()[:SIGN]


def of_person(centre: Centre, members: Collection[Member]) -> list[Access]:
    """Looks at the person whom insurers know by these numbers, the oldest first."""
    signs = {sign_of(centre, who) for who in members}
    return [_access(entry) for entry in _looks(centre) if entry["where"].get("sign") in signs]


def of_records(centre: Centre, since: date, until: date) -> list[Access]:
    """Looks at 情報提供等記録 from one day to another, both inclusive, JST."""
    found = (_access(entry) for entry in _looks(centre) if entry["operation"] in RECORD)
    days = since.isoformat(), until.isoformat()
    return [one for one in found if days[0] <= one.at[:10] <= days[1]]


def _looks(centre: Centre) -> Iterator[dict[str, Any]]:
    """Looks that were allowed."""
    marker = f'"operation":"{LOOK}'.encode()
    for path in sorted(centre.folder("log").glob("operations-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                if marker in line and b'"kind":"done"' in line and line.endswith(b"\n"):
                    yield json.loads(line)


def _access(entry: dict[str, Any]) -> Access:
    at = datetime.fromisoformat(entry["at"]).astimezone(JST)
    where = entry["where"]
    said = (entry["actor"], entry["operation"], str(where.get("insurer", "")))
    return Access(at.strftime("%Y-%m-%d %H:%M:%S"), *said)

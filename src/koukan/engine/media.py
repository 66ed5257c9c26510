"""媒体管理簿: which media were approved, what was copied on to them, when each was destroyed.

Two copies leave on a medium: of the 資格履歴 the list of persons for a reissue, and of
情報提供等記録 those that 個人情報保護委員会 asks for. Each takes a system administrator's signature
and a second person's, a medium that was approved before, and a reason; both name members as
insurers do, without 個人番号 or code. The centre signs every entry.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.engine import codes as events
from koukan.engine.centre import Centre
from koukan.engine.code_states import members_of
from koukan.engine.people import people_of
from koukan.engine.reading import steady
from koukan.errors import UsageError
from koukan.flows.codes import CODES
from koukan.ledger import code_lists
from koukan.ledger.code_lists import Medium
from koukan.rules.linkage import SET
from koukan.sites import Person
from koukan.tables import encrypted

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")
REASON = 200  # characters
LIST = "reissue_list"  # what was copied


def approve(centre: Centre, label: str, person: Person) -> None:
    """Enter a medium that may be used from now on.

    Raises:
        UsageError: its label is not written so, or was used before.
    """
    require_label(label)
    if any(one.label == label for one in code_lists.all_media(centre.ledger)):
        raise UsageError("media.twice")
    said = {"what": "medium", "label": label, "approved_by": person.name}
    with centre.log.operation("approve_medium"), centre.ledger.begin() as transaction:
        now = centre.now()
        values = {"label": label, "approved_by": person.name, "approved_at": now}
        record = signed(centre, {**said, "approved_at": now})
        code_lists.put_medium(transaction, {**values, "record": record})


def destroyed(centre: Centre, label: str, person: Person) -> None:
    """Note that a medium was destroyed; nothing goes on to it any more.

    Raises:
        UsageError: it is not in the ledger, or was destroyed before.
    """
    usable(centre, label)
    with centre.log.operation("destroy_medium"), centre.ledger.begin() as transaction:
        now = centre.now()
        said = {"what": "medium_destroyed", "label": label, "destroyed_by": person.name}
        record = signed(centre, {**said, "destroyed_at": now})
        values = {"destroyed_by": person.name, "destroyed_at": now, "destruction": record}
        code_lists.set_medium(transaction, label, **values)


def usable(centre: Centre, label: str) -> Medium:
    """A medium that was approved and is not destroyed. Raises UsageError for any other."""
    require_label(label)
    for one in code_lists.all_media(centre.ledger):
        if one.label == label:
            if one.destroyed_at is not None:
                raise UsageError("media.destroyed")
            return one
    raise UsageError("media.unknown")


def require_label(label: str) -> None:
    if not LABEL.fullmatch(label):
        raise UsageError("media.label")


def require_reason(reason: str) -> None:
    """Raises UsageError for one that is empty, too long, or might name somebody by a number."""
    if not reason.strip() or len(reason) > REASON or re.search(r"[0-9]{8}", reason):
        raise UsageError("media.reason")


class Copying(NamedTuple):
    """What is to be copied.

    Args:
        label: of the medium.
        insurers: only their members; none: everybody's.
    """

    label: str
    target: Path
    reason: str
    insurers: tuple[str, ...]


def require(centre: Centre, copying: Copying) -> None:
    """Whatever can be wrong with it before anybody signs.

    Raises:
        UsageError: the medium may not be used, the file is there already, or another mistake.
    """
    usable(centre, copying.label)
    require_reason(copying.reason)
    known = {one.code for one in centre.site.insurers}
    if any(code not in known for code in copying.insurers):
        raise UsageError("codes.no_insurer")
    if copying.target.exists() or not copying.target.absolute().parent.is_dir():
        raise UsageError("history.output_place", path=copying.target.name)


def require_two(persons: Sequence[Person]) -> None:
    """Raises UsageError where one person has signed for both."""
    first, second = persons
    if first.name == second.name:
        raise UsageError("media.same_person", actor=first.name)


def extract(centre: Centre, copying: Copying, persons: Sequence[Person]) -> int:
    """Write the list of whose codes are set on to a medium; how many lines. Logged before it is.

    Args:
        persons: the system administrator who permits it, and the second.

    Raises:
        UsageError: see `require`, or one person has signed for both.
    """
    require(centre, copying)
    require_two(persons)
    with centre.log.operation("extract_list") as operation:
        found = members_with_codes(centre, copying.insurers)
        content = b"".join(f"{line}\n".encode("ascii") for line in found)
        write(centre, copying, persons, Content(LIST, len(found), content))
        operation.note(rows=len(found))
    return len(found)


class Content(NamedTuple):
    """What goes on to a medium: of which kind it is, and how many rows it has."""

    what: str
    rows: int
    content: bytes


def write(centre: Centre, copying: Copying, persons: Sequence[Person], copied: Content) -> None:
    """A copy on to its medium, which is entered first: no copy is ever in no ledger."""
    first, second = persons
    values: dict[str, object] = {
        "number": code_lists.next_copy(centre.ledger),
        "label": copying.label,
        "what": copied.what,
        "rows": copied.rows,
        "sha256": hashlib.sha256(copied.content).hexdigest(),
        "reason": copying.reason,
        "permitted_by": first.name,
        "second": second.name,
        "copied_at": centre.now(),
    }
    with centre.ledger.begin() as transaction:
        code_lists.put_copy(transaction, {**values, "record": signed(centre, values)})
    durable.write_outside(copying.target.absolute(), copied.content)


@steady
def members_with_codes(centre: Centre, insurers: Collection[str]) -> pl.Series:
    """Lines of the list: one for each person, by a member of these insurers, whose code is set."""
    table, columns = centre.tables[CODES], ("link_number", "event")
    files = centre.snapshot(CODES).files()
    rows = [table.open_file(file).filter(pl.col("event") == SET).select(columns) for file in files]
    empty = pl.DataFrame(schema={"link_number": pl.Int64, "event": pl.String})
    links = pl.concat([empty, *encrypted.collect_all(rows, path=table.folder)])["link_number"]
    persons = pl.Series(people_of(centre).canonical(links.to_numpy()), dtype=pl.Int64).unique()
    states = events.states_of(centre, persons.to_numpy())
    mine = states.filter(pl.col("state") == SET)["link_number"].to_numpy()
    members = members_of(centre, mine)
    if insurers:
        members = members.filter(pl.col("insurer_code").is_in(list(insurers)))
    first = members.unique("link_number", keep="first", maintain_order=True)
    return (
        first.select(
            pl.concat_str(
                "insurer_code", pl.lit(","), pl.col("member_id").cast(pl.String).str.zfill(10)
            )
        )
        .to_series()
        .sort()
    )


def signed(centre: Centre, said: Mapping[str, object]) -> str:
    """An entry as it is kept."""
    return json.dumps(centre.signer.sign(said), ensure_ascii=False, sort_keys=True)

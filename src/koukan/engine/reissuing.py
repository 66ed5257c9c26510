"""符号再発行対象者リスト: registered by staff, instructed by a job, checked by staff line by line.

Flow 2-(2), steps 2-1 and 2-8. A list names persons as insurers do, by 被保険者枝番. It lies sealed
under a key of its own as a request does (requests/l<number>) until somebody of the staff has seen
that every line has its end; then the next run destroys it, key first.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np
import polars as pl

from koukan.engine import codes as events
from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.engine.leases import lease
from koukan.engine.lookup import roster_rows
from koukan.engine.people import people_of
from koukan.engine.reading import steady
from koukan.engine.stages import packed, unpacked
from koukan.errors import UsageError
from koukan.ledger import code_lists
from koukan.ledger.code_lists import CodeList
from koukan.rules.acquiring import ENDS, listed
from koukan.rules.line_keys import NONE
from koukan.rules.roster import Roster
from koukan.sites import Person

LINE = re.compile(r"[0-9]{8},[0-9]{10}")
LARGEST = 64 * 1024 * 1024  # bytes of a list: three million persons
LINES = {"line": pl.Int64, "insurer": pl.Int32, "member_id": pl.Int64}
LEFT = ("registered", "instructed", "checked")  # lists of which a copy is left here


def list_name(number: int) -> str:
    return f"l{number:010d}"


def read(content: bytes) -> pl.DataFrame:
    """A list as lines "保険者コード,被保険者枝番": LINES.

    Raises:
        UsageError: it is too large, has no line, or one of another form, which is told by its
            number alone.
    """
    if len(content) > LARGEST:
        raise UsageError("codes.list_large")
    try:
        texts = pl.Series("text", content.decode("ascii").splitlines(), dtype=pl.String)
    except UnicodeDecodeError:
        raise UsageError("codes.list_form", line=1) from None
    wrong = (~texts.str.contains(f"^{LINE.pattern}$")).arg_true()
    if not len(texts) or len(wrong):
        raise UsageError("codes.list_form", line=int(wrong[0]) + 1 if len(wrong) else 1)
    frame = pl.DataFrame([texts]).with_row_index("line", offset=1)
    return frame.select(
        pl.col("line").cast(pl.Int64),
        insurer=pl.col("text").str.head(8).cast(pl.Int32),
        member_id=pl.col("text").str.tail(10).cast(pl.Int64),
    )


def register(centre: Centre, content: bytes, person: Person) -> CodeList:
    """Keep a list for the next run, which gives the codes of its persons up.

    Raises:
        UsageError: see `read`.
        LeaseHeld: a job is running.
    """
    frame = read(content)
    digest = hashlib.sha256(content).hexdigest()
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        number = code_lists.next_list(centre.ledger)
        name = list_name(number)
        with centre.log.operation("register_list") as operation:
            entrusted.start_request(centre, name)
            entrusted.seal_piece(centre, name, 0, bytes(packed(frame)))
            found = CodeList(number, frame.height, digest, person.name, centre.now(), "registered")
            with centre.ledger.begin() as transaction:
                code_lists.put_list(transaction, found)
            operation.note(rows=frame.height)
    return found


def tidy(centre: Centre) -> None:
    """Destroy what a registration that was killed has left; under the lease of the jobs."""
    known = {list_name(one.number) for one in code_lists.all_lists(centre.ledger)}
    there = {path.name for path in centre.folder("requests").glob("l*")}
    there |= {path.stem for path in centre.folder("keyring", "random", "request").glob("l*.key")}
    for name in sorted(there - known):
        entrusted.destroy_request(centre, name)
        centre.observe("left list erased", step="instruct")


def lines_of(centre: Centre, number: int) -> pl.DataFrame:
    """LINES of a list that is left."""
    return unpacked(b"".join(entrusted.request_blocks(centre, list_name(number))))


def persons_of(centre: Centre, lines: pl.DataFrame) -> pl.DataFrame:
    """`line`, `exists` and `link_number` (as shown; null while it has no 個人番号) of each line."""
    people = people_of(centre)
    insurers, given = lines["insurer"].to_numpy(), lines["member_id"].to_numpy()
    current = people.current(insurers, given)
    members = pl.DataFrame(
        {
            "insurer": np.concatenate([insurers, insurers]),
            "member_id": np.concatenate([given, current]),
        },
        schema={"insurer": pl.Int32, "member_id": pl.Int64},
    )
    nobody = pl.DataFrame(schema={"insurer": pl.Int32, "link_number": pl.Int64})
    roster = Roster.of(roster_rows(centre, nobody, members.unique()), people)
    exists, owner = roster.owners(insurers, current)
    shown = pl.Series(people.canonical(owner), dtype=pl.Int64)
    return lines.select("line").with_columns(
        exists=pl.Series(exists, dtype=pl.Boolean), link_number=shown.replace(NONE, None)
    )


@steady
def checked(centre: Centre, number: int) -> pl.DataFrame:
    """What became of a list, line by line: LINES, `end`, `result_detail_code`.

    Raises:
        UsageError: there is no such list, or nothing of it is left.
    """
    known = [one for one in code_lists.all_lists(centre.ledger) if one.number == number]
    if not known or known[0].state not in LEFT:
        raise UsageError("codes.no_list")
    lines = lines_of(centre, number)
    persons = persons_of(centre, lines)
    links = persons["link_number"].drop_nulls().unique().to_numpy()
    found = listed(persons, events.states_of(centre, links), known[0].group_number)
    return lines.join(found, on="line", how="left", maintain_order="left")


def conclude(centre: Centre, number: int, found: pl.DataFrame, person: Person) -> bool:
    """Note that staff have checked a list all of whose lines have their ends; whether they have."""
    whole = bool(found["end"].is_in(ENDS).all())
    if whole:
        with (
            centre.log.operation("check_list") as operation,
            centre.ledger.begin() as transaction,
        ):
            values = {"checked_by": person.name, "checked_at": centre.now()}
            code_lists.set_list(transaction, number, state="checked", **values)
            operation.note(rows=found.height)
    return whole

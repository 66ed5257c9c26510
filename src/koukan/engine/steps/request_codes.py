"""request_codes: for whom a 機関別符号 is wanted, one file for 住基ネット.

Flow 2-(1), step 1-2. Each person stands in it once, under the newest 個人番号 that it has and a
要求レコード番号 from a range of the request's own. The numbers are read from the vault here, in one
process, and leave it only into the sealed pieces. Nothing leaves the centre: `send_codes` lays the
request out, after an approval over its hash. That a number was asked by is an event under the raw
link of that number, so its answer is that number's, whoever is joined or parted meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from sqlalchemy import Connection

from koukan.codecs import render
from koukan.codecs.gate import TOTAL_MODULUS
from koukan.engine import answering, entrusted, rewriting
from koukan.engine import codes as events
from koukan.engine.centre import Centre
from koukan.engine.people import people_of
from koukan.engine.rewriting import Replaced
from koukan.flows import codes, identity
from koukan.flows.codes import CODES
from koukan.flows.registration import VAULT
from koukan.formats.model import Format
from koukan.ledger import codes as asked
from koukan.ledger import online, rewritings
from koukan.ledger.codes import CodeRequest
from koukan.rules.acquiring import NO_ANSWER, due, unanswered
from koukan.rules.linkage import ASKED, FAILED, WANTED
from koukan.rules.register import Ints
from koukan.sites import Job, Sender
from koukan.sites.schedule import JST

PIECE = 50_000  # persons that are text at the same time
NEWEST = ("group_number", "reception")
NUMBER = ("link_number", "token_hi", "token_lo", *NEWEST)


class Repeated(NamedTuple):
    """What nobody has answered, or was refused, for so long that it is looked at again."""

    late: tuple[CodeRequest, ...]
    failures: tuple[tuple[int, str], ...]  # group and 処理結果詳細コード

    @property
    def groups(self) -> set[int]:
        return {one.group_number for one in self.late} | {group for group, _ in self.failures}

    @property
    def again(self) -> dict[str, list[int]]:
        """Groups by 処理結果詳細コード."""
        found: dict[str, list[int]] = {}
        for group, detail in self.failures:
            found.setdefault(detail, []).append(group)
        return found


def run(centre: Centre, job: Job) -> None:
    """Cut requests until nobody who is wanted waits for one."""
    partner = centre.site.partner(identity.SYSTEM)
    if partner is None or not events.active(centre):
        return
    until, again = online.committed_until(centre.ledger), repeated(centre)
    states = looked_at(centre, until, again)
    if states.is_empty() and not again.groups:
        return
    late, tries = [one.group_number for one in again.late], centre.site.codes.tries
    with centre.log.operation("request", job=job.name) as operation:
        give_up(centre, unanswered(states, late, tries=tries))
        persons = due(states, late, again.again, tries=tries)
        lots = list(lots_of(centre, persons))
        for at, (reissue, numbers) in enumerate(lots, 1):
            last = at == len(lots)  # until then a killed run has to look at all of them again
            whole = until if last else asked.asked_until(centre.ledger)
            cut(centre, partner, numbers, reissue=reissue, until=whole)
        with centre.ledger.begin() as transaction:
            over = [one.number for one in again.late]
            asked.put_repeated(transaction, over, again.failures, centre.now())
        operation.note(requests=len(lots), rows=sum(numbers.height for _, numbers in lots))


def looked_at(centre: Centre, until: int, again: Repeated) -> pl.DataFrame:
    """What became of asking for the persons whom these groups name, see `linkage.of_persons`.

    Who has left the 資格履歴 is not asked for any more.
    """
    groups = wanted_since(centre, until) | again.groups
    people, touched = people_of(centre), events.brought(centre, groups, "link_number")
    persons = np.unique(people.canonical(touched["link_number"].to_numpy()))
    gone = answering.absent(centre, people, persons)
    return events.states_of(centre, persons[~np.isin(persons, gone)])


def wanted_since(centre: Centre, until: int) -> set[int]:
    """Groups up to this one that want codes and of which no request was cut."""
    since = asked.asked_until(centre.ledger)
    return {
        item["group_number"]
        for item in asked.committed_events(centre.ledger)
        if item["event"] == WANTED and since < item["group_number"] <= until
    }


def repeated(centre: Centre) -> Repeated:
    """What the site's policy says is to be asked again now."""
    policy, told = centre.site.codes, asked.committed_events(centre.ledger)

    def before(days: int) -> str:
        moment = centre.clock().astimezone(UTC) - timedelta(days=days)
        return moment.isoformat(timespec="seconds")

    answered, limit = events.answered(told), before(policy.again_days)
    late = [
        item
        for item in asked.all_requests(centre.ledger)
        if item.sent_at is not None
        and item.sent_at <= limit
        and item.repeated_at is None
        and answered.get(item.number, 0) < item.rows
    ]
    failures = [
        (item["group_number"], item["detail"])
        for item in told
        if item["detail"] in policy.ask_again
        and not item["repeated"]
        and item["formed_at"] <= before(policy.ask_again[item["detail"]])
    ]
    return Repeated(tuple(late), tuple(failures))


def give_up(centre: Centre, persons: pl.DataFrame) -> None:
    """Nobody has answered for too long and too often: that is what is known of these persons."""
    if persons.is_empty():
        return
    group = rewritings.begin(centre.ledger, rewritings.WANT, centre.now())
    own = persons.select("link_number")
    told = events.rows_of(own, group.number, event=FAILED, result_detail_code=NO_ANSWER)
    files = tuple(events.write(centre, group.number, 1, told))

    def note(transaction: Connection) -> None:
        asked.put_events(transaction, events.counted(told))

    rewriting.replace(centre, group, [Replaced(CODES, files, ())], note=note)


def lots_of(centre: Centre, persons: pl.DataFrame) -> Iterator[tuple[bool, pl.DataFrame]]:
    """Whether it is a reissue, and the numbers of one request."""
    limit = centre.site.codes.request_rows
    for reissue in (False, True):
        mine = persons.filter((pl.col("given_up") >= 0) == reissue).sort("link_number")
        for some in mine.iter_slices(limit):
            numbers = numbers_of(centre, some["link_number"].to_numpy())
            if numbers.height:
                yield reissue, numbers


def numbers_of(centre: Centre, persons: Ints) -> pl.DataFrame:
    """`link_number` (raw) and `my_number`: of each person the number that came last.

    The vault finds a number fast, not whose it is: all of it is read, file by file.
    """
    people = people_of(centre)
    _, raw = people.raw_links(persons)
    raw = np.unique(raw)
    own = raw[np.isin(people.canonical(raw), persons)]
    asked_for = pl.DataFrame({"link_number": own}).lazy()
    vault = centre.snapshot(VAULT)
    parts = [
        vault.scan(file).select(NUMBER).join(asked_for, on="link_number", how="semi").collect()
        for file in vault.files()
    ]
    if not parts:
        return pl.DataFrame(schema={"link_number": pl.Int64, "my_number": pl.Int64})
    rows = pl.concat(parts)
    person = pl.Series("person", people.canonical(rows["link_number"].to_numpy()))
    newest = rows.with_columns(person).sort(*NEWEST, "link_number").unique("person", keep="last")
    newest = newest.sort("person")
    tokens = (newest["token_hi"].to_numpy(), newest["token_lo"].to_numpy())
    numbers = centre.tokeniser.numbers(*tokens)
    return newest.select("link_number").with_columns(my_number=pl.Series(numbers, dtype=pl.Int64))


def cut(
    centre: Centre, partner: Sender, numbers: pl.DataFrame, *, reissue: bool, until: int
) -> None:
    """Seal one request, piece by piece, then make it known with the events of whom it asks for."""
    number, sequence = asked.next_request(centre.ledger, partner.name)
    start, rows = asked.next_counter(centre.ledger), numbers.height
    group = rewritings.begin(centre.ledger, rewritings.ASK, centre.now())
    centre.observe("grouped", step="request_codes")
    counters = np.arange(start, start + rows, dtype=np.int64)
    issued = pl.Series(centre.request_issuer.issue(counters))
    whole = numbers.with_columns(request_record_number=issued)
    digest, length = seal(centre, number, sequence, whole, reissue=reissue)
    values = {
        "number": number,
        "partner": partner.name,
        "name": codes.request_name(sequence),
        "sequence": sequence,
        "reissue": reissue,
        "group_number": group.number,
        "until_group": until,
        "start": start,
        "rows": rows,
        "sha256": digest,
        "length": length,
        "state": "cut",
        "created_at": centre.now(),
    }
    own = whole.select("link_number", "request_record_number")
    told = events.rows_of(own, group.number, event=ASKED, request=number, reissue=reissue)
    files = tuple(events.write(centre, group.number, 1, told))

    def note(transaction: Connection) -> None:
        asked.put_request(transaction, values)
        asked.put_events(transaction, events.counted(told))
        asked.take_counters(transaction, start + rows)

    rewriting.replace(centre, group, [Replaced(CODES, files, ())], note=note)
    centre.observe("request cut", step="request_codes")


def seal(
    centre: Centre, number: int, sequence: int, whole: pl.DataFrame, *, reissue: bool
) -> tuple[str, int]:
    """Render and seal the pieces; hash and length of the file."""
    place, form = entrusted.code_request_name(number), centre.catalogue.formats[codes.REQUEST]
    entrusted.start_request(centre, place)
    entrusted.seal_piece(centre, place, 0, head(centre, form, sequence))
    piece, line = 0, 1
    for piece, some in enumerate(whole.iter_slices(PIECE), 1):
        content = records(form, some, line, reissue=reissue)
        entrusted.seal_piece(centre, place, piece, content)
        line += some.height
        centre.observe("rendered", step="request_codes", done=piece)
    entrusted.seal_piece(centre, place, piece + 1, end(form, whole.height))
    digest, length = hashlib.sha256(), 0
    for block in entrusted.request_blocks(centre, place):
        digest.update(block)
        length += len(block)
    return digest.hexdigest(), length


def records(form: Format, some: pl.DataFrame, first_line: int, *, reissue: bool) -> bytes:
    """Persons as lines of the request."""
    lines = pl.int_range(first_line, first_line + pl.len(), dtype=pl.Int64)
    shown = some.select(
        record_number=_digits(lines, 10),
        request_record_number=_digits(pl.col("request_record_number"), identity.REQUEST_DIGITS),
        my_number=_digits(pl.col("my_number"), 12),
        reissue_flag=pl.lit("1" if reissue else "0"),
    )
    return render.records(form, codes.REQUEST_SECTION, shown)


def _digits(number: pl.Expr, length: int) -> pl.Expr:
    return number.cast(pl.String).str.zfill(length)


def head(centre: Centre, form: Format, sequence: int) -> bytes:
    """The control record."""
    day = centre.clock().astimezone(JST).strftime("%Y%m%d")
    return render.control(form, {"file_sequence": f"{sequence:06d}", "creation_date": day})


def end(form: Format, rows: int) -> bytes:
    """The end record; the control total is that of the line numbers."""
    total = rows * (rows + 1) // 2 % TOTAL_MODULUS
    count = f"{rows:08d}"
    values = {"record_count": count, "request_count": count, "control_total": f"{total:018d}"}
    return render.end(form, values)

"""A small site that マイナポータル asks through NWS: persons have codes, answers are opened.

Persons are of 健保, 市町村国保 and a welfare office, four of them of two insurers. What the portal
expects is worked out from the files that the insurers sent, not from what the centre made of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyrage
from centres import JOB, LIMITS, Place
from codes_site import ACQUIRE, BOTH, SATO, give, send
from juki_net_support import module
from staff import Staff, employ

from koukan.engine.centre import format_folders
from koukan.engine.initialise import initialise
from koukan.engine.lookup import links_of
from koukan.engine.packages import open_package
from koukan.flows.codes import CODES
from koukan.flows.disclosure import RECORDS
from koukan.formats import Format, require_catalogue
from koukan.keys.package import load_package_identity
from koukan.ledger import served
from koukan.ledger.served import Answer
from koukan.samples.population import Population
from koukan.samples.registration import NEW, registration_frames
from koukan.samples.scenario import INSURERS, SCENARIO, site_toml
from koukan.samples.writing import write_file

portal = module("portal")
answered = served.DISCLOSURE
DISCLOSE, RETIRE = "answer_disclosure", "retire_provision_records"
HANA = Staff("hana", ("record",))
SEED = 7
AS_OF = date(2026, 4, 1)
AT = "20260401093000"  # a request on that day
A, B, CITY, OFFICE = "kenpo-a", "kenpo-b", "mihon-shi", "fukushi"
SENDERS = {A: A, B: B, CITY: "nhi-aggregation", OFFICE: OFFICE}
PEOPLE = {A: range(8), B: range(4, 12), CITY: range(90, 93), OFFICE: range(80, 82)}
EVERYBODY = sorted({person for people in PEOPLE.values() for person in people})
CODE = {name: INSURERS[name][0].code for name in PEOPLE}
Lines = dict[str, pl.DataFrame]


def sender(key: str) -> str:
    return (
        '\n[[sender]]\nname = "nws"\ntitle = "架空情報提供ネットワークシステム"\n'
        f'doors = ["nws"]\nsystem = "nws"\npackage_key = "{key}"\n'
    )


def form_of(sender: str) -> Format:
    """In which a sender registers."""
    return require_catalogue(*format_folders(None)).formats[SCENARIO.sender(sender).format]


def frames_of(
    insurer: str, people: range, *, process_type: str = NEW, members: Sequence[str] | None = None
) -> Lines:
    """Lines of an insurer about invented persons."""
    form = require_catalogue(*format_folders(None)).formats[
        SCENARIO.sender(SENDERS[insurer]).format
    ]
    return registration_frames(
        form,
        Population(SEED).people(people.start, people.stop),
        insurer=INSURERS[insurer][0],
        as_of=AS_OF,
        process_type=process_type,
        member_ids=None if members is None else pl.Series(members),
    )


def with_control(frames: Lines, flags: Mapping[int, Mapping[str, str]]) -> Lines:
    """The same with 情報提供に関する制御情報 of some persons, by their places."""
    basic = frames["basic"]
    form = form_of(A)
    record = form.section("information_control")
    common = [item.name for item in form.common]
    rows = []
    for place, given in flags.items():
        row: dict[str, Any] = basic.row(place, named=True)
        rows.append({**{name: row[name] for name in common}, **given, "record_type_code": "04"})
    schema = {item.name: pl.String for item in form.fields(record)}
    return {**frames, "information_control": pl.DataFrame(rows, schema=schema)}


def register(place: Place, insurer: str, sequence: int, frames: Lines) -> None:
    """Lay such a file."""
    name = SENDERS[insurer]
    form = form_of(name)
    write_file(place.inbox(name), form, frames, sender=name, sequence=sequence, creation_date=AS_OF)


def site(folder: Path, *, key: str | None = None, more: str = "") -> Place:
    """A site of four buckets with everybody registered, and a code for each."""
    place = Place(folder / "root", folder / "keys" / "batch.key")
    place.root.mkdir(parents=True)
    identity = pyrage.x25519.Identity.generate()
    (folder / "nws.key").write_text(f"{identity}\n", encoding="utf-8")
    (folder / "nws.key").chmod(0o600)
    known = str(identity.to_public()) if key is None else key
    place.write_site(f"buckets = 4\n{site_toml()}{sender(known)}{LIMITS}{more}")
    employ(place.root, SATO, BOTH, HANA)
    initialise(place.root, place.key)
    for insurer, people in PEOPLE.items():
        register(place, insurer, 1, frames_of(insurer, people))
    place.run(JOB)
    acquire(place, 1)
    return place


def acquire(place: Place, sequence: int) -> None:
    """Whoever is wanted gets a code: nothing is drawn."""
    send(place)
    rows = events(place).filter(pl.col("event") == "asked").sort("group_number")
    newest = rows.filter(pl.col("group_number") == pl.col("group_number").max())
    numbers = newest["request_record_number"].to_list()
    codes = [(f"{number:016d}", "1", f"N{number:016d}", "0000") for number in numbers]
    give(place, codes, sequence)
    place.run(ACQUIRE)


def events(place: Place) -> pl.DataFrame:
    with place.opened() as centre:
        found = centre.snapshot(CODES)
        return found.read(found.files())


def links(place: Place, people: Sequence[int] = EVERYBODY) -> dict[int, int]:
    """紐付番号 of the invented persons."""
    numbers = Population(SEED).numbers(np.array(people)).cast(pl.Int64).to_numpy()
    with place.opened() as centre:
        return dict(zip(people, links_of(centre, numbers).tolist(), strict=True))


def codes(place: Place, people: Sequence[int] = EVERYBODY) -> dict[int, str]:
    """The newest code of each invented person."""
    rows = events(place).filter(pl.col("event") == "set").sort("group_number")
    told = dict(rows.select("link_number", "linkage_code").iter_rows())
    return {person: told[link] for person, link in links(place, people).items()}


def cards(place: Place, told: Sequence[tuple[range, Lines]]) -> dict[str, list[Any]]:
    """What the portal knows: by code the cards that these files tell of."""
    known = codes(place)
    found: dict[str, list[Any]] = {}
    for people, frames in told:
        for person, row in zip(people, frames["qualification"].to_dicts(), strict=True):
            items = [row[name] or "" for name in CARD]
            ends = row["disqualification_date"] or "99999999"
            card = portal.Card(*items, row["qualification_date"], ends)
            found.setdefault(known[person], []).append(card)
    return found


CARD = (
    *("insurer_number", "insured_symbol", "insured_number", "insured_branch_number"),
    *("public_payer_number", "recipient_number"),
)


def everybodys_cards(place: Place) -> dict[str, list[Any]]:
    return cards(place, [(people, frames_of(name, people)) for name, people in PEOPLE.items()])


def inbox(place: Place) -> Path:
    return place.root / "exchange" / "nws" / "inbox" / "nws"


def packages(place: Place) -> list[Path]:
    return sorted(place.outbox("nws").glob("PK_*.age"))


def answers(place: Place) -> list[Answer]:
    with place.opened() as centre:
        return answered.answers(centre.ledger)


def content(place: Place, name: str) -> bytes:
    """The file in a package that lies in NWS's outbox."""
    into = place.root.parent / f"opened-{len(list(place.root.parent.glob('opened-*')))}"
    identity = load_package_identity(place.root.parent / "nws.key")
    with place.opened() as centre:
        opened = open_package(place.outbox("nws") / name, identity, centre.signer.ssh, into)
    (file,) = opened.files
    return (into / file.name).read_bytes()


def told_by(place: Place, own: Any, sequence: int) -> list[tuple[str, list[tuple[str, ...]]]]:
    """What the portal reads of the answer to its file of that number."""
    with place.opened() as centre:
        receptions = centre.ledger.receptions(
            formats=["self_disclosure_request"], outcome="accepted"
        )
        number = next(one.number for one in receptions if one.sequence == sequence)
    (answer,) = (one for one in answers(place) if one.reception == number)
    found: list[tuple[str, list[tuple[str, ...]]]] = own.take(sequence, content(place, answer.name))
    return found


def records(place: Place) -> pl.DataFrame:
    """All rows of the table, with the month in which each lies."""
    with place.opened() as centre:
        snapshot = centre.snapshot(RECORDS)
        parts = [
            snapshot.read([file]).with_columns(month=pl.lit(file.partition["month"]))
            for file in snapshot.files()
        ]
        schema = {**snapshot.table.definition.sections[""], "month": pl.String()}
    return pl.concat([pl.DataFrame(schema=schema), *parts])


def reasons(place: Place) -> dict[str, int]:
    with place.opened() as centre:
        return answered.reason_totals(centre.ledger)

"""Pushes to オンライン資格確認等システム: whoever replays them has the history."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from centres import JOB, Place
from course_files import CODES
from course_trial import Trial
from journey import checks, nights
from journey.killing import drawn, killed, undisturbed
from journey.test_life_courses import people
from journey.test_online_answers import spoil
from life_courses import Courses
from pushing import (
    EXPORT,
    PARTNER,
    TAKE_IN,
    Refused,
    Said,
    Table,
    content,
    identity,
    replay,
    respond,
    shown_links,
    spells_of,
    with_partner,
)
from statements import put
from withdrawals import FORGET

from koukan.engine import rolls
from koukan.engine.centre import Centre
from koukan.engine.steps.export import push_again, push_all, reconcile
from koukan.engine.verify import verify_ledger
from koukan.errors import DefinitionError
from koukan.flows import online, pmh
from koukan.flows.registration import HISTORY
from koukan.formats import require_catalogue
from koukan.keys.package import PackageIdentity
from koukan.ledger import Ledger
from koukan.ledger.online import all_pushes
from koukan.samples.bulk import write_bulk
from koukan.samples.scenario import INSURERS
from koukan.shipped import formats_folder
from koukan.tables.definition import bucket_label, bucket_of_link

COURSE = (4_000, 20) if nights.LONG else (40, 3)  # persons, nights
TICKET = "medical_ticket"
TICKET_ITEMS = (
    *("ticket_number", "ticket_type", "public_payer_number", "recipient_number"),
    *("treatment_month", "start_date", "end_date", "institution_code", "self_payment_amount"),
)
KILLS = 1  # by default; all boundaries with --long


def course(trial: Trial, persons: int, count: int) -> Courses:
    draw = random.Random(12)
    arrivals = max(1, persons // (count + 1))
    return Courses(draw, trial.registry, CODES, people(persons), arrivals=arrivals)


@pytest.mark.requirement("R044", "R048")
def test_replaying_every_push_gives_the_history_without_numbers(tmp_path: Path) -> None:
    """Persons join and are parted, lines are mended, members are forgotten, files are merged."""
    trial, key, table = Trial.new(tmp_path, compacts=True), identity(tmp_path), Table()
    place = with_partner(trial.site.place)
    persons, count = COURSE
    courses = course(trial, persons, count)
    for number in range(count):
        files = courses.night()
        trial.night(files)
        for file in files:
            for statement in file.statements:
                courses.learn(statement, trial.answers.get(statement.serial))
        if number % 3 != 1:  # a night without its push is told with the next one
            place.run(EXPORT)
            assert replay(place, table, key) == 1
    place.run(EXPORT)
    replay(place, table, key)
    # For its owner's group, as everything that lies in an outbox.
    assert {path.stat().st_mode & 0o777 for path in place.outbox(PARTNER).iterdir()} == {0o640}
    assert trial.found == []
    assert spells_of(table) == known(trial)
    place.run(FORGET)  # who is withdrawn was deleted at the receiver before
    require_whole(place, table, key)


def known(trial: Trial) -> dict[int, list[tuple[str, str, str, str]]]:
    """Everybody's spells as the slow registry has them, by 紐付番号."""
    state = trial.states[trial.nights[-1]]
    links = shown_links(trial.site.place, sorted(state.person))
    return {
        links[number]: sorted(
            (
                one.insurer,
                f"{one.begin:%Y%m%d}",
                f"{one.end:%Y%m%d}" if one.end else "",
                one.reason or "",
            )
            for one in state.spells[number]
        )
        for number in state.person
        if state.spells[number]
    }


def text(day: date | None) -> str:
    return "" if day is None else f"{day:%Y%m%d}"


def require_whole(place: Place, table: Table, key: PackageIdentity) -> None:
    """Everybody, pushed into an empty table, is what the receiver has already."""
    with place.opened() as centre:
        before = reconcile(centre, repair=False)
        push_all(centre)
        after = reconcile(centre, repair=False)
        for found in (before, after):
            assert len(found.links) == 0
            assert found.held == len(table.persons)
        assert after.pending == 0  # before, whoever was forgotten is to be told of once more
        assert verify_ledger(centre) == []
        assert any(push.deleted for push in all_pushes(centre.ledger))
    whole = Table(taken=table.taken)
    whole.take(content(place, table.taken + 1, key))
    assert whole.persons == table.persons
    assert any(line[0] == "05" for lines in table.persons.values() for line in lines)


@pytest.fixture
def base(pushed: Place) -> Place:
    return pushed


def copied(base: Place, folder: Path) -> Place:
    shutil.copytree(base.root, folder / "site")
    return Place(folder / "site", base.key, base.now)


JOBS = (FORGET, EXPORT, TAKE_IN)


def end_of(place: Place, key_folder: Path) -> dict[str, object]:
    """What the receiver has at the end, and that nothing is left lying."""
    table = Table()
    replay(place, table, identity(key_folder))
    with place.opened() as centre:
        told = {"table": table.persons, "taken": table.taken, "problems": checks.problems(centre)}
        known = all_pushes(centre.ledger)
        told["answered"] = [(one.accepted, one.refused, one.open_refused) for one in known]
        told["rolls"] = [rolls.answers(centre, one).tolist() for one in known]
        left = [path.relative_to(centre.root).as_posix() for path in pushes_of(centre)]
        return told | {"left": sorted(left)}


def pushes_of(centre: Centre) -> Iterator[Path]:
    """What lies under pushes and has a key there."""
    yield from centre.folder("pushes").rglob("*")
    yield from centre.folder("keyring", "random", "push").glob("*.key")


def test_a_push_killed_anywhere_is_made_again(base: Place, tmp_path: Path) -> None:
    """Also that of members who are erased before it comes to tell of them."""
    alone = copied(base, tmp_path / "alone")
    answer = Said(refused={2: "0101", 9: "0007"}, only=frozenset(range(1, 20)))
    respond(alone, (1, 1, answer), identity(tmp_path))
    base = copied(alone, tmp_path / "answered")
    count = undisturbed(alone, JOBS)
    wanted = end_of(alone, tmp_path)
    assert (wanted["taken"], wanted["problems"]) == (2, [])
    assert wanted["answered"][0][:2] == (17, 2)
    names = {name.split("/")[-1] for name in wanted["left"]}
    assert "r000001" in names and not {"o000001", "o000002"} & names
    assert sum(name.startswith("answers") for name in names) == 1
    before = Table()
    before.take(content(base, 1, identity(tmp_path)))
    assert len(before.persons) > len(wanted["table"])  # type: ignore[arg-type]
    for at in drawn(count, KILLS, seed=31):
        place = copied(base, tmp_path / f"{at}")
        killed(place, at, JOBS)
        assert end_of(place, tmp_path) == wanted, at
        shutil.rmtree(place.root)


@pytest.mark.requirement("R049")
def test_the_tickets_of_welfare_recipients_are_in_the_push(base: Place, tmp_path: Path) -> None:
    """As their office registered them, by all that an institution needs to take one for its own."""
    place, table = copied(base, tmp_path), Table()
    formats = require_catalogue(formats_folder()).formats
    registered, pushed = formats["member_registration"], formats[online.EXPORT]
    office = INSURERS["fukushi"][0]
    written = write_bulk(
        place.inbox("fukushi"),
        registered,
        seed=7,
        insurer=office,
        persons=40,
        sender="fukushi",
        as_of=date(2026, 4, 1),
        first_person=500,
        whole_record=True,
    )
    lines = (place.inbox("fukushi") / written.file.name).read_text("cp932").splitlines()
    names = [field.name for field in (*registered.common, *registered.section(TICKET).own)]
    told = [dict(zip(names, line.split(","), strict=True)) for line in lines if line[11:13] == "05"]
    place.run(JOB)
    place.run(EXPORT)
    replay(place, table, identity(tmp_path))
    items = online.items(pushed, TICKET)
    came = [  # with the insurers of whose spells the person is told
        (line[2:], {spell[2] for spell in lines if spell[0] == "02"})
        for lines in table.persons.values()
        for line in lines
        if line[0] == "05" and line[2] == office.code
    ]
    wanted = sorted([one[name] for name in items] for one in told)
    assert sorted(list(line) for line, _ in came) == wanted and len(told) > 10
    assert all(office.code in insurers for _, insurers in came)
    assert {*TICKET_ITEMS} <= {*items}


REPAIRING = ("resend", "repair", EXPORT, TAKE_IN)


def test_whoever_repairs_may_be_killed_anywhere(base: Place, tmp_path: Path) -> None:
    """Refused persons are told again, what differs is queued, the next push tells it: once."""
    key = identity(tmp_path)
    base = copied(base, tmp_path / "told")
    base.run(EXPORT)
    respond(base, (1, 1, Said(refused=dict.fromkeys(range(24, 36), "0101"))), key)
    base.run(TAKE_IN)
    respond(base, (2, 2, Said()), key)
    with base.opened() as centre:
        spoil(centre)
    alone = copied(base, tmp_path / "alone")
    count = undisturbed(alone, REPAIRING)
    wanted = end_of(alone, tmp_path)
    assert (wanted["taken"], wanted["problems"]) == (4, [])
    assert not [name for name in wanted["left"] if "/q" in name]
    with alone.opened() as centre:
        assert len(reconcile(centre, repair=False).links) == 0
    for at in drawn(count, KILLS, seed=32):
        place = copied(base, tmp_path / f"{at}")
        killed(place, at, REPAIRING)
        assert end_of(place, tmp_path) == wanted, at
        shutil.rmtree(place.root)


def test_a_lost_push_is_told_again_and_without_news_there_is_none(
    base: Place, tmp_path: Path
) -> None:
    place, key = copied(base, tmp_path), identity(tmp_path)
    place.run(EXPORT)
    place.run(EXPORT)
    with place.opened() as centre:
        assert [push.sequence for push in all_pushes(centre.ledger)] == [1, 2]
        again = push_again(centre, 1)
        assert (again.sequence, again.kind) == (3, "delta")
    whole, late = Table(), Table()
    replay(place, whole, key)
    late.take(content(place, 3, key), skipped=True)
    assert late.persons == whole.persons
    with pytest.raises(Refused, match="turn"):
        late.take(content(place, 2, key), skipped=True)


@pytest.mark.requirement("R046")
def test_nothing_lies_in_the_partners_outbox_in_plain(base: Place, tmp_path: Path) -> None:
    place = copied(base, tmp_path)
    lying = sorted(path.name for path in place.outbox(PARTNER).iterdir())
    assert lying == ["OQ_koukan_000001.csv.age", "OQ_koukan_000001.csv.age.sig"]
    kept = [*place.root.glob("pushes/*"), *place.root.glob("keyring/random/push/*.key")]
    assert {path.stem for path in kept} == {"r000001"}  # whom it told of, sealed


@pytest.mark.requirement("R045")
def test_an_item_that_the_history_does_not_have_cannot_be_sent(base: Place, tmp_path: Path) -> None:
    """Whatever a site's layout asks for: no number, nor what stands for it, is in the table."""
    place = copied(base, tmp_path)
    with place.opened() as centre:
        columns = {
            name
            for section in centre.tables[HISTORY].definition.sections.values()
            for name in section
        }
    assert not [name for name in columns if "my_number" in name or "token" in name]
    shipped = (formats_folder() / "online_export.toml").read_text("utf-8")
    number = '[[records.own]]\nname = "my_number"\nlabel = "個人番号"\ntype = "digits"'
    changed = shipped.replace("# --- end record", f"{number}\nlength = 12\n\n# --- end record")
    (place.root / "formats").mkdir()
    (place.root / "formats" / "online_export.toml").write_text(changed, "utf-8")
    with place.opened() as centre, pytest.raises(DefinitionError, match=r"online\.item"):
        push_all(centre)
    with place.opened() as centre:
        assert len(all_pushes(centre.ledger)) == 1


@pytest.mark.requirement("R047", "R151")
def test_a_pmh_id_that_was_issued_goes_with_its_person(base: Place, tmp_path: Path) -> None:
    place, key, table = copied(base, tmp_path), identity(tmp_path), Table()
    replay(place, table, key)
    link, pmh_id = max(table.persons), 4_711
    with place.opened() as centre:
        buckets = centre.site.buckets
        bucket = bucket_label(bucket_of_link(int(link), buckets), buckets)
        group = centre.ledger.form_group("pmh_request", [], centre.now())
        row = {"link_number": int(link), "pmh_id": pmh_id, "group_number": group}
        rows = pl.DataFrame([row], schema=pmh.COLUMNS)
        put(centre, pmh.ISSUES, [({"bucket": bucket}, rows)], group=group)
        with centre.ledger.begin() as transaction:
            Ledger.set_group(transaction, group, "committed")
    place.run(EXPORT)
    replay(place, table, key)
    with_ids = {
        who: [line[3] for line in lines if line[0] == "65" and line[3]]
        for who, lines in table.persons.items()
    }
    assert {who: ids for who, ids in with_ids.items() if ids} == {link: [f"{pmh_id:016d}"]}

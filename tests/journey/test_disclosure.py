"""Flow 2-(5): マイナポータル asks by code, gets the cards of the day, and that is recorded."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from centres import JOB, Place
from codes_site import copied
from disclosure_site import (
    AT,
    CITY,
    CODE,
    DISCLOSE,
    EVERYBODY,
    OFFICE,
    PEOPLE,
    SEED,
    A,
    B,
    acquire,
    answers,
    cards,
    codes,
    content,
    everybodys_cards,
    frames_of,
    inbox,
    links,
    portal,
    reasons,
    records,
    register,
    site,
    told_by,
    with_control,
)
from statements import joined
from withdrawals import Member, members, state

from koukan.engine import reissuing
from koukan.engine.verify import verify_ledger, verify_tables
from koukan.samples.population import Population
from koukan.samples.registration import LOSS
from koukan.samples.scenario import INSURERS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Copy it; do not run it."""
    return site(tmp_path_factory.mktemp("disclosure"))


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    return copied(made, tmp_path / "own")


def sound(place: Place) -> None:
    with place.opened() as centre:
        assert verify_ledger(centre) == verify_tables(centre) == []


def ask(place: Place, own: Any, asked: list[Any]) -> Path:
    path: Path = own.lay(inbox(place), asked)
    return path


@pytest.mark.requirement("R104", "R105", "R106", "R107", "R109")
def test_everybody_who_asks_gets_the_cards_of_the_day_of_whichever_insurer(place: Place) -> None:
    own, known = portal.Portal(), codes(place)
    asked = [own.ask(known[person], AT) for person in EVERYBODY]
    ask(place, own, asked)
    place.run(DISCLOSE)
    found = told_by(place, own, 1)
    cards = everybodys_cards(place)
    assert [sorted(items) for _, items in found] == [portal.expected(cards, one) for one in asked]
    assert {kind for kind, _ in found} == {"1"}
    both = [len(items) for _, items in found]
    assert both.count(2) == len(set(PEOPLE[A]) & set(PEOPLE[B])) == 4
    sound(place)


@pytest.mark.requirement("R108", "R111")
def test_neither_answer_nor_record_has_anybodys_number(place: Place) -> None:
    """個人番号 and 紐付番号 stand in neither; the code stands in the record alone."""
    own, known = portal.Portal(), codes(place)
    ask(place, own, [own.ask(code, AT) for code in known.values()])
    place.run(DISCLOSE)
    told = content(place, answers(place)[0].name)
    numbers = Population(SEED).numbers(np.array(EVERYBODY)).to_list()
    hidden = [*numbers, *(f"{link:016d}" for link in links(place).values())]
    kept = records(place).write_csv()
    assert not any(number.encode() in told or number in kept for number in hidden)
    assert not any(code.encode() in told for code in known.values())
    assert set(records(place)["linkage_code"]) <= set(known.values())


@pytest.mark.requirement("R110", "R111", "R113")
def test_what_was_provided_is_recorded_but_for_municipal_nhi_and_welfare(place: Place) -> None:
    """A record for each card of 健保; of the others the operation log has how many, and no code."""
    own, known = portal.Portal(), codes(place)
    asked = [
        own.ask(known[person], AT, nondisclosure="1" if person == 5 else "", error="01")
        for person in EVERYBODY
    ]
    ask(place, own, asked)
    place.now += timedelta(hours=20)
    place.run(DISCLOSE)
    rows = records(place).sort("line_number", "insurer_code")
    recorded = [
        (person, CODE[name]) for person in EVERYBODY for name in (A, B) if person in PEOPLE[name]
    ]
    assert rows["linkage_code"].to_list() == [known[person] for person, _ in recorded]
    assert rows["insurer_code"].to_list() == [code for _, code in recorded]
    first = rows.row(0, named=True)
    assert {name: first[name] for name in WHOLE} == WHOLE
    assert set(rows["month"]) == {"2026-04"} and set(rows["member_id"]) == members_of(place, A, B)
    by_code = dict(rows.select("linkage_code", "nondisclosure_code").unique().iter_rows())
    assert [code for code, shut in by_code.items() if shut == "1"] == [known[5]]
    logged = [
        (entry["where"]["insurer"], entry["note"]["answered"])
        for entry in log(place)
        if entry["operation"] == "disclose_unrecorded" and entry["kind"] == "done"
    ]
    assert sorted(logged) == sorted((CODE[name], len(PEOPLE[name])) for name in (CITY, OFFICE))
    assert not any(code in line for code in known.values() for line in log_lines(place))
    sound(place)


WHOLE = {
    "processing_sequence": "0000000000000001",
    "processing_branch": "0001",
    "task_name": "自己情報開示",
    "procedure_name": "健康保険証の利用の申込み",
    "inquirer_department_name": "マイナポータル",
    "provider_department_name": "医療保険者等向け中間サーバー",
    "requested_at": AT,
    "provided_at": "20260402060000",
    "provided_information_name": "医療保険資格の紐付け情報",
    "nondisclosure_code": None,
    "error_reason_code": "01",
}


def members_of(place: Place, *names: str) -> set[int]:
    with place.opened() as centre:
        return {one.member_id for name in names for one in members(centre, CODE[name])}


def log_lines(place: Place) -> list[str]:
    paths = sorted((place.root / "log").glob("operations-*.jsonl"))
    return [line for path in paths for line in path.read_text("utf-8").splitlines()]


def log(place: Place) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_lines(place)]


def test_a_code_that_was_given_up_or_is_a_strangers_names_nobody(place: Place) -> None:
    """Nor a line that is wrong or said twice, each under the number that the line has."""
    own, known = portal.Portal(), codes(place)
    city, *_ = sorted(PEOPLE[CITY])
    (member,) = (one for one in members_in(place, CITY) if one.link == links(place)[city])
    with place.opened() as centre:
        text = f"{CODE[CITY]},{member.member_id:010d}\n".encode()
        reissuing.register(centre, text, centre.site.persons[0])
    acquire(place, 2)
    again = codes(place)[city]
    good = own.ask(known[0], AT)
    asked = [
        *(own.ask(known[city], AT), own.ask(again, AT), own.ask("S" * 20, AT), good, good),
        *(own.ask("short", AT), own.ask(known[1], "20260231000000")),
    ]
    ask(place, own, asked)
    place.run(DISCLOSE)
    kinds = [kind for kind, _ in told_by(place, own, 1)]
    assert kinds == ["2", "1", "2", "1", "9", "9", "9"]
    assert reasons(place) == {"R711": 2, "R714": 3}
    sound(place)


@pytest.mark.requirement("R105")
def test_only_what_is_in_force_on_the_day_is_told(place: Place) -> None:
    """From the first day in to the last one before the first day out."""
    own, known = portal.Portal(), codes(place)
    ids = [f"{one.member_id:010d}" for one in members_in(place, OFFICE)]
    by_link = {link: person for person, link in links(place).items()}
    people = [by_link[one.link] for one in members_in(place, OFFICE)]
    for number, (person, member) in enumerate(zip(people, ids, strict=True), 2):
        only = range(person, person + 1)
        lost = frames_of(OFFICE, only, process_type=LOSS, members=[member])
        register(place, OFFICE, number, lost)
    place.run(JOB)
    told = [(range(person, person + 1), frames_of(OFFICE, range(person, person + 1),
             process_type=LOSS, members=["0" * 10])) for person in people]  # fmt: skip
    known_cards = cards(place, told)
    days = sorted(
        {
            (datetime.strptime(day, "%Y%m%d") + timedelta(days=step)).strftime("%Y%m%d")  # noqa: DTZ007
            for found in known_cards.values()
            for card in found
            for day in (card.begins, card.ends)
            for step in (-1, 0, 1)
        }
    )
    asked = [own.ask(known[person], f"{day}120000") for person in people for day in days]
    ask(place, own, asked)
    place.run(DISCLOSE)
    found = told_by(place, own, 1)
    wanted = [portal.expected(known_cards, one) for one in asked]
    assert [items for _, items in found] == wanted
    assert {len(items) for items in wanted} == {0, 1}
    assert reasons(place) == {"R712": sum(not items for items in wanted)}


def members_in(place: Place, name: str) -> list[Member]:
    with place.opened() as centre:
        return members(centre, CODE[name])


def test_a_flag_bars_its_insurers_card_and_no_other(place: Place) -> None:
    """Which flags bar is the site's policy; who is no member of an insurer has no card of it."""
    own, known = portal.Portal(), codes(place)
    on = {"self_disclosure_barred_flag": "1"}
    people = range(200, 206)
    frames = frames_of(A, people)
    flags = {1: on, 2: {"opt_out": "1"}, 3: {"checkup_consent_flag": "1", "opt_out": "0"}}
    frames = with_control(frames, {**flags, 4: on})
    classes = pl.Series(["1", "1", "1", "1", "1", "3"])
    frames["basic"] = frames["basic"].with_columns(member_class_code=classes)
    register(place, A, 2, frames)
    register(place, B, 2, frames_of(B, range(204, 205)))
    place.run(JOB)
    place.now += timedelta(days=1)
    acquire(place, 2)
    known = codes(place, people)
    ask(place, own, [own.ask(known[person], AT) for person in people])
    place.run(DISCLOSE)
    found = [(kind, [items[0] for items in told]) for kind, told in told_by(place, own, 1)]
    a, b = INSURERS[A][0].number, INSURERS[B][0].number
    none: tuple[str, list[str]] = ("2", [])
    assert found == [("1", [a]), none, none, ("1", [a]), ("1", [b]), none]
    assert reasons(place) == {"R713": 2, "R712": 1}
    text = (place.root / "site.toml").read_text("utf-8")
    place.write_site(f'{text}\n[disclosure]\nbarred_by = ["self_disclosure_barred_flag"]\n')
    ask(place, own, [own.ask(known[person], AT) for person in people])
    place.run(DISCLOSE)
    assert [kind for kind, _ in told_by(place, own, 2)] == ["1", "2", "1", "1", "1", "2"]
    sound(place)


def test_numbers_that_are_joined_have_the_code_of_the_first_and_all_cards(place: Place) -> None:
    own, known = portal.Portal(), codes(place)
    one, other = links(place)[8], links(place)[90]  # of 健保 B, and of 市町村国保
    with place.opened() as centre:
        ranks = dict(
            zip((one, other), centre.link_issuer.counters(np.array([one, other])), strict=True)
        )
        first, second = sorted(ranks, key=lambda link: ranks[link])
        row = joined(1, second, first, 90)
        state(centre, row | {"rank": int(ranks[second]), "survivor_rank": int(ranks[first])})
    by_link = {link: known[person] for person, link in links(place).items()}
    ask(place, own, [own.ask(by_link[first], AT), own.ask(by_link[second], AT)])
    place.run(DISCLOSE)
    (kind, told), (none, nothing) = told_by(place, own, 1)
    assert (kind, len(told), none, nothing) == ("1", 2, "2", [])
    assert records(place).height == 1 and reasons(place) == {"R711": 1}
    sound(place)


@pytest.mark.requirement("R003", "R004", "R109")
def test_municipal_nhi_and_welfare_have_history_codes_and_the_link_for_their_people(
    place: Place,
) -> None:
    """Each from its own file on: the qualification, its code, the answer; and no record of it."""
    own = portal.Portal()
    for name in (CITY, OFFICE):
        people = [*PEOPLE[name]]
        held = {one.link for one in members_in(place, name)}
        known = codes(place, people)
        assert held == set(links(place, people).values())
        assert len(set(known.values())) == len(people)
        ask(place, own, [own.ask(code, AT) for code in known.values()])
        place.run(DISCLOSE)
        found = [told for _, told in told_by(place, own, own.sequence)]
        numbers = {(items[0], items[4]) for told in found for items in told}
        number = INSURERS[name][0].number
        assert numbers == {("", number) if name == OFFICE else (number, "")}
    assert records(place).is_empty()

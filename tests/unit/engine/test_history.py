from __future__ import annotations

import json

import polars as pl
import pytest
from centres import Place, lay
from histories import NIGHTS, SHARED, member_ids, telling_days, three_nights, told
from lives import Spell, insurers_of, spells_of

from koukan.engine.history import TOLD, Link, Member, look_up, spells
from koukan.engine.history import events as events_of
from koukan.errors import UsageError
from koukan.samples.scenario import INSURERS

KENPO, KYOKAI = (INSURERS[name][0].code for name in ("kenpo-a", "kyokai"))


def log_of(place: Place) -> str:
    return next((place.root / "log").glob("operations-*.jsonl")).read_text()


def test_a_member_id_leads_to_all_sections_of_the_person(used: Place) -> None:
    member = member_ids(used, "kyokai")[0]
    with used.opened() as centre:
        found = look_up(centre, KYOKAI, member)
    everybodys = {"basic": 1, "qualification": 1, "certificate": 1}
    assert {name: frame.height for name, frame in found.items() if frame.height} == everybodys
    for frame in (found[name] for name in everybodys):
        assert not {"link_number", "token_hi", "token_lo", "group_number"} & set(frame.columns)
        assert frame["insurer_code"].to_list() == [KYOKAI]
        assert frame["member_id"].to_list() == [int(member)]


def test_every_insurers_events_of_the_person_are_shown_newest_last(empty: Place) -> None:
    lay(empty, "kyokai", 1, persons=20)
    empty.run()
    lay(empty, "kenpo-a", 1, persons=20)
    empty.run()
    with empty.opened() as centre:
        for number in (0, 19):
            by_one = look_up(centre, KYOKAI, member_ids(empty, "kyokai")[number])
            by_other = look_up(centre, KENPO, member_ids(empty, "kenpo-a")[number])
            for section in ("basic", "qualification", "certificate"):
                frame = by_one[section]
                assert frame["insurer_code"].to_list() == [KYOKAI, KENPO]
                assert frame["reception"].to_list() == [1, 2]
                assert frame.equals(by_other[section])


@pytest.mark.parametrize(
    ("insurer", "member", "key"),
    [
        (KYOKAI, "0000000001", "history.unknown"),
        ("99999999", "0000000001", "history.unknown"),
        (KYOKAI, "123456789018", "history.form"),
        ("123456789018", "0000000001", "history.form"),
        ("insurer=", "0000000001", "history.form"),
        (KYOKAI, "１２３４５６７８９０", "history.form"),
    ],
)
def test_what_is_not_registered_is_not_found(
    place: Place, insurer: str, member: str, key: str
) -> None:
    with place.opened() as centre, pytest.raises(UsageError) as error:
        look_up(centre, insurer, member)
    assert error.value.key == key
    assert "1234" not in str(error.value)


def test_another_insurers_member_id_is_not_found(used: Place) -> None:
    with used.opened() as centre, pytest.raises(UsageError) as error:
        look_up(centre, KENPO, member_ids(used, "kyokai")[0])
    assert error.value.key == "history.unknown"


def test_a_look_up_is_logged_without_the_member_id(place: Place) -> None:
    member = member_ids(place, "kyokai")[3]
    with place.opened() as centre:
        look_up(centre, KYOKAI, member)
    entry = json.loads(log_of(place).splitlines()[-1])
    assert (entry["operation"], entry["kind"]) == ("history", "done")
    assert (entry["where"], entry["note"]) == ({"insurer": KYOKAI}, {"rows": 3})
    assert member not in log_of(place)


def test_a_section_without_events_is_an_empty_frame(empty: Place) -> None:
    lay(empty, "kyokai", 1, persons=1)
    empty.run()
    with empty.opened() as centre:
        found = look_up(centre, KYOKAI, member_ids(empty, "kyokai")[0])
        sections = centre.tables["qualification_history"].definition.sections
    assert found.keys() == sections.keys()
    assert all(isinstance(frame, pl.DataFrame) for frame in found.values())


# --- spells, days and nights


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("nights")
    return three_nights(Place(folder / "site", folder / "keys" / "batch.key").initialised())


def as_told(frame: pl.DataFrame) -> list[Spell]:
    assert frame.columns == list(TOLD)
    names = ("insurer_code", "qualification_date", "disqualification_date")
    return sorted(Spell(*row) for row in frame.select(names).iter_rows())


@pytest.mark.requirement("R089")
def test_spells_of_everybody_on_any_day_are_those_of_the_oracle(nights: Place) -> None:
    with nights.opened() as centre:
        for link, events in told(centre).items():
            who = Link(f"{link:016d}")
            assert as_told(spells(centre, who)) == spells_of(events)
            for day in telling_days(events):
                had = sorted(insurers_of(events, day).values())
                assert as_told(spells(centre, who, on=day)) == had


def test_a_person_is_the_same_by_either_insurer_and_by_link(nights: Place) -> None:
    known = {name: member_ids(nights, name) for name in ("kyokai", "kenpo-a")}
    person = SHARED.start
    by = (Member(KYOKAI, known["kyokai"][person]), Member(KENPO, known["kenpo-a"][0]))
    with nights.opened() as centre:
        one, other = (spells(centre, who) for who in by)
        assert one.equals(other)
        assert set(one["insurer_code"]) == {KYOKAI, KENPO}
        links = [
            link
            for link, events in told(centre).items()
            if as_told(one) == spells_of(events) and len(events) == one.height + 1
        ]
        assert len(links) == 1  # its third event ended a spell
        events = events_of(centre, Link(f"{links[0]:016d}"))
        assert events["qualification"].height == 3
        assert events["qualification"].equals(look_up(centre, *by[0])["qualification"])


def test_a_night_shows_what_was_known_when_it_was_over(nights: Place) -> None:
    member = member_ids(nights, "kyokai")[SHARED.start]
    with nights.opened() as centre:
        known = ["2026-03-31", *NIGHTS]
        found = [look_up(centre, KYOKAI, member, known=night) for night in known]
        assert [one["qualification"].height for one in found] == [0, 1, 2, 3]
        assert [one["basic"]["reception"].to_list() for one in found][1:] == [
            [1],
            [1, 2],
            [1, 2, 3],
        ]
        ends = [
            spells(centre, Member(KYOKAI, member), known=night)
            .filter(pl.col("insurer_code") == KYOKAI)["disqualification_date"]
            .null_count()
            for night in known
        ]
        assert ends == [0, 1, 1, 0]


def test_a_link_that_nobody_has_has_nothing_and_one_that_is_none_is_refused(nights: Place) -> None:
    with nights.opened() as centre:
        assert spells(centre, Link("0" * 16)).is_empty()
        assert all(frame.is_empty() for frame in events_of(centre, Link("9" * 16)).values())
        for typed in ("123456789018", "x" * 16, "１" * 16, ""):
            with pytest.raises(UsageError) as error:
                spells(centre, Link(typed))
            assert error.value.key == "history.link_form"
            assert not typed or typed not in str(error.value)


def test_a_look_up_by_link_is_logged_without_it(place: Place) -> None:
    with place.opened() as centre:
        link = next(iter(told(centre)))
        spells(centre, Link(f"{link:016d}"))
    entry = json.loads(log_of(place).splitlines()[-1])
    assert (entry["operation"], entry["where"], entry["note"]) == ("history", {}, {"rows": 1})
    assert str(link) not in log_of(place)

from __future__ import annotations

import json

import polars as pl
import pytest
from centres import Place, lay

from koukan.engine.history import look_up
from koukan.errors import UsageError
from koukan.samples.scenario import INSURERS

KENPO, KYOKAI = (INSURERS[name][0].code for name in ("kenpo-a", "kyokai"))


def member_ids(place: Place, sender: str) -> list[str]:
    """被保険者枝番 of the sender's accepted persons, in file order, as its result file says."""
    found = []
    for path in sorted(place.outbox(sender).glob("RR_*")):
        for line in path.read_bytes().decode("cp932").splitlines():
            fields = line.split(",")
            if fields[0] == "21" and fields[4] and fields[4] not in found:
                found.append(fields[4])
    return found


def log_of(place: Place) -> str:
    return next((place.root / "log").glob("operations-*.jsonl")).read_text()


def test_a_member_id_leads_to_all_sections_of_the_person(used: Place) -> None:
    member = member_ids(used, "kyokai")[0]
    with used.opened() as centre:
        found = look_up(centre, KYOKAI, member)
    assert {name: frame.height for name, frame in found.items()} == {
        "basic": 1,
        "qualification": 1,
        "certificate": 1,
    }
    for frame in found.values():
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
            for section, frame in by_one.items():
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

"""Who had whom on which day: a real history of three nights against the plain-Python oracle."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from centres import Place
from histories import FIRST, KENPO, KYOKAI, NIGHTS, telling_days, three_nights, told
from lives import insurers_of

from koukan.engine.asof import insurers_on
from koukan.engine.centre import Centre
from koukan.engine.nights import end_of, groups_until
from koukan.engine.workers import Workers
from koukan.errors import TableRefused, UsageError
from koukan.flows.registration import HISTORY
from koukan.rules.spells import ANSWER


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("nights")
    return three_nights(Place(folder / "site", folder / "keys" / "batch.key").initialised())


def questions(centre: Centre) -> list[tuple[int, date]]:
    """Everybody on every day on which something may change; a stranger; and one asked twice."""
    asked = [(link, day) for link, one in told(centre).items() for day in telling_days(one)]
    return [*asked, (10**16 - 1, date(2026, 4, 1)), asked[0]]


def frame(asked: list[tuple[int, date]]) -> pl.DataFrame:
    return pl.DataFrame(asked, schema={"link_number": pl.Int64, "day": pl.Date}, orient="row")


def answered(centre: Centre, asked: list[tuple[int, date]], known: str | None = None) -> list:
    parts = list(insurers_on(centre, frame(asked), known=known))
    assert all(part.columns == list(ANSWER) for part in parts)
    return sorted(row for part in parts for row in part.rows())


def wanted(centre: Centre, asked: list[tuple[int, date]], until: int = 10**6) -> list:
    lives = told(centre, until)
    return [
        (number, *spell)
        for number, (link, day) in enumerate(asked)
        for _, spell in sorted(insurers_of(lives.get(link, ()), day).items())
    ]


@pytest.mark.requirement("R089")
def test_many_days_have_the_insurers_of_the_oracle(nights: Place) -> None:
    with nights.opened() as centre:
        asked = questions(centre)
        found = answered(centre, asked)
        assert found == wanted(centre, asked)
    assert {row[1] for row in found} == {KYOKAI, KENPO}
    assert len({row[0] for row in found}) < len(found)  # some had both


def test_what_was_known_after_each_night_is_what_its_groups_say(nights: Place) -> None:
    with nights.opened() as centre:
        asked = questions(centre)
        answers = [answered(centre, asked, night) for night in ("2026-03-31", *NIGHTS)]
        assert answers == [wanted(centre, asked, until) for until in range(4)]
        assert answers[0] == []
        assert answers[3] == answered(centre, asked)
        assert len({str(one) for one in answers}) == 4


def test_worker_processes_give_the_same_answers(nights: Place) -> None:
    with nights.opened() as centre:
        asked = questions(centre)
        before = answered(centre, asked)
        centre.workers.close()
        centre.__dict__["workers"] = Workers(centre, "processes", 1)
        assert answered(centre, asked) == before


def test_nobody_asked_and_an_empty_history_give_nothing(nights: Place, empty: Place) -> None:
    with nights.opened() as centre:
        assert answered(centre, []) == []
    with empty.opened() as centre:
        assert answered(centre, [(1, date(2026, 4, 1))]) == []


def test_a_file_that_was_altered_is_refused(nights: Place, tmp_path: Path) -> None:
    with nights.opened() as centre:
        asked = questions(centre)
        snapshot = centre.snapshot(HISTORY)
        path = centre.tables[HISTORY].folder / snapshot.files(section="qualification")[0].path
        content = path.read_bytes()
        path.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
        try:
            with pytest.raises(TableRefused):
                answered(centre, asked)
        finally:
            path.write_bytes(content)


def test_a_night_is_over_at_noon_the_next_day(nights: Place) -> None:
    assert end_of("2026-04-01").isoformat() == "2026-04-02T12:00:00+09:00"
    assert end_of("2026-04-01") > FIRST > end_of("2026-03-31")
    with nights.opened() as centre:
        known = [groups_until(centre, night) for night in ("2026-03-31", *NIGHTS, "2027-01-01")]
    assert known == [set(), {1}, {1, 2}, {1, 2, 3}, {1, 2, 3}]


@pytest.mark.parametrize("night", ["", "2026-02-30", "20260401", "2026-4-1", "9999-12-31", "today"])
def test_a_night_that_is_none_is_wrong_usage(nights: Place, night: str) -> None:
    with nights.opened() as centre, pytest.raises(UsageError) as error:
        groups_until(centre, night)
    assert error.value.key == "history.night"

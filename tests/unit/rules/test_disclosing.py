"""Which cards a request is answered with, and why with none: against a reading one by one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.rules.disclosing import (
    BARRED,
    CLASSES,
    GIVEN,
    NO_QUALIFICATION,
    UNKNOWN,
    WRONG_LINE,
    disclosed,
    in_force,
)

DAY = date(2026, 4, 1)
BARS = ("self_disclosure_barred_flag", "opt_out")
Row = dict[str, Any]
MAIN = {
    "link_number": pl.Int64,
    "insurer_code": pl.String,
    "qualification_date": pl.Date,
    "disqualification_date": pl.Date,
}
CONTROL = {"link_number": pl.Int64, "insurer_code": pl.String, **dict.fromkeys(BARS, pl.String)}
BASIC = {"link_number": pl.Int64, "insurer_code": pl.String, "member_class_code": pl.String}
ASKED = {"row": pl.Int64, "link_number": pl.Int64, "day": pl.Date}


def spell(link: int, insurer: str, begins: int, ends: int | None = None) -> Row:
    """Days from DAY on."""
    return {
        "link_number": link,
        "insurer_code": insurer,
        "qualification_date": DAY + timedelta(days=begins),
        "disqualification_date": None if ends is None else DAY + timedelta(days=ends),
    }


def told(
    asked: list[tuple[int | None, int]],
    spells: list[Row],
    control: dict[tuple[int, str], tuple[str | None, str | None]] | None = None,
    classes: dict[tuple[int, str], str] | None = None,
    bars: tuple[str, ...] = BARS,
) -> tuple[list[tuple[int, str, date]], list[str]]:
    """(row, insurer, from) of what is given, and the reason of each request."""
    whose = {(one["link_number"], one["insurer_code"]) for one in spells}
    said = {
        "qualification": pl.DataFrame(spells, schema=MAIN),
        "information_control": pl.DataFrame(
            [(*key, *flags) for key, flags in (control or {}).items()], schema=CONTROL, orient="row"
        ),
        "basic": pl.DataFrame(
            [(*key, (classes or {}).get(key, "1")) for key in whose], schema=BASIC, orient="row"
        ),
    }
    rows = [(row, link, DAY + timedelta(days=day)) for row, (link, day) in enumerate(asked)]
    found = disclosed(pl.DataFrame(rows, schema=ASKED, orient="row"), said, bars)
    assert found.reasons["row"].to_list() == list(range(len(asked)))
    given = found.given.select("row", "insurer_code", "qualification_date").rows()
    return given, found.reasons["reason"].to_list()


def test_nobody_is_asked_for() -> None:
    assert told([], []) == ([], [])


@pytest.mark.parametrize(
    ("day", "reason"),
    [(-1, NO_QUALIFICATION), (0, GIVEN), (9, GIVEN), (10, NO_QUALIFICATION)],
)
def test_the_first_day_is_in_and_the_day_of_loss_is_out(day: int, reason: str) -> None:
    given, reasons = told([(1, day)], [spell(1, "A", 0, 10)])
    assert reasons == [reason]
    assert len(given) == (reason == GIVEN)


def test_a_code_that_is_nobodys_gets_nothing() -> None:
    assert told([(None, 0)], [spell(1, "A", 0)]) == ([], [UNKNOWN])


def test_every_insurer_of_the_day_is_told_each_with_the_spell_that_began_last() -> None:
    spells = [spell(1, "B", -9), spell(1, "A", -9), spell(1, "A", -5), spell(1, "A", 5)]
    given, reasons = told([(1, 0), (1, 6)], spells)
    told_days = [(row, insurer, (day - DAY).days) for row, insurer, day in given]
    assert told_days == [(0, "A", -5), (0, "B", -9), (1, "A", 5), (1, "B", -9)]
    assert reasons == [GIVEN, GIVEN]


@pytest.mark.parametrize(
    ("flags", "bars", "barred"),
    [
        (("1", None), BARS, True),
        ((None, "1"), BARS, True),
        (("0", "0"), BARS, False),
        ((None, None), BARS, False),
        ((None, "1"), BARS[:1], False),
        (("1", "1"), (), False),
    ],
)
def test_a_flag_bars_the_card_of_its_insurer(
    flags: tuple[str | None, str | None], bars: tuple[str, ...], barred: bool
) -> None:
    spells, control = [spell(1, "A", 0), spell(1, "B", 0), spell(2, "A", 0)], {(1, "A"): flags}
    given, _ = told([(1, 0), (2, 0)], spells, control, bars=bars)
    assert [(row, insurer) for row, insurer, _ in given] == [
        *([] if barred else [(0, "A")]),
        *((0, "B"), (1, "A")),
    ]
    alone = told([(1, 0)], spells[:1], control, bars=bars)
    assert alone[1] == [BARRED if barred else GIVEN]


@pytest.mark.parametrize(("kind", "has"), [("1", True), ("2", False), ("3", False), ("4", True)])
def test_only_members_and_the_protected_have_a_card(kind: str, has: bool) -> None:
    _, reasons = told([(1, 0)], [spell(1, "A", 0)], classes={(1, "A"): kind})
    assert reasons == [GIVEN if has else NO_QUALIFICATION]


def test_a_code_names_whoever_has_it_now_and_nobody_where_two_have_it() -> None:
    rows = [(1, "A"), (2, "B"), (3, "B"), (4, None)]
    schema = {"link_number": pl.Int64, "linkage_code": pl.String}
    known = pl.DataFrame(rows, schema=schema, orient="row")
    assert in_force(known).rows() == [("A", 1)]


def test_a_class_of_answer_tells_no_reason_but_a_wrong_line() -> None:
    assert {CLASSES[one] for one in (UNKNOWN, NO_QUALIFICATION, BARRED)} == {"2"}
    assert (CLASSES[GIVEN], CLASSES[WRONG_LINE]) == ("1", "9")


LINKS, INSURERS = st.integers(1, 3), st.sampled_from("AB")
SPELLS = st.tuples(LINKS, INSURERS, st.integers(-3, 3), st.none() | st.integers(1, 4))


@given(
    asked=st.lists(st.tuples(st.none() | LINKS, st.integers(-3, 6)), max_size=6),
    drawn=st.lists(SPELLS, max_size=8, unique_by=lambda one: one[:3]),
    flags=st.dictionaries(st.tuples(LINKS, INSURERS), st.sampled_from(["0", "1"]), max_size=4),
)
def test_what_is_told_is_what_one_by_one_comes_to(
    asked: list[tuple[int | None, int]],
    drawn: list[tuple[int, str, int, int | None]],
    flags: dict[tuple[int, str], str],
) -> None:
    spells = [
        spell(link, insurer, begins, None if lasts is None else begins + lasts)
        for link, insurer, begins, lasts in drawn
    ]
    control = {key: (None, flag) for key, flag in flags.items()}
    given, reasons = told(asked, spells, control)
    wanted, why = [], []
    for row, (link, day) in enumerate(asked):
        best: dict[str, int] = {}
        for whose, insurer, begins, lasts in drawn:
            if whose == link and begins <= day and (lasts is None or day < begins + lasts):
                best[insurer] = max(begins, best.get(insurer, begins))
        free = {name: day for name, day in best.items() if flags.get((link or 0, name)) != "1"}
        wanted += [(row, name, DAY + timedelta(days=free[name])) for name in sorted(free)]
        nothing = UNKNOWN if link is None else BARRED if best else NO_QUALIFICATION
        why.append(GIVEN if free else nothing)
    assert (given, reasons) == (wanted, why)

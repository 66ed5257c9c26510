"""Golden cases of requests for self-disclosure: what is asked, and everything that comes of it.

`fixtures/self_disclosure_request/<case>.toml` has the lines of a request: who is asked for (the
insurer and the number of an invented person; `before` by the code that was given up, `?` by
nobody's), when, and a 不開示コード. The text beside it says of each line its class and cards, then
reasons and records. `pytest tests/golden --update` writes them anew.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from centres import JOB, Place
from disclosure_site import (
    AT,
    CITY,
    CODE,
    DISCLOSE,
    A,
    B,
    acquire,
    answered,
    codes,
    frames_of,
    inbox,
    links,
    portal,
    records,
    register,
    site,
    told_by,
    with_control,
)
from withdrawals import members

from koukan.engine import reissuing

FOLDER = Path(__file__).parents[2] / "fixtures" / "self_disclosure_request"
CASES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.toml")}
NAMES = sorted(CASES)
MORE = range(200, 206)  # persons of 健保 A with flags, one of them of B as well, one no member
GIVEN_UP = 91  # whose code is reissued
RECORDED = ("insurer_code", "provided_information_name", "requested_at", "nondisclosure_code")


def furnished(folder: Path) -> tuple[Place, str]:
    """The site with these persons, too; and the code that was given up."""
    place = site(folder)
    on = {"self_disclosure_barred_flag": "1"}
    frames = with_control(frames_of(A, MORE), {1: on, 2: {"opt_out": "1"}, 3: on, 4: on})
    classes = pl.Series(["1", "1", "1", "1", "1", "3"])
    frames["basic"] = frames["basic"].with_columns(member_class_code=classes)
    register(place, A, 2, frames)
    register(place, B, 2, frames_of(B, range(204, 205)))
    place.run(JOB)
    place.now += timedelta(days=1)
    acquire(place, 2)
    old, link = codes(place)[GIVEN_UP], links(place)[GIVEN_UP]
    with place.opened() as centre:
        (member,) = (one for one in members(centre, CODE[CITY]) if one.link == link)
        text = f"{CODE[CITY]},{member.member_id:010d}\n".encode()
        reissuing.register(centre, text, centre.site.persons[0])
    acquire(place, 3)
    return place, old


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All cases through one centre, in the order of their names; what each came to."""
    place, old = furnished(tmp_path_factory.mktemp("disclosure"))
    known = codes(place) | codes(place, MORE)
    own = portal.Portal()

    def asked(line: list[str]) -> Any:
        who, at, nondisclosure = [*line, *("", AT, "")[len(line) :]]
        code = {"?": "S" * 20, "short": "short"}.get(who)
        if code is None:
            _, person, *before = who.split()
            code = old if before else known[int(person)]
        return own.ask(code, at, nondisclosure=nondisclosure)

    for name in NAMES:
        lines = [asked(line) for line in CASES[name]["asks"]]
        own.lay(inbox(place), lines * (2 if CASES[name].get("repeated") else 1))
    place.run(DISCLOSE)
    rows = records(place).sort("reception", "line_number", "insurer_code")
    return {name: came_to(place, own, at, rows) for at, name in enumerate(NAMES, 1)}


def came_to(place: Place, own: Any, sequence: int, rows: pl.DataFrame) -> str:
    """Outcome, lines with their cards, reasons, findings and records of one file."""
    with place.opened() as centre:
        found = centre.ledger.receptions(formats=["self_disclosure_request"])
        (item,) = (one for one in found if one.sequence == sequence)
        reasons = [one for one in answered.reasons(centre.ledger) if one[0] == item.number]
        findings = centre.ledger.findings(item.number)
    text = [str(item.outcome)]
    for place_, (kind, cards) in enumerate(told_by(place, own, sequence), 1):
        text += [f"line {place_}: {kind}", *(f"  {'|'.join(card)}" for card in cards)]
    text += [f"{code} {count}" for _, code, count in reasons]
    text += [f"found {code} {count}" for _, code, count in findings]
    mine = rows.filter(pl.col("reception") == item.number).select("line_number", *RECORDED)
    text += [f"record {'|'.join(str(value or '') for value in row)}" for row in mine.iter_rows()]
    return "".join(f"{line}\n" for line in text)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_comes_to_what_it_says(
    name: str, told: dict[str, str], pytestconfig: pytest.Config
) -> None:
    path = FOLDER / f"{name}.txt"
    if pytestconfig.getoption("update"):
        path.write_text(told[name], encoding="utf-8")
    assert told[name] == path.read_text("utf-8")


def test_every_code_and_class_has_a_case(told: dict[str, str]) -> None:
    shown = " ".join(told.values()).split()
    for word in ("R711", "R712", "R713", "R714", "D301"):
        assert word in shown, word
    for name in NAMES:
        code = name[:4].upper()
        if code[1:].isdigit():
            assert code in told[name], name
    classes = {
        line.split()[-1] for text in told.values() for line in text.splitlines() if "line " in line
    }
    assert classes == {"1", "2", "9"}

"""Golden cases of PMH's requests: what is sent in, and everything that comes of it.

`fixtures/pmh_request/<case>.toml` has the fields of a request; the text beside it says each line
with the PMH-ID that its person got (P1, P2 in order of appearance), reasons, outcome and what
became of the answer. `pytest tests/golden --update` writes them anew.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from centres import Place
from juki_net_support import module
from pmh_support import ISSUE, answer_lines, numbers, request, site
from withdrawals import Member, members, withdraw

from koukan.engine.centre import Centre
from koukan.engine.lookup import links_of
from koukan.ledger import served
from koukan.samples.scenario import INSURERS

asked = served.PMH
pmh = module("pmh")
FOLDER = Path(__file__).parents[2] / "fixtures" / "pmh_request"
CASES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.toml")}
NAMES = sorted(CASES)
KENPO_A = INSURERS["kenpo-a"][0].code
LABEL = re.compile(r"\{(number|wrong):([0-9]+)\}")


def filled(text: str) -> str:
    def number(found: re.Match[str]) -> str:
        (right,) = numbers([int(found[2])])
        return right if found[1] == "number" else right[:-1] + str((int(right[-1]) + 1) % 10)

    return LABEL.sub(number, text)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All cases through one centre, in the order of their names; what each came to."""
    place = site(tmp_path_factory.mktemp("pmh"))
    inbox = place.root / "exchange" / "pmh" / "inbox" / "pmh_link"
    for sequence, name in enumerate(NAMES, 1):
        fields = [filled(text).encode("cp932") for text in CASES[name]["fields"]]
        (inbox / f"PM_pmh_{sequence:06d}.csv").write_bytes(request(fields, sequence))
        for person in CASES[name].get("withdrawn", ()):
            with place.opened() as centre:
                withdraw(centre, member_of(centre, person))
    place.run(ISSUE)
    found = {name: first(place, at) for at, name in enumerate(NAMES, 1)}
    confirm(place, inbox)
    place.run(ISSUE)
    for at, name in enumerate(NAMES, 1):
        if CASES[name].get("after") not in (None, "days"):
            found[name] += then(place, at)
    place.now += timedelta(days=8)
    place.run(ISSUE)
    for at, name in enumerate(NAMES, 1):
        if CASES[name].get("after") == "days":
            found[name] += then(place, at)
    return found


def member_of(centre: Centre, person: int) -> Member:
    """Whom 健保 A has under the number of an invented person."""
    number = np.array([int(numbers([person])[0])], np.int64)
    (link,) = links_of(centre, number).tolist()
    return next(item for item in members(centre, KENPO_A) if item.link == link)


def first(place: Place, at: int) -> str:
    """Outcome, lines and reasons."""
    with place.opened() as centre:
        item = centre.ledger.receptions(formats=["pmh_request"])[at - 1]
        reasons = [one for one in asked.reasons(centre.ledger) if one[0] == item.number]
        found = [one for one in asked.answers(centre.ledger) if one.reception == item.number]
    text = [f"{item.outcome} {item.code or ''}".strip()]
    for answer in found:
        labels: dict[bytes, str] = {b"": "-"}
        lines = answer_lines(place, answer.name)
        for field, (number, pmh_id) in zip(CASES[NAMES[at - 1]]["fields"], lines, strict=True):
            label = labels.setdefault(pmh_id, f"P{len(labels)}")
            back = repr(field) if number.decode() == filled(field) else "another text"
            text.append(f"{back} {label}")
        text += [f"{code} {rows}" for _, code, rows in reasons]
        text.append(f"{answer.state}, {answer.given} of {answer.rows} given")
    return "\n".join([*text, ""])


def confirm(place: Place, inbox: Path) -> None:
    """PMH moves what it moves, and confirms what it confirms, some of it wrongly."""
    lines = []
    with place.opened() as centre:
        for item in asked.answers(centre.ledger):
            reception = centre.ledger.reception(item.reception)
            after = CASES[NAMES[reception.sequence - 1]].get("after", "")
            path = place.outbox("pmh") / item.name
            if after == "taken":
                path.rename(place.root / "exchange" / "pmh" / "taken" / item.name)
            given = {
                "receipt": [(item.name, item.archive_sha256)] * 2,
                "other_name": [(f"PK_{item.name[3:-10]}9.tar.age", item.archive_sha256)],
                "other_hash": [(item.name, item.archive_sha256[::-1])],
            }
            lines += given.get(after, [])
    name, content = pmh.receipt(lines, 1)
    (inbox / name).write_bytes(content)


def then(place: Place, at: int) -> str:
    """What became of the answer."""
    with place.opened() as centre:
        item = centre.ledger.receptions(formats=["pmh_request"])[at - 1]
        answer = next(one for one in asked.answers(centre.ledger) if one.reception == item.number)
    lying = (place.outbox("pmh") / answer.name).exists()
    return f"{answer.state}{', erased' if answer.erased else ''}{', lies there' if lying else ''}\n"


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_case_comes_to_what_it_says(
    name: str, told: dict[str, str], pytestconfig: pytest.Config
) -> None:
    path = FOLDER / f"{name}.txt"
    if pytestconfig.getoption("update"):
        path.write_text(told[name], encoding="utf-8")
    assert told[name] == path.read_text("utf-8")


def test_every_code_and_state_of_pmh_has_a_case(told: dict[str, str]) -> None:
    shown = " ".join(told.values())
    for word in ("F172", "R701", "R702", "R703", "laid_out", "delivered", "expired", "refused"):
        assert word in shown, word
    assert {"r501", "r502", "receipt"} <= CASES.keys()


def test_receipts_that_confirm_nothing_are_told_line_by_line(told: dict[str, str]) -> None:
    """One PC file: twice the same, another name, another hash."""
    states = Counter(text.splitlines()[-1] for text in told.values())
    assert states["delivered, erased"] == 2 and states["laid_out, lies there"] == 2

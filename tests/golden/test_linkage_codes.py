"""Golden cases of 機関別符号: what NWS answers and what insurers ask for, and all that comes of it.

`fixtures/linkage_code_answer/<case>.toml` has the lines of up to three answers: `first`, `then`,
and `last`, which comes when the persons in `reissued` were asked for anew. A line is a person,
class, code and 処理結果詳細コード; `a before` is the number that was asked by before a reissue, `?`
one that nobody asked by. `fixtures/linkage_code_query/<case>.toml` has what an insurer `asks` for
after `first`: `waiting` has no 個人番号, `?` is nobody. The text beside a case says what became of
every file and every person; `pytest tests/golden --update` writes them anew.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from centres import Place
from codes_site import ACQUIRE, SATO, approve, events, give, send, site, wish
from withdrawals import Member, members

from koukan.engine import reissuing
from koukan.engine.centre import Centre
from koukan.flows.registration import PARTITION, ROSTER
from koukan.formats.model import Catalogue
from koukan.ledger import code_lists
from koukan.rules.linkage import ASKED, STATUS, WANTED, by_link
from koukan.samples.scenario import INSURERS

FIXTURES = Path(__file__).parents[2] / "fixtures"
CASES = {
    f"{folder}/{path.stem}": tomllib.loads(path.read_text("utf-8"))
    for folder in ("linkage_code_answer", "linkage_code_query")
    for path in sorted((FIXTURES / folder).glob("*.toml"))
}
ANSWERS = ("first", "then", "last")
KENPO_A = INSURERS["kenpo-a"][0].code
WAITING = 70  # an invented person, who comes without number
NOBODY, STRANGER = "0" * 10, "9" * 16


def labels(case: dict[str, Any]) -> list[str]:
    """The persons of a case, who are nobody else's."""
    lines = [line[0].removesuffix(" before") for name in ANSWERS for line in case.get(name, ())]
    return sorted({*lines, *case.get("asks", ()), *case.get("also", ())} - {"?", "waiting"})


@dataclass
class Cases:
    """All cases in one centre, round by round."""

    place: Place
    waiting: str = ""
    persons: dict[tuple[str, str], Member] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in CASES})
    sequence: int = 0

    def run(self) -> None:
        with self.place.opened() as centre:
            found = members(centre, KENPO_A)
            snapshot = centre.snapshot(PARTITION)
            roster = snapshot.read(snapshot.files(insurer=KENPO_A, section=ROSTER), section=ROSTER)
        known = iter([one for one in found if one.link is not None])
        self.persons = {(name, who): next(known) for name in CASES for who in labels(CASES[name])}
        (waits,) = roster.filter(pl.col("link_number").is_null())["member_id"]
        self.waiting = f"{waits:010d}"
        send(self.place)
        self.answer("first")
        self.answer("then", self.ask())
        self.reissue()
        self.answer("last")
        self.conclude()

    # --- what is sent in

    def numbers(self) -> dict[tuple[int, bool], str]:
        """要求レコード番号 by 紐付番号, and whether it is the first of several."""
        rows = events(self.place).filter(pl.col("event") == ASKED)
        found: dict[tuple[int, bool], str] = {}
        for link, number in rows.select("link_number", "request_record_number").iter_rows():
            found.setdefault((link, True), f"{number:016d}")
            found[link, False] = f"{number:016d}"
        return found

    def answer(self, which: str, asking: Sequence[str] = ()) -> None:
        """Lay that answer of all cases; what became of each, and of what insurers ask."""
        asked, laid = self.numbers(), {}
        for place, (name, case) in enumerate(CASES.items()):
            if which not in case:
                continue
            rows = []
            for who, kind, code, detail in case[which]:
                number = STRANGER
                if who != "?":
                    label = who.removesuffix(" before")
                    number = asked[self.persons[name, label].link, label != who]
                rows.append((number, kind, code and f"N{place:010d}{code}", detail))
            self.sequence += 1
            laid[self.sequence] = name
            give(self.place, rows, self.sequence)
        self.place.run(ACQUIRE)
        with self.place.opened() as centre:
            for sequence, name in laid.items():
                self.told[name] += [which, *outcome(centre, "linkage_code_answer", sequence)]
            for sequence, name in enumerate(asking, 1):
                self.told[name] += ["asks", *outcome(centre, "linkage_code_query", sequence)]
                self.told[name] += self.results(name, sequence)

    def ask(self) -> list[str]:
        """Lay what the insurer asks for; the cases in the order of their files."""
        asking = [name for name in CASES if "asks" in CASES[name]]
        for sequence, name in enumerate(asking, 1):
            wish(self.place, [self.member(name, who) for who in CASES[name]["asks"]], sequence)
        return asking

    def results(self, name: str, sequence: int) -> list[str]:
        """The code of each line that it asked for."""
        (result,) = self.place.outbox("kenpo-a").glob(f"QA_CQ_kenpo-a_{sequence:06d}*")
        lines = result.read_text("cp932").splitlines()[1:-1]
        pairs = zip(CASES[name]["asks"], lines, strict=True)
        return [f"{who} {line.split(',')[5] or '-'}" for who, line in pairs]

    def member(self, name: str, who: str) -> str:
        special = {"?": NOBODY, "waiting": self.waiting}
        return special.get(who) or f"{self.persons[name, who].member_id:010d}"

    def reissue(self) -> None:
        """Staff list who gets a new code; it is asked for and sent."""
        listed = [(name, who) for name in CASES for who in CASES[name].get("reissued", ())]
        lines = [f"{KENPO_A},{self.persons[one].member_id:010d}\n" for one in listed]
        with self.place.opened() as centre:
            person = next(one for one in centre.site.persons if one.name == SATO.name)
            reissuing.register(centre, "".join(lines).encode(), person)
        self.place.run(ACQUIRE)
        approve(self.place)
        self.place.run(ACQUIRE)

    # --- what came of it

    def conclude(self) -> None:
        """The code and state of every person, what the insurer was told, what a list shows."""
        stands = {row["link_number"]: row for row in by_link(events(self.place)).to_dicts()}
        states: dict[str, list[str]] = {}
        for path in sorted(self.place.outbox("kenpo-a").glob("CS_*")):
            for line in path.read_text("cp932").splitlines()[1:-1]:
                states.setdefault(line.split(",")[1], []).append(line.split(",")[2])
        with self.place.opened() as centre:
            (one,) = code_lists.all_lists(centre.ledger)
            ends = reissuing.checked(centre, one.number)
        ended = dict(ends.select(pl.col("member_id"), pl.col("end")).iter_rows())
        for (name, who), member in self.persons.items():
            stand = stands[member.link]
            place = list(CASES).index(name)
            code = (stand["linkage_code"] or "").removeprefix(f"N{place:010d}")
            shown = [who, stand["state"], code, stand["result_detail_code"], "told"]
            shown += states.get(f"{member.member_id:010d}", [])
            shown += ["listed", ended[member.member_id]] if member.member_id in ended else []
            self.told[name].append(" ".join(filter(None, shown)))


def outcome(centre: Centre, form: str, sequence: int) -> list[str]:
    """What a file came to, and its codes with the lines of each."""
    found = centre.ledger.receptions(formats=[form])
    item = next(one for one in found if one.sequence == sequence)
    codes = [f"{code} {rows}" for _, code, rows in centre.ledger.findings(item.number)]
    return [f"{item.outcome} {item.code or ''}".strip(), *sorted(codes)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each case came to."""
    needed = sum(len(labels(case)) for case in CASES.values())
    found = Cases(site(tmp_path_factory.mktemp("codes"), persons=needed, waiting=WAITING))
    found.run()
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in found.told.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_case_comes_to_what_it_says(
    name: str, told: dict[str, str], pytestconfig: pytest.Config
) -> None:
    path = FIXTURES / f"{name}.txt"
    if pytestconfig.getoption("update"):
        path.write_text(told[name], encoding="utf-8")
    assert told[name] == path.read_text("utf-8")


def test_every_code_and_state_has_a_case(told: dict[str, str], catalogue: Catalogue) -> None:
    shown = Counter(word for text in told.values() for word in text.split())
    held = ("H211", "H212", "H213", "H214", "H215", "D502", "R227")
    told_states = set(STATUS) - {WANTED}  # a run that wants a code asks for it before it tells
    for word in (*held, "R504", "R505", "W431", "W432", "not_concerned", *told_states):
        assert shown[word], word
    failures = set(catalogue.codes["code_result"].values) - {"0000"}
    assert failures | {STATUS[one] for one in told_states} <= shown.keys()
    for name in CASES:
        code = name.partition("/")[2][:4].upper()
        if code[0] in "HDRW" and code[1:].isdigit():
            assert code in told[name], name

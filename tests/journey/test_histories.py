"""Questions and answers in any order on a whole site, against an oracle in plain Python.

Each history draws what is asked and what comes back: all or some, in any order, twice, late, for
others, contradicting. The oracle knows nothing of koukan but the rule that it is held to: an answer
to an open question closes it, everything else is held.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from journey import checks, nights, outside
from journey.acts import ANSWER, ASK, DELIVER
from journey.outside import Keys, Row
from journey.whole import CODES, lay_file

from koukan.engine.centre import Centre
from koukan.engine.packages import open_package
from koukan.engine.run import run_job
from koukan.keys.package import load_package_identity
from koukan.ledger import identity as asked
from koukan.reports import identity
from koukan.samples.laying import NIGHT_DAY, Night
from koukan.samples.population import Population

HISTORIES = 50 if nights.LONG else 6
SENDERS = {"kenpo-a": CODES[0], "kenpo-b": CODES[1]}
ROUNDS = 3
Number = str


@dataclass
class Oracle:
    """What is asked, open, and to be told to whom."""

    asked: dict[Number, tuple[str, str]] = field(default_factory=dict)  # sender, line of its file
    open: set[Number] = field(default_factory=set)
    told: dict[Number, str] = field(default_factory=dict)  # result class
    due: dict[str, list[Number]] = field(default_factory=dict)  # not collected yet, by sender

    def take_in(self, rows: list[Row]) -> dict[str, int]:
        """One file's rows; how many were taken, repeated or held."""
        counts = {"taken": 0, "duplicate": 0, "held": 0}
        by_number: dict[Number, list[tuple[str, ...]]] = {}
        for row in rows:
            told = (
                tuple(sorted(row.items())) if row["answer_class"] == "1" else (row["answer_class"],)
            )
            by_number.setdefault(row["request_record_number"], []).append(told)
        for number, several in by_number.items():
            if number not in self.open or len(set(several)) > 1:
                counts["held"] += len(several)
                continue
            counts["taken"] += 1
            counts["duplicate"] += len(several) - 1
            self.open.remove(number)
            row = next(row for row in rows if row["request_record_number"] == number)
            self.told[number] = result_of(row)
            self.due.setdefault(self.asked[number][0], []).append(number)
        return counts

    def questions(self) -> dict[str, int]:
        several = sum(result == "3" for result in self.told.values())
        return {
            "asked": len(self.asked),
            "answered": len(self.told) - several,
            "ambiguous": several,
            "unanswered": len(self.open),
            "expired": 0,
        }


def result_of(row: Row) -> str:
    if row["answer_class"] != "1":
        return row["answer_class"]
    if row["alive_status"] == "2":
        return "4"
    return "6" if row["change_presence"] == "1" else "1"


@dataclass
class History:
    """One site and all who act on it."""

    centre: Centre
    keys: Keys
    draw: random.Random
    work: Path
    oracle: Oracle = field(default_factory=Oracle)
    requested: dict[Number, Row] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    sequence: int = 0

    def ask(self) -> None:
        """Files of questions from some senders, sent on as one request."""
        root, now = self.centre.root, self.centre.clock()
        night = Night(root, Population(nights.SEED), nights.formats(), NIGHT_DAY, nights.PERSONS)
        for sender in SENDERS:
            if self.draw.random() < 0.7 or not self.oracle.asked:
                self.files[sender] = self.files.get(sender, 0) + 1
                first = 1_000 + 100 * len(self.oracle.asked) + (50 if sender == "kenpo-b" else 0)
                asked = range(first, first + self.draw.randint(1, 6))
                lay_file(night, sender, "my_number_query", asked, sequence=self.files[sender])
        run_job(self.centre, ASK)
        outside.approve_all(root, self.keys, now)
        run_job(self.centre, ASK)
        for path in (root / "exchange" / outside.PARTNER / "outbox").glob("JQ_*"):
            for row in outside.read_request(path).rows:
                self.requested[row["request_record_number"]] = row
            path.unlink()
        self._learn()

    def _learn(self) -> None:
        """Whose question each number is, by the ledger's ranges."""
        issuer = self.centre.request_issuer
        for item in asked.questions(self.centre.ledger):
            sender = self.centre.ledger.reception(item.reception).sender
            counters = range(item.start, item.start + item.rows)
            issued = issuer.issue(np.array(counters, np.int64)).tolist()
            for line, number in enumerate((f"{one:016d}" for one in issued), 2):
                if number in self.requested and number not in self.oracle.asked:
                    self.oracle.asked[number] = (sender, str(line))
                    self.oracle.open.add(number)

    def rows(self) -> list[Row]:
        """What the register sends this time: drawn over everything that was ever asked."""
        rows: list[Row] = []
        for number in self.draw.sample(sorted(self.requested), len(self.requested)):
            turn = self.draw.random()
            if turn < 0.4:
                continue  # not this time
            answer = self._answer(self.requested[number])
            rows.append(answer)
            if turn > 0.9:
                rows.append(dict(answer))  # the same again
            elif turn > 0.8:
                rows.append(self._answer(self.requested[number]))  # perhaps another one
        for _ in range(self.draw.randint(0, 2)):
            stranger = {"request_record_number": f"{self.draw.randrange(10**16):016d}"}
            rows.append({**stranger, "answer_class": "2"})
        self.draw.shuffle(rows)
        return rows

    def _answer(self, row: Row) -> Row:
        return self.draw.choice(
            [
                lambda: outside.found(row),
                lambda: outside.found(row, alive_status="2"),
                lambda: outside.found(row, change_presence="1", address="架空県試験市新町９番"),
                lambda: outside.other(row, "2"),
                lambda: outside.other(row, "3"),
            ]
        )()

    def answer(self) -> None:
        """One answer file, stored by a person."""
        rows = self.rows()
        if not rows:
            return
        self.sequence += 1
        name, content = outside.answer_file(self.sequence, "2", "1", rows)
        partner = outside.JukiNet(self.centre.root, self.work)
        partner.put(name, content)
        run_job(self.centre, ANSWER)
        outside.approve_all(self.centre.root, self.keys, self.centre.clock())
        run_job(self.centre, ANSWER)
        (reception,) = [item for item in self.centre.ledger.receptions() if item.file_name == name]
        (counts,) = self.centre.ledger.counts(reception.number)
        found = {"taken": counts.accepted, "duplicate": counts.duplicate, "held": counts.held}
        assert found == self.oracle.take_in(rows)
        assert (counts.received, counts.rejected) == (len(rows), 0)

    def collect(self, sender: str) -> None:
        """A sender opens all its packages and takes them."""
        identity_file = self.keys.folder / f"{SENDERS[sender]}.txt"
        key = load_package_identity(identity_file)
        results: list[tuple[str, str, str]] = []
        for path in outside.packages_of(self.centre.root, sender):
            into = self.work / "opened"
            opened = open_package(path, key, self.centre.signer.ssh, into)
            (file,) = opened.files
            form = nights.formats()[opened.manifest.about.kind]
            reception = opened.manifest.about.reception
            results += [
                (str(reception), row["line_number"], row["query_result_class"])
                for row in nights.records_of((into / file.name).read_bytes(), form)
            ]
            shutil.rmtree(into)
        wanted = [
            (
                str(self._reception_of(number)),
                self.oracle.asked[number][1],
                self.oracle.told[number],
            )
            for number in self.oracle.due.pop(sender, [])
        ]
        assert sorted(results) == sorted(wanted)
        outside.collect(self.centre.root, sender)
        run_job(self.centre, DELIVER)

    def _reception_of(self, number: Number) -> int:
        counter = int(self.centre.request_issuer.counters(np.array([int(number)]))[0])
        return next(
            item.reception
            for item in asked.questions(self.centre.ledger)
            if item.start <= counter < item.start + item.rows
        )


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_whatever_comes_in_whatever_order_each_question_has_one_fate(
    seed: int, whole: nights.Prepared, tmp_path: Path, opened: Callable[..., Centre]
) -> None:
    root = whole.copy(tmp_path / "root")
    for path in nights.inbox_files(root):
        path.unlink()
    draw = random.Random(seed)
    history = History(opened(whole, root), Keys(whole.people), draw, tmp_path)
    history.ask()
    for _ in range(ROUNDS):
        draw.choice([history.ask, history.answer])()
        history.answer()
        assert identity(history.centre)["questions"] == history.oracle.questions()
        if draw.random() < 0.6:
            history.collect(draw.choice(sorted(SENDERS)))
    for sender in SENDERS:
        history.collect(sender)
    page = identity(history.centre)
    assert page["questions"] == history.oracle.questions()
    assert page["packages"]["erased"] == page["packages"]["built"]
    assert checks.problems(history.centre) == []

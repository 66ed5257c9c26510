"""The demo's questions: every code and refusal is there, and the promised counts are right."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koukan.codecs.gate import Gate
from koukan.errors import UsageError
from koukan.formats.model import Catalogue
from koukan.samples.identity import lay_questions
from koukan.samples.line_faults import LINE_FAULTS
from koukan.samples.population import Population
from koukan.samples.questions import KINDS, MOST_IMMEDIATE
from koukan.samples.scenario import SCENARIO

SEED, QUESTIONS, EARLIER = 7, 3_000, 600
IMMEDIATE = 17  # lines of the two immediate files


class Laid:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.night = lay_questions(root, SEED, QUESTIONS, EARLIER)

    def hashes(self) -> dict[str, str]:
        found = sorted((self.root / "exchange").glob("*/inbox/*/*"))
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
        }

    def content(self, file: Any) -> bytes:
        folder = self.root / "exchange" / file.sender / "inbox" / file.door
        return (folder / file.name).read_bytes()

    def good(self) -> list[Any]:
        return [file for file in self.night.files if file.outcome == "accepted"]


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Laid:
    return Laid(tmp_path_factory.mktemp("site"))


def test_the_same_seed_lays_the_same_bytes(laid: Laid, tmp_path: Path) -> None:
    again = Laid(tmp_path)

    assert again.hashes() == laid.hashes()
    assert again.night == laid.night
    other = tmp_path / "other"
    lay_questions(other, SEED + 1, QUESTIONS, EARLIER)
    name = "exchange/kyokai/inbox/dedicated_terminal/NQ_kyokai_000001.csv"
    assert (other / name).read_bytes() != (laid.root / name).read_bytes()


def test_every_laid_file_is_expected(laid: Laid) -> None:
    paths = {f"exchange/{file.sender}/inbox/{file.door}/{file.name}" for file in laid.night.files}

    assert paths == set(laid.hashes())


def test_as_many_questions_are_left_as_were_wished(laid: Laid) -> None:
    records = laid.night.records()

    assert records.accepted == QUESTIONS + IMMEDIATE
    assert records.received == records.accepted + records.rejected + records.duplicate
    assert 0.005 < (records.rejected + records.duplicate) / records.received < 0.02
    senders = {(file.sender, file.format) for file in laid.good()}
    assert len({sender for sender, _ in senders}) == 6
    assert {form for _, form in senders} == set(KINDS)
    assert ("fukushi", "basic_four_query") in senders


def test_every_code_of_a_question_occurs(laid: Laid) -> None:
    codes = {code for form in KINDS for code in LINE_FAULTS[form]}

    assert set(laid.night.faults()) == codes
    for form in KINDS:
        found = Counter(code for file in laid.good() if file.format == form for code in file.faults)
        assert set(found) == set(LINE_FAULTS[form])


@pytest.mark.requirement("R122", "R123", "R124", "R125", "R126")
def test_what_is_refused_is_refused_by_gate_or_rights(laid: Laid, catalogue: Catalogue) -> None:
    kinds = {insurer.code: insurer.kind for insurer in SCENARIO.insurers}
    codes = Counter()  # type: ignore[var-annotated]
    for file in laid.night.files:
        verdict = Gate(catalogue.formats[file.format]).read([laid.content(file)])
        if file.code == "F114":
            assert verdict.code == "F114"
            codes[file.code] += 1
            continue
        assert verdict.code is None
        (insurer,) = verdict.insurers
        assert insurer in SCENARIO.sender(file.sender).insurers
        many = verdict.control["query_mode"] == "1" and verdict.rows > MOST_IMMEDIATE
        right = catalogue.allowed(file.format, kinds[insurer], file.door, verdict.control)
        assert (right or ("F206" if many else None)) == file.code
        codes[file.code] += 1
    assert codes == {None: 12, "F203": 2, "F202": 1, "F114": 1, "F206": 1}


def test_a_refused_file_is_its_senders_last_of_the_format(laid: Laid) -> None:
    last: dict[tuple[str, str], int] = {}
    for file in laid.good():
        last[file.sender, file.format] = int(file.name[-10:-4])
    for file in laid.night.files:
        if file.outcome == "refused":
            assert int(file.name[-10:-4]) == last.get((file.sender, file.format), 0) + 1


def test_counts_are_what_the_lines_come_to(
    laid: Laid, judge: Any, read: Callable[..., Any], catalogue: Catalogue
) -> None:
    for file in laid.good():
        form = catalogue.formats[file.format]
        found = read(laid.content(file), form).rows
        rows = [row for _, row in found]
        numbers = Counter(row["record_number"] for row in rows)
        single = judge.single(form, found)
        good = [
            tuple(row.values())[1:]
            for row, codes in zip(rows, single, strict=True)
            if not codes and numbers[row["record_number"]] == 1
        ]
        (counts,) = file.counts.values()
        assert counts.received == len(rows)
        assert counts.rejected == len(rows) - len(good)
        assert counts.duplicate == len(good) - len(set(good))
        assert counts.accepted == len(set(good))
        unreadable = sum("R106" in codes for codes in single)
        assert unreadable <= 0.01 * len(rows) or len(rows) < 100


def test_insurers_ask_about_their_own_members_and_some_strangers(
    laid: Laid, read: Callable[..., Any], catalogue: Catalogue
) -> None:
    form = catalogue.formats["basic_four_query"]
    known = set(Population(SEED).people(0, laid.night.persons)["my_number"])
    for file in laid.good():
        if file.format != form.name or file.name.startswith("BQ_kenpo-b"):
            continue
        asked = {row["my_number"] for _, row in read(laid.content(file), form).rows}
        strangers = {number for number in asked if len(number) == 12} - known
        assert 0 < len(strangers) <= 0.03 * len(asked) + 4  # with a wrong digit, too
    assert EARLIER < laid.night.persons < EARLIER + QUESTIONS


def test_too_few_questions_for_every_fault_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        lay_questions(tmp_path, SEED, 1_000, EARLIER)

    assert caught.value.key == "samples.too_small"
    assert list(tmp_path.iterdir()) == []

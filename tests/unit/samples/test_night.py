"""The demo's nights: every outcome and every code is there, and the promised counts are right."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koukan.codecs.gate import Gate
from koukan.errors import UsageError
from koukan.formats.model import Catalogue
from koukan.rules.checkdigits import valid_numbers
from koukan.samples.expected import Counts, ExpectedNight
from koukan.samples.faults import ROW_FAULTS
from koukan.samples.night import SCENARIO, lay_earlier_night, lay_night, site_toml
from koukan.samples.population import Population

SEED, LINES, PERSONS = 7, 3_000, 600


class Laid:
    """Both nights in one folder, and what was taken from the first."""

    def __init__(self, root: Path, answer: Callable[[Path], dict[tuple[str, str], str]]) -> None:
        self.root = root
        self.earlier = lay_earlier_night(root, SEED, PERSONS)
        self.before = self.hashes()
        self.members = answer(root)
        self.night = lay_night(root, SEED, LINES, PERSONS)

    def hashes(self) -> dict[str, str]:
        found = sorted((self.root / "exchange").glob("*/inbox/*/*"))
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
        }

    def content(self, file: Any) -> bytes:
        folder = self.root / "exchange" / file.sender / "inbox" / file.door
        return (folder / file.name).read_bytes()


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory, answer: Any) -> Laid:
    return Laid(tmp_path_factory.mktemp("site"), answer)


def _code(night: ExpectedNight, code: str) -> Any:
    return next(file for file in night.files if file.code == code)


def test_the_earlier_night_is_good_throughout(laid: Laid) -> None:
    assert laid.earlier.outcomes() == {"accepted": 10}
    assert laid.earlier.records() == Counts(3 * PERSONS, 3 * PERSONS)
    assert len(laid.earlier.insurers()) == 11
    assert len(laid.before) == 10


def test_the_same_seed_lays_the_same_bytes(laid: Laid, tmp_path: Path, answer: Any) -> None:
    again = Laid(tmp_path, answer)

    assert again.before == laid.before
    assert again.hashes() == laid.hashes()
    assert again.night == laid.night


def test_every_laid_file_is_expected(laid: Laid) -> None:
    paths = {f"exchange/{file.sender}/inbox/{file.door}/{file.name}" for file in laid.night.files}

    assert paths == set(laid.hashes())


def test_lines_are_as_many_as_asked_for(laid: Laid) -> None:
    records = laid.night.records()

    assert records.received == LINES
    assert records.received == sum(
        (records.accepted, records.rejected, records.duplicate, records.held)
    )


def test_every_code_of_a_line_occurs(laid: Laid) -> None:
    assert set(laid.night.faults()) == set(ROW_FAULTS)


def test_every_outcome_and_file_code_of_the_demo_occurs(laid: Laid) -> None:
    assert laid.night.outcomes() == {
        "accepted": 12,
        "refused": 9,
        "held": 2,
        "duplicate": 1,
        "not received": 1,
    }
    codes = {file.code for file in laid.night.files if file.code}
    refused = {"F104", "F105", "F106", "F107", "F108", "F109", "F114", "F201", "F202"}
    assert codes == refused | {"H101", "H102", "D101"}


def test_counts_are_what_an_independent_judge_finds(
    laid: Laid, judge: Any, read: Callable[..., Any], catalogue: Catalogue
) -> None:
    judge.members = laid.members
    for file in laid.night.files:
        if file.outcome != "accepted":
            continue
        form = catalogue.formats[file.format]
        content = laid.content(file)
        assert Gate(form).read([content]).code is None
        judged = judge.judge(form, read(content, form).rows)
        for insurer, counts in file.counts.items():
            assert judged.received[insurer] == counts.received
            assert judged.rejected[insurer] == counts.rejected
            assert judged.duplicate[insurer] == counts.duplicate
            assert counts.rejected <= counts.received / 2
        expected = dict(file.faults)
        if "R302" in expected:  # by a required field that is empty on another line
            expected["R101"] = expected.get("R101", 0) + expected.pop("R302")
        if "R303" in expected:
            expected["R303"] //= 2
        assert judged.codes == expected


def test_refused_files_are_refused_by_the_gate_or_by_rights(
    laid: Laid, catalogue: Catalogue
) -> None:
    site = tomllib.loads(site_toml())
    kinds = {insurer["code"]: insurer["kind"] for insurer in site["insurer"]}
    own = {sender["name"]: sender.get("insurers", ()) for sender in site["sender"]}
    for file in laid.night.files:
        verdict = Gate(catalogue.formats[file.format]).read([laid.content(file)])
        if file.code in ("F201", "F202"):
            (insurer,) = verdict.insurers
            assert (insurer in own[file.sender]) == (file.code == "F202")
            allowed = catalogue.allowed(file.format, kinds[insurer], file.door)
            assert allowed == (None if file.code == "F201" else "F202")
        elif file.outcome == "refused":
            assert verdict.code == file.code
        elif file.outcome != "not received":
            assert verdict.code is None


def test_a_refused_file_is_its_senders_last(laid: Laid) -> None:
    last: dict[tuple[str, str], int] = {}
    for file in laid.night.files:
        if file.outcome == "accepted":
            number = int(re.search(r"_(\d{6})\.", file.name)[1])  # type: ignore[index]
            last[file.sender, file.format] = max(number, last.get((file.sender, file.format), 0))
    for file in laid.night.files:
        if file.outcome in ("refused", "duplicate"):
            number = int(re.search(r"_(\d{6})\.", file.name)[1])  # type: ignore[index]
            assert number == last.get((file.sender, file.format), 0) + 1


def test_the_odd_ones_are_what_they_should_be(laid: Laid) -> None:
    assert _code(laid.night, "H101").name == "MR_kyokai_000005.csv"
    other = _code(laid.night, "H102")
    path = f"exchange/{other.sender}/inbox/{other.door}/{other.name}"
    assert laid.before[path] != laid.hashes()[path]
    again = _code(laid.night, "D101")
    digest = hashlib.sha256(laid.content(again)).hexdigest()
    assert digest in laid.before.values()
    part = next(file for file in laid.night.files if file.outcome == "not received")
    assert part.name.endswith(".csv.part")


def test_persons_move_and_are_shared_between_insurers(
    laid: Laid, read: Callable[..., Any], catalogue: Catalogue
) -> None:
    new: dict[str, set[str]] = {}
    types: set[str] = set()
    renumbered = 0
    for file in laid.night.files:
        if file.outcome == "accepted":
            form = catalogue.formats[file.format]
            for _, row in read(laid.content(file), form).rows:
                types.add(row["process_type_code"])
                renumbered += bool(row["new_my_number"])
                if row["process_type_code"] == "1":
                    new.setdefault(row["my_number"], set()).add(row["insurer_code"])
    numbers = {number for _, number in laid.members}

    assert types == {"1", "2", "3", "4", "7", "8"}  # 7 and 8 in lines with faults
    assert renumbered > 3
    assert sum(len(insurers) > 1 for insurers in new.values()) > 5
    moved = [
        number
        for number, insurers in new.items()
        if number in numbers and not any((code, number) in laid.members for code in insurers)
    ]
    assert len(moved) > 5


def test_the_population_of_the_night_is_told(
    laid: Laid, read: Callable[..., Any], catalogue: Catalogue
) -> None:
    known = set(Population(SEED).people(0, laid.night.persons)["name"])
    for file in laid.night.files:
        if file.outcome in ("accepted", "held"):
            form = catalogue.formats[file.format]
            rows = read(laid.content(file), form).rows
            names = {row["name"] for section, row in rows if section == "basic" and row["name"]}
            assert {name for name in names if name[0] not in "〓\ue000"} <= known


def test_without_result_files_there_is_no_night(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        lay_night(tmp_path, SEED, LINES, PERSONS)

    assert caught.value.key == "samples.no_results"


def test_a_night_too_small_for_every_fault_is_refused(tmp_path: Path, answer: Any) -> None:
    with pytest.raises(UsageError) as caught:
        lay_earlier_night(tmp_path, SEED, 100)
    assert caught.value.key == "samples.too_small"

    lay_earlier_night(tmp_path, SEED, PERSONS)
    answer(tmp_path)
    with pytest.raises(UsageError) as caught:
        lay_night(tmp_path, SEED, 1_000, PERSONS)
    assert caught.value.key == "samples.too_small"


def test_the_site_has_all_nine_kinds_and_only_invented_numbers(catalogue: Catalogue) -> None:
    site = tomllib.loads(site_toml())
    codes = [insurer["code"] for insurer in site["insurer"]]

    assert len(codes) == len(set(codes)) == 11
    assert {insurer["kind"] for insurer in site["insurer"]} == set(catalogue.kinds)
    for code in codes:
        assert re.fullmatch("[0-9]{2}99[0-9]{4}", code)
        assert valid_numbers("insurer_number", np.array([int(code)])).all()
    for sender in site["sender"]:
        assert ("system" in sender) != bool(set(sender.get("insurers", ())) & set(codes))
        assert set(sender.get("insurers", ())) <= set(codes)
        assert set(sender["doors"]) <= set(catalogue.doors)
    assert {insurer.code for insurer in SCENARIO.insurers} == set(codes)


def test_the_summary_is_plain_data(laid: Laid) -> None:
    summary = laid.night.summary()

    assert summary["records"]["received"] == LINES
    assert summary["receptions"]["held"] == 2
    assert len(summary["files"]) == len(laid.night.files)

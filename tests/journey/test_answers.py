"""What senders are told of the demo's night, line by line, and what the tables hold of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import polars as pl
import pytest
from journey import nights
from journey.after_night import Done, receptions_of

from koukan.engine.centre import Centre
from koukan.flows.registration import HISTORY, PARTITION, ROSTER, VAULT
from koukan.samples.expected import Counts, ExpectedNight
from koukan.samples.registration import RE_ENTRY

# --- result files


@dataclass(frozen=True)
class Line:
    """A data line that was received, with what its sender was told."""

    sender: str
    file: str
    number: int
    insurer: str
    my_number: str
    new_my_number: str
    process_type: str
    given: str
    result: str
    member_id: str
    codes: tuple[str, ...]


def answered_lines(
    demo: nights.Demo, done: Done, centre: Centre, night: ExpectedNight
) -> list[Line]:
    """Every line of the accepted files, in order, with its answer."""
    form_of_result = centre.catalogue.formats["registration_result"]
    found = []
    for file in night.files:
        if file.outcome != "accepted":
            continue
        form = centre.catalogue.formats[file.format]
        received = nights.records_of(demo.files[file.sender, file.name], form)
        (path,) = nights.answers_to(done.root, file.sender, file.name)
        answers: dict[int, list[dict[str, str]]] = defaultdict(list)
        for row in nights.records_of(path.read_bytes(), form_of_result):
            answers[int(row["line_number"])].append(row)
        assert list(answers) == list(range(2, len(received) + 2)), file.name
        for number, row in enumerate(received, 2):
            told = answers[number]
            assert {item["record_number"] for item in told} == {row["record_number"]}
            assert len({(item["processing_result_class"], item["member_id"]) for item in told}) == 1
            codes = tuple(
                item["processing_result_code"] for item in told if item["processing_result_code"]
            )
            line = Line(
                file.sender,
                file.name,
                number,
                row["insurer_code"],
                row["my_number"],
                row["new_my_number"],
                row["process_type_code"],
                row["member_id"],
                told[0]["processing_result_class"],
                told[0]["member_id"],
                codes,
            )
            found.append(line)
    return found


@pytest.fixture(scope="module")
def told_lines(demo: nights.Demo, done: Done) -> dict[str, list[Line]]:
    centre = demo.prepared.open(done.root)
    found = {
        "earlier": answered_lines(demo, done, centre, demo.earlier),
        "night": answered_lines(demo, done, centre, demo.night),
    }
    centre.close()
    return found


@pytest.mark.requirement("R043")
def test_every_line_of_every_accepted_file_is_answered(
    demo: nights.Demo, told_lines: dict[str, list[Line]]
) -> None:
    night = [file for file in demo.night.files if file.outcome == "accepted"]
    wanted = sum((count for file in night for count in file.counts.values()), Counts())
    classes = [line.result for line in told_lines["night"]]
    assert len(classes) == wanted.received
    assert (classes.count("1"), classes.count("2"), classes.count("3")) == (
        wanted.accepted,
        wanted.rejected,
        wanted.duplicate,
    )
    for line in told_lines["night"]:
        assert (line.member_id != "") == (line.result == "1"), line.number
        rejected = [code for code in line.codes if code.startswith("R")]
        assert bool(rejected) == (line.result == "2"), line.number


@pytest.mark.requirement("R012", "R019")
def test_a_member_id_is_one_persons_and_a_person_has_one_at_each_insurer(
    told_lines: dict[str, list[Line]],
) -> None:
    owner: dict[tuple[str, str], str] = {}
    member: dict[tuple[str, str], str] = {}
    renamed: dict[str, str] = {}
    for line in told_lines["earlier"] + told_lines["night"]:
        if line.result != "1":
            continue
        person = renamed.get(line.my_number, line.my_number)
        if line.new_my_number:
            renamed[line.new_my_number] = person
        assert owner.setdefault((line.insurer, line.member_id), person) == person
        assert member.setdefault((line.insurer, person), line.member_id) == line.member_id
    assert len(member) > 600


@pytest.mark.requirement("R020", "R025")
def test_re_entry_change_loss_and_a_second_registration_keep_the_member_id(
    told_lines: dict[str, list[Line]],
) -> None:
    known = {
        (line.insurer, line.my_number): line.member_id
        for line in told_lines["earlier"]
        if line.result == "1"
    }
    types: dict[str, int] = defaultdict(int)
    for line in told_lines["night"]:
        if line.result == "1" and (line.insurer, line.my_number) in known:
            assert line.member_id == known[line.insurer, line.my_number]
            types[line.process_type] += 1
    assert set(types) == {"1", RE_ENTRY, "3", "4"}
    assert any("W401" in line.codes for line in told_lines["night"])


def link_numbers(centre: Centre) -> dict[tuple[str, str], int]:
    """(insurer, 被保険者枝番) -> 紐付番号, as the rosters say."""
    snapshot = centre.snapshot(PARTITION)
    found = {}
    for file in snapshot.files(section=ROSTER):
        for row in snapshot.scan(file).collect().iter_rows(named=True):
            found[file.partition["insurer"], f"{row['member_id']:010d}"] = row["link_number"]
    return found


@pytest.mark.requirement("R024", "R025")
def test_two_insurers_that_bring_the_same_new_person_get_one_link_number(
    looked: Centre, told_lines: dict[str, list[Line]]
) -> None:
    links = link_numbers(looked)
    known = {line.my_number for line in told_lines["earlier"]}
    by_person: dict[str, dict[str, int]] = defaultdict(dict)
    for line in told_lines["night"]:
        if line.result == "1" and line.my_number not in known:
            by_person[line.my_number][line.insurer] = links[line.insurer, line.member_id]
    shared = [own for own in by_person.values() if len(own) > 1]
    assert len(shared) >= 3
    assert all(len(set(own.values())) == 1 for own in shared)
    first = [next(iter(own.values())) for own in by_person.values()]
    assert len(first) == len(set(first)), "two persons share a link number"


Event = tuple[str | None, int, int, int, int]


def rows_of(centre: Centre, name: str) -> list[Event]:
    """Insurer, 紐付番号, 被保険者枝番, reception and line of every event of a table, sorted."""
    snapshot = centre.snapshot(name)
    chosen = ["link_number", "member_id", "reception", "line_number"]
    found: list[Event] = []
    for file in snapshot.files():
        if file.partition.get("section") != ROSTER:
            rows = snapshot.scan(file)
            own = file.partition.get("insurer")
            insurer = pl.lit(own) if own else pl.col("insurer_code")
            found += rows.select(insurer, *chosen).collect().rows()
    return sorted(found, key=str)


@pytest.mark.requirement("R009", "R018", "R024", "R026", "R027")
def test_partition_and_history_hold_each_accepted_line_once_and_nothing_else(
    looked: Centre, told_lines: dict[str, list[Line]]
) -> None:
    links = link_numbers(looked)
    wanted = [
        (
            line.insurer,
            links[line.insurer, line.member_id],
            int(line.member_id),
            receptions_of(looked, line.sender, line.file)[0],
            line.number,
        )
        for line in told_lines["earlier"] + told_lines["night"]
        if line.result == "1"
    ]
    linked = [row for row in wanted if row[1] is not None]  # the others wait for their number
    for table, rows in ((PARTITION, wanted), (HISTORY, linked)):
        assert rows_of(looked, table) == sorted(rows, key=str)
        assert not [name for name in columns_of(looked, table) if "my_number" in name]


def columns_of(centre: Centre, name: str) -> set[str]:
    definition = centre.tables[name].definition
    return {
        column
        for file in centre.snapshot(name).files()
        for column in definition.columns(file.partition)
    }


# --- acknowledgements


OUTCOME_CLASS = {"accepted": "1", "refused": "2", "duplicate": "3", "held": "4"}


def test_every_file_has_an_acknowledgement_in_cp932_with_its_code(
    demo: nights.Demo, done: Done, looked: Centre
) -> None:
    form = looked.catalogue.formats["acknowledgement"]
    assert form.file.encoding == "cp932"
    for file in [*demo.earlier.files, *demo.night.files]:
        answers = nights.answers_to(done.root, file.sender, file.name, "AK")
        if file.outcome == "not received":
            assert answers == []
            continue
        rows = [nights.records_of(path.read_bytes(), form) for path in answers]
        outcomes = {
            row["processing_result_code"]
            for own in rows
            for row in own
            if row["section"] == "outcome"
        }
        assert (file.code or "") in outcomes, file.name
        for row in (row for own in rows for row in own if row["section"] == "outcome"):
            reason = looked.catalogue.reasons.get(row["processing_result_code"])
            assert row["processing_result_name"] == (reason.title if reason else ""), file.name
            assert bool(reason) or row["outcome_class"] == OUTCOME_CLASS["accepted"]
        lines = {
            (row["insurer_code"], int(row["received_count"]), int(row["accepted_count"]))
            for own in rows
            for row in own
            if row["section"] == "insurer_counts"
        }
        for insurer, counts in file.counts.items():
            assert (insurer, counts.received, counts.accepted) in lines, file.name


def test_the_vault_knows_each_number_once(looked: Centre) -> None:
    snapshot = looked.snapshot(VAULT)
    rows = pl.concat([snapshot.scan(file).collect() for file in snapshot.files()])
    assert rows.select("token_hi", "token_lo").is_unique().all()
    issued = rows.filter(pl.col("origin") == "issued")
    assert issued["link_number"].is_unique().all()

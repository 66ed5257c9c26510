"""The demo's night, small: what becomes of every file, line and person, however it is run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from journey import checks, nights

from koukan.engine import groups, operate
from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.run import run_job
from koukan.engine.verify import verify_tables
from koukan.errors import Exit
from koukan.flows.registration import HISTORY, PARTITION, ROSTER, VAULT
from koukan.samples.expected import Counts, ExpectedNight
from koukan.samples.faults import ROW_FAULTS
from koukan.samples.registration import RE_ENTRY
from koukan.samples.scenario import SCENARIO

Open = Callable[..., Centre]


@dataclass(frozen=True)
class Done:
    """The demo's night after its run."""

    root: Path
    digest: str
    exit: Exit


def copied(demo: nights.Demo, folder: Path, site: str | None = None) -> Path:
    root = demo.prepared.copy(folder / "root")
    if site is not None:
        (root / "site.toml").write_text(site, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def done(demo: nights.Demo, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The night, run once. Look at it; copy it to go on."""
    root = copied(demo, tmp_path_factory.mktemp("done"))
    centre = demo.prepared.open(root)
    ran = run_job(centre, nights.REGISTER)
    found = Done(root, state_digest(centre), ran.exit)
    centre.close()
    return found


@pytest.fixture
def after(demo: nights.Demo, done: Done, tmp_path: Path, opened: Open) -> Centre:
    """A copy of the site after the night, to go on with."""
    return opened(
        demo.prepared, nights.Prepared(done.root, Path(), nights.NIGHT).copy(tmp_path / "r")
    )


@pytest.fixture
def looked(demo: nights.Demo, done: Done, opened: Open) -> Centre:
    """The site after the night, to look at only."""
    return opened(demo.prepared, done.root)


def found_counts(centre: Centre, number: int) -> dict[str, Counts]:
    return {
        item.insurer: Counts(item.received, item.accepted, item.rejected, item.duplicate, item.held)
        for item in centre.ledger.counts(number)
    }


def receptions_of(centre: Centre, sender: str, name: str) -> list[int]:
    return [
        item.number for item in centre.ledger.receptions(sender=sender) if item.file_name == name
    ]


Story = dict[tuple[str, str, str], tuple[str | None, str | None, dict[str, Counts]]]


def expected_story(night: ExpectedNight) -> Story:
    return {
        (file.sender, file.door, file.name): (file.outcome, file.code, dict(file.counts))
        for file in night.files
        if file.outcome != "not received"
    }


def found_story(centre: Centre, numbers: Iterable[int]) -> Story:
    found: Story = {}
    for number in numbers:
        item = centre.ledger.reception(number)
        key = (item.sender, item.door, item.file_name)
        assert key not in found
        found[key] = (item.outcome, item.code, found_counts(centre, number))
    return found


@pytest.mark.requirement("R001", "R023")
def test_every_file_ends_as_expected_with_its_code_and_counts_by_insurer(
    demo: nights.Demo, done: Done, looked: Centre
) -> None:
    numbers = [item.number for item in looked.ledger.receptions()]
    before = len(demo.earlier.files)
    assert numbers == list(range(1, len(numbers) + 1))
    assert found_story(looked, numbers[:before]) == expected_story(demo.earlier)
    assert found_story(looked, numbers[before:]) == expected_story(demo.night)
    assert {SCENARIO.insurer(code).kind for code in demo.night.insurers()} == set(
        looked.catalogue.kinds
    )
    assert done.exit == Exit.HELD


def test_every_fault_of_a_line_is_found_under_its_code_in_its_file(
    demo: nights.Demo, looked: Centre
) -> None:
    told: set[str] = set()
    for file in demo.night.files:
        if file.outcome == "accepted":
            (number,) = receptions_of(looked, file.sender, file.name)
            codes = {code for _, code, _ in looked.ledger.findings(number)}
            assert set(file.faults) <= codes, file.name
            told |= codes
    assert told == set(ROW_FAULTS)


def test_a_half_written_file_stays_where_it_is(demo: nights.Demo, done: Done) -> None:
    left = [path.name for path in nights.inbox_files(done.root)]
    assert left == [file.name for file in demo.night.files if file.outcome == "not received"]


def test_nothing_is_wrong_with_ledger_tables_log_and_folders_after_the_night(
    demo: nights.Demo, after: Centre
) -> None:
    assert checks.problems(after) == []
    assert verify_tables(after) == []


def test_the_same_files_once_more_change_nothing(
    demo: nights.Demo, done: Done, after: Centre
) -> None:
    before = checks.told(after)
    assert nights.lay_again(demo.prepared.root, after.root) == len(demo.night.files)
    run_job(after, nights.REGISTER)
    assert checks.told(after) == before
    assert before["digest"] == done.digest
    assert checks.problems(after) == []


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


def rows_of(centre: Centre, name: str) -> pl.DataFrame:
    snapshot = centre.snapshot(name)
    chosen = ["link_number", "member_id", "reception", "line_number"]
    parts = [
        snapshot.scan(file).select(chosen).collect()
        for file in snapshot.files()
        if file.partition.get("section") != ROSTER
    ]
    return pl.concat(parts).sort(chosen)


@pytest.mark.requirement("R018", "R024", "R026", "R027")
def test_partition_and_history_hold_each_accepted_line_once_and_nothing_else(
    looked: Centre, told_lines: dict[str, list[Line]]
) -> None:
    links = link_numbers(looked)
    wanted = sorted(
        (
            links[line.insurer, line.member_id],
            int(line.member_id),
            receptions_of(looked, line.sender, line.file)[0],
            line.number,
        )
        for line in told_lines["earlier"] + told_lines["night"]
        if line.result == "1"
    )
    for table in (PARTITION, HISTORY):
        assert rows_of(looked, table).rows() == wanted
    assert all(
        "my_number" not in name
        for table in (PARTITION, HISTORY)
        for name in columns_of(looked, table)
    )


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


# --- the same night, run in other ways


VARIANTS = {
    "worker processes": {"workers": ['kind = "processes"']},
    "one worker": {"workers": ["count = 1"]},
    "one file at a time": {"limits": ["group_files = 1"]},
    "groups of 100,000 bytes": {"limits": ["group_bytes = 100_000"]},
    "few rows at once, stages on disk": {"limits": ["piece_rows = 7", "stage_bytes = 0"]},
    "codes by expressions": {"limits": ["pandera_rows = 0"]},
}


@pytest.fixture
def small_chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "few rows" in request.node.name:
        monkeypatch.setattr(groups, "CHUNK", 4096)  # every file is a chunk of its own


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_night_comes_to_the_same_however_it_is_run(
    variant: str, demo: nights.Demo, done: Done, tmp_path: Path, opened: Open
) -> None:
    root = copied(demo, tmp_path, nights.site_text(**VARIANTS[variant]))  # type: ignore[arg-type]
    centre = opened(demo.prepared, root)
    run_job(centre, nights.REGISTER)
    other = opened(demo.prepared, done.root)
    assert checks.told(centre) == checks.told(other)
    assert checks.problems(centre) == []


def test_files_that_come_one_by_one_come_to_the_same_as_all_together(
    demo: nights.Demo, done: Done, tmp_path: Path, opened: Open
) -> None:
    """Each file is a run of its own, in the order in which one run takes them."""
    root = copied(demo, tmp_path)
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    paths = {}
    for path in nights.inbox_files(root):
        paths[path.parents[2].name, path.name] = path
        path.rename(waiting / f"{path.parents[2].name}-{path.name}")
    centre = opened(demo.prepared, root)
    order = [
        (item.sender, item.file_name)
        for item in opened(demo.prepared, done.root).ledger.receptions()[len(demo.earlier.files) :]
    ]
    for sender, name in order:
        (waiting / f"{sender}-{name}").rename(paths[sender, name])
        run_job(centre, nights.REGISTER)
    (part,) = waiting.iterdir()
    part.rename(paths["kenpo-b", part.name.removeprefix("kenpo-b-")])
    assert (
        checks.told(centre)["receptions"]
        == checks.told(opened(demo.prepared, done.root))["receptions"]
    )
    assert state_digest(centre) == done.digest


# --- what was held


def held(centre: Centre, code: str) -> int:
    (number,) = [
        item.number for item in centre.ledger.receptions(outcome="held") if item.code == code
    ]
    return number


def lay_missing(demo: nights.Demo, root: Path) -> str:
    """kyokai's file 000004, which never came: three persons whom nobody has named."""
    night = nights.Night(
        root, nights.Population(nights.SEED), nights.formats(), nights.NIGHT_DAY, demo.night.persons
    )
    sender = SCENARIO.sender("kyokai")
    frames = night.frames(sender, SCENARIO.insurer(sender.insurers[0]), night.take(3))
    name, content = night.rendered(sender, 4, frames)
    night.lay(sender, name, content)
    return name


def test_when_a_gap_closes_the_file_behind_it_is_taken_up_by_itself(
    demo: nights.Demo, after: Centre
) -> None:
    waiting = held(after, "H101")
    name = lay_missing(demo, after.root)
    ran = run_job(after, nights.REGISTER)
    (number,) = receptions_of(after, "kyokai", name)
    for item in (after.ledger.reception(number), after.ledger.reception(waiting)):
        assert (item.state, item.outcome, item.code) == ("closed", "accepted", None)
    counts = found_counts(after, waiting)
    assert {item.held for item in counts.values()} == {0}
    assert {item.accepted for item in counts.values()} == {18}
    assert set(ran.receptions) >= {number, waiting}
    assert checks.problems(after) == []


def test_a_released_file_is_taken_in_by_the_next_run(after: Centre) -> None:
    for code in ("H101", "H102"):
        number = held(after, code)
        operate.release(after, number, "the sender was asked", "hanako.kakuu")
        run_job(after, nights.REGISTER)
        item = after.ledger.reception(number)
        assert (item.state, item.outcome, item.code) == ("closed", "accepted", None)
        assert {count.held for count in after.ledger.counts(number)} == {0}
    assert after.ledger.receptions(outcome="held") == []
    assert checks.problems(after) == []


def test_a_file_refused_by_a_person_is_told_so_and_frees_its_name(
    demo: nights.Demo, after: Centre
) -> None:
    number = held(after, "H101")
    before = after.ledger.reception(number)
    operate.refuse(after, number, "the sender asked for it", "hanako.kakuu")
    item = after.ledger.reception(number)
    assert (item.state, item.outcome, item.code) == ("closed", "refused", "F901")
    assert after.ledger.counts(number) == []
    form = after.catalogue.formats["acknowledgement"]
    (path,) = nights.answers_to(after.root, "kyokai", before.file_name, "AK")
    (row,) = nights.records_of(path.read_bytes(), form)
    assert row["processing_result_code"] == "F901"
    lay_missing(demo, after.root)
    again = demo.files["kyokai", before.file_name].replace(b"20260402", b"20260403", 1)
    (after.root / "exchange" / "kyokai" / "inbox" / before.door / before.file_name).write_bytes(
        again
    )
    run_job(after, nights.REGISTER)
    assert after.ledger.receptions()[-1].file_name == before.file_name
    assert after.ledger.receptions()[-1].outcome == "accepted"
    assert checks.problems(after) == []


def test_the_vault_knows_each_number_once(looked: Centre) -> None:
    snapshot = looked.snapshot(VAULT)
    rows = pl.concat([snapshot.scan(file).collect() for file in snapshot.files()])
    assert rows.select("token_hi", "token_lo").is_unique().all()
    issued = rows.filter(pl.col("origin") == "issued")
    assert issued["link_number"].is_unique().all()

"""The demo's night, small: what becomes of every file, however it is run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from journey import checks, nights
from journey.after_night import Done, Open, found_counts, receptions_of

from koukan.engine import groups, rendering
from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.run import run_job
from koukan.engine.verify import verify_tables
from koukan.errors import Exit
from koukan.samples.expected import Counts, ExpectedNight
from koukan.samples.faults import ROW_FAULTS
from koukan.samples.scenario import SCENARIO

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


# --- the same night, run in other ways


VARIANTS = {
    "worker processes": {"workers": ['kind = "processes"']},
    "one worker": {"workers": ["count = 1"]},
    "one file at a time": {"limits": ["group_files = 1"]},
    "groups of 100,000 bytes": {"limits": ["group_bytes = 100_000"]},
    "few rows at once, stages on disk": {"limits": ["piece_rows = 7", "stage_bytes = 0"]},
    "codes by expressions": {"limits": ["pandera_rows = 0"]},
    "every group is a large one": {"limits": ["piece_rows = 7"]},
}


@pytest.fixture
def small_chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "few rows" in request.node.name or "large" in request.node.name:
        monkeypatch.setattr(groups, "CHUNK", 4096)  # every file is a chunk of its own
        monkeypatch.setattr(rendering, "PART", 7)
    if "large" in request.node.name:
        monkeypatch.setattr(groups, "LARGE", 0)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_night_comes_to_the_same_however_it_is_run(
    variant: str, demo: nights.Demo, done: Done, tmp_path: Path, opened: Open
) -> None:
    root = demo.prepared.copy(tmp_path / "root")
    text = nights.site_text(**VARIANTS[variant])  # type: ignore[arg-type]
    (root / "site.toml").write_text(text, encoding="utf-8")
    centre = opened(demo.prepared, root)
    run_job(centre, nights.REGISTER)
    other = opened(demo.prepared, done.root)
    assert checks.told(centre) == checks.told(other)
    assert checks.problems(centre) == []


def test_files_that_come_one_by_one_come_to_the_same_as_all_together(
    demo: nights.Demo, done: Done, tmp_path: Path, opened: Open
) -> None:
    """Each file is a run of its own, in the order in which one run takes them."""
    root = demo.prepared.copy(tmp_path / "root")
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

"""What nights changed, against counts made row by row."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from centres import Place
from histories import (
    ENDED,
    KENPO,
    KYOKAI,
    NIGHTS,
    REGISTERED,
    SHARED,
    member_ids,
    three_nights,
    told,
)
from lives import spells_of

from koukan.engine.changes import changed_events, changes
from koukan.engine.workers import Workers
from koukan.errors import UsageError

BEFORE = "2026-03-31"
SECTIONS = ("basic", "certificate", "qualification")


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("nights")
    return three_nights(Place(folder / "site", folder / "keys" / "batch.key").initialised())


def item(insurer: str, persons: int, events: dict[str, int], **told: int) -> dict[str, Any]:
    spells = dict.fromkeys(("begun", "ended", "reopened", "moved", "voided"), 0) | told
    return {
        "insurer": insurer,
        "persons": persons,
        "events": dict.fromkeys(SECTIONS, events),
        "spells": spells,
    }


def test_each_night_brought_what_was_laid(nights: Place) -> None:
    registered = item(KYOKAI, REGISTERED, {"1": REGISTERED}, begun=REGISTERED)
    with nights.opened() as centre:
        steps = [changes(centre, *pair) for pair in zip((BEFORE, *NIGHTS), NIGHTS, strict=False)]
        assert steps == [
            [registered],
            [{**registered, "insurer": KENPO}],
            [item(KYOKAI, ENDED, {"4": ENDED}, ended=ENDED)],
        ]
        whole = changes(centre, BEFORE, NIGHTS[2])
        assert [one["insurer"] for one in whole] == sorted((KYOKAI, KENPO))
        kyokai = changes(centre, BEFORE, NIGHTS[2], insurer=KYOKAI)
        events = {"1": REGISTERED, "4": ENDED}
        assert kyokai == [item(KYOKAI, REGISTERED, events, begun=REGISTERED, ended=ENDED)]
        assert [one for one in whole if one["insurer"] == KYOKAI] == kyokai


def test_spells_that_began_and_ended_are_those_of_the_oracle(nights: Place) -> None:
    with nights.opened() as centre:
        page = changes(centre, NIGHTS[0], NIGHTS[2])
        begun: Counter[str] = Counter()
        for link, after in told(centre).items():
            before = {spell[:2] for spell in spells_of(told(centre, 1).get(link, ()))}
            begun.update(spell.insurer for spell in spells_of(after) if spell[:2] not in before)
    assert {one["insurer"]: one["spells"]["begun"] for one in page} == {KYOKAI: 0, **begun}


def test_an_insurers_events_are_all_of_its_lines_and_nobody_elses(nights: Place) -> None:
    with nights.opened() as centre:
        found = list(changed_events(centre, BEFORE, NIGHTS[2], KYOKAI))
        last = list(changed_events(centre, NIGHTS[1], NIGHTS[2], KYOKAI))
        assert list(changed_events(centre, NIGHTS[0], NIGHTS[1], KYOKAI)) == []
    rows = Counter()
    for section, frame in found:
        rows[section] += frame.height
        assert not {"link_number", "group_number"} & set(frame.columns)
    assert rows == dict.fromkeys(SECTIONS, REGISTERED + ENDED)
    assert [section for section, _ in last] == ["basic", "qualification", "certificate"]
    for _, frame in last:
        assert set(frame["process_type_code"]) == {"4"}
        assert [f"{one:010d}" for one in frame["member_id"]] == member_ids(nights, "kyokai")[:ENDED]


def test_nights_that_brought_nothing_and_an_insurer_without_lines(nights: Place) -> None:
    with nights.opened() as centre:
        assert changes(centre, NIGHTS[2], "2026-12-31") == []
        assert changes(centre, NIGHTS[0], NIGHTS[0]) == []
        assert changes(centre, BEFORE, NIGHTS[2], insurer="99999999") == []


def test_worker_processes_count_the_same(nights: Place) -> None:
    with nights.opened() as centre:
        before = changes(centre, BEFORE, NIGHTS[2])
        centre.workers.close()
        centre.__dict__["workers"] = Workers(centre, "processes", 1)
        assert changes(centre, BEFORE, NIGHTS[2]) == before


def test_wrong_nights_and_insurers_are_wrong_usage(nights: Place) -> None:
    calls = {
        "history.order": (NIGHTS[1], NIGHTS[0], None),
        "history.night": (NIGHTS[1], "2026-04-31", None),
        "history.insurer_form": (NIGHTS[0], NIGHTS[1], "123456789018"),
    }
    with nights.opened() as centre:
        for key, (since, until, insurer) in calls.items():
            with pytest.raises(UsageError) as error:
                changes(centre, since, until, insurer=insurer)
            assert error.value.key == key


def test_looking_is_logged_with_counts_only(nights: Place) -> None:
    with nights.opened() as centre:
        changes(centre, BEFORE, NIGHTS[2], insurer=KENPO)
    lines = next((nights.root / "log").glob("operations-*.jsonl")).read_text().splitlines()
    entry = json.loads(lines[-1])
    assert (entry["operation"], entry["kind"]) == ("history_changes", "done")
    assert (entry["where"], entry["note"]) == ({"insurer": KENPO}, {"rows": 3 * REGISTERED})
    assert len(SHARED) < REGISTERED  # some persons of the two are not the same

"""One big file: written in pieces, with faults in proportion."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from koukan.formats.model import Format
from koukan.samples import bulk
from koukan.samples.bulk import codes_without_history, write_bulk
from koukan.samples.scenario import SCENARIO

DAY = date(2026, 4, 1)


@pytest.mark.parametrize("whole_record", [False, True])
@pytest.mark.parametrize("place", [1, -1])
def test_counts_are_what_the_lines_come_to(
    form: Format,
    judge: Any,
    read: Callable[..., Any],
    *,
    place: int,
    whole_record: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "PIECE", 300)
    content = io.BytesIO()
    made = write_bulk(
        content,
        form,
        seed=9,
        insurer=SCENARIO.insurers[place],
        persons=1_000,
        sender="kenpo-a",
        as_of=DAY,
        bad_persons=60,
        whole_record=whole_record,
    )
    judged = judge.judge(form, read(content.getvalue(), form).rows)

    assert judged.received.total() == made.counts.received == made.file.lines
    assert judged.rejected.total() == made.counts.rejected > 0
    assert judged.duplicate.total() == made.counts.duplicate > 0
    assert set(made.faults) == set(codes_without_history(SCENARIO.insurers[place]))


def test_equal_thirds_stay_equal(csv_form: Format, read: Callable[..., Any]) -> None:
    insurer = SCENARIO.insurers[1]
    content = io.BytesIO()
    made = write_bulk(
        content,
        csv_form,
        seed=9,
        insurer=insurer,
        persons=500,
        sender="kenpo-a",
        as_of=DAY,
        bad_persons=50,
        codes=codes_without_history(insurer, equal_sections=True),
    )
    end = read(content.getvalue(), csv_form).end

    assert made.counts.received == 1_500
    assert end["basic_count"] == end["qualification_count"] == end["certificate_count"]


def test_a_file_of_several_insurers_has_persons_and_faults_of_each(
    csv_form: Format, judge: Any, read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PIECE", 300)
    health, welfare = SCENARIO.insurers[1], SCENARIO.insurers[-1]
    content = io.BytesIO()
    made = write_bulk(
        content,
        csv_form,
        seed=9,
        insurer=health,
        beside=(health, welfare),
        persons=1_000,
        sender="kenpo-a",
        as_of=DAY,
        bad_persons=90,
        whole_record=True,
        codes=["R101", "R202", "R205", "D301"],
    )
    file = read(content.getvalue(), csv_form)
    judged = judge.judge(csv_form, file.rows)

    assert int(file.end["medical_ticket_count"]) > 0
    assert int(file.end["limit_certificate_count"]) > 0
    assert judged.received[health.code] > judged.received[welfare.code] > 0
    assert judged.rejected.total() == made.counts.rejected > 0
    assert set(made.faults) == {"R101", "R202", "R205", "D301"}

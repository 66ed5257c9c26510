"""管理終了: what is still to be erased stands in `koukan status`, with its age."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
from course_files import CODES
from course_trial import Trial
from slow_registry import NEW, WITHDRAWAL, File, Statement, Told

from koukan import reports
from koukan.cli import render
from koukan.cli.settings import Settings
from koukan.engine import rewriting
from koukan.flows.pmh import ISSUES
from koukan.ledger import rewritings
from koukan.samples.population import Population

SENDER = "kenpo-a"
JAPANESE = Settings({})
NOBODY = {
    "members": 0, "receptions": 0, "received_at": None, "age_seconds": None, "next_run": None
}  # fmt: skip


def test_withdrawn_members_stand_in_status_until_they_are_erased(tmp_path: Path) -> None:
    trial, told = Trial.new(tmp_path), (Told(date(2026, 4, 1)),)
    place = trial.site.place
    numbers = Population(7).numbers(np.array([1, 2])).to_list()

    def said(first: int, process: int) -> File:
        return File(
            SENDER,
            tuple(
                Statement(
                    first + at, process, CODES[SENDER], told, number,
                    member=at if process == WITHDRAWAL else None, member_class="2",
                )
                for at, number in enumerate([*numbers, None], 1)
            ),
        )  # fmt: skip

    def page() -> dict[str, object]:
        with place.opened() as centre:
            return dict(reports.status(centre)["waiting"]["withdrawals"])

    trial.night([said(0, NEW)])
    assert page() == NOBODY
    trial.night([said(10, WITHDRAWAL)])
    assert trial.found == []
    place.now += timedelta(hours=30)
    found = page()
    assert (found["members"], found["receptions"], found["age_seconds"]) == (3, 1, 30 * 3600)
    assert dict(found["next_run"])["job"] == "forget_persons"  # type: ignore[call-overload]
    lines = [str(line) for line in render._withdrawals(JAPANESE, found)]
    assert "3 人" in lines[0]
    assert "1 日前" in lines[0]
    assert "forget_persons" in lines[1]
    never = list(render._withdrawals(JAPANESE, {**found, "next_run": None}))
    assert "koukan run" in str(never[1])
    with place.opened() as centre:  # an erasure of something else, as of PMH-IDs after their years
        other = {"what": ISSUES, "reception": 0, "insurer": "", "rows": 1}
        rewriting.replace(
            centre, rewritings.begin(centre.ledger, rewritings.FORGET, centre.now()), [], [other]
        )
    assert page() == found
    place.run("forget_persons")
    assert page() == NOBODY
    assert list(render._withdrawals(JAPANESE, NOBODY)) == []

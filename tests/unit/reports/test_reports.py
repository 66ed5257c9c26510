"""Reports over a real ledger: what they count, what they leave out, what they cost."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from koukan import reports
from koukan.engine.centre import STEPS
from koukan.errors import UsageError
from koukan.formats import Catalogue, require_catalogue
from koukan.ledger import Counts, Ledger
from koukan.ledger.failures import Failure, forget_failure, put_failure
from koukan.oplog import OperationLog
from koukan.reports.source import Selection
from koukan.shipped import formats_folder, jobs_folder
from koukan.sites import Job, Site, load_jobs, require_site

NOW = datetime(2026, 4, 1, 14, 0, tzinfo=UTC)  # 23:00 in Japan: the night of 1 April
SITE = """
[[insurer]]
code = "06990014"
kind = "health_society"
title = "架空第一健康保険組合"
[[sender]]
name = "kenpo-a"
title = "架空"
doors = ["server_link"]
insurers = ["06990014"]
"""


@dataclass
class Place:
    """A centre, as far as reports look into it."""

    root: Path
    ledger: Ledger
    site: Site
    catalogue: Catalogue
    jobs: dict[str, Job]
    now: datetime = NOW
    numbers: list[int] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.now

    def add(self, outcome: str | None, code: str | None = None, **values: Any) -> int:
        """A reception with 10 lines of one insurer, unless said otherwise."""
        counts = values.pop("counts", None)
        row = {
            "job": "register_members",
            "format": "member_registration",
            "definition": "d",
            "rights": "r",
            "policy": "p",
            "sender": "kenpo-a",
            "door": "server_link",
            "file_name": f"MR_kenpo-a_{len(self.numbers) + 1:06d}.csv",
            "sequence": len(self.numbers) + 1,
            "sha256": "0" * 64,
            "length": 100,
            "original": f"o-{len(self.numbers)}",
            "received_at": "2026-04-01T13:00:00+00:00",
            "state": "closed" if outcome not in (None, "held") else "gated",
            "outcome": outcome,
            "code": code,
            "rows": 10,
            **values,
        }
        number = self.ledger.add_reception(row)
        if counts is not None:
            with self.ledger.begin() as transaction:
                Ledger.put_counts(transaction, number, counts)
        self.numbers.append(number)
        return number


@pytest.fixture
def place(tmp_path: Path) -> Place:
    catalogue = require_catalogue(formats_folder())
    (tmp_path / "site.toml").write_text(SITE)
    ledger = Ledger(tmp_path / "koukan.sqlite")
    ledger.create()
    jobs, problems = load_jobs([jobs_folder()], catalogue, STEPS)
    assert problems == []
    return Place(tmp_path, ledger, require_site(tmp_path / "site.toml", catalogue), catalogue, jobs)


def accepted(received: int = 10, rejected: int = 1) -> list[Counts]:
    kept = received - rejected
    return [Counts("06990014", 2, received, accepted=kept, rejected=rejected)]


def test_a_summary_counts_files_by_outcome_and_lines_of_those_that_passed(place: Place) -> None:
    place.add("accepted", counts=accepted())
    place.add("duplicate", "D101", counts=[Counts("06990014", 2, 10, duplicate=10)])
    place.add("held", "H101", counts=[Counts("06990014", 2, 10, held=10)])
    place.add("refused", "F106", rows=0)
    place.add("refused", "F121", counts=[Counts("06990014", 2, 10)])
    place.add(None)

    found = reports.summary(place)

    assert found["receptions"] == {
        "accepted": 1, "refused": 2, "duplicate": 1, "held": 1, "erased": 0, "open": 1,
    }  # fmt: skip
    assert found["records"] == {
        "received": 30, "accepted": 9, "rejected": 1, "duplicate": 10, "held": 10,
    }  # fmt: skip
    assert found["ledger_balanced"]
    assert found["codes"] == {"D101": 1, "F106": 1, "F121": 1, "H101": 1}
    [insurer] = found["insurers"]
    assert (insurer["insurer"], insurer["files"]) == ("06990014", 3)
    assert insurer["title"] == "架空第一健康保険組合"


@pytest.mark.parametrize(
    "counts",
    [
        [Counts("06990014", 2, 10, accepted=8, rejected=1)],  # one line is nowhere
        accepted(9),  # the gate saw one more
        [],  # nobody's lines
    ],
)
def test_counts_that_do_not_add_up_are_said(place: Place, counts: list[Counts]) -> None:
    place.add("accepted", counts=accepted())
    number = place.add("accepted", counts=counts)

    assert not reports.summary(place)["ledger_balanced"]
    assert not reports.summary(place, [number])["ledger_balanced"]
    assert reports.summary(place, [number - 1])["ledger_balanced"]


def test_a_selection_by_numbers_range_and_night_agree(place: Place) -> None:
    for _ in range(4):
        place.add("accepted", counts=accepted())
    place.add("accepted", counts=accepted(), received_at="2026-04-02T03:00:00+00:00")  # noon: next
    place.add("accepted", counts=accepted(), received_at="2026-04-01T02:59:59+00:00")

    by_night = reports.summary(place, night="2026-04-01")
    assert by_night["receptions"]["accepted"] == 4
    assert by_night == reports.summary(place, [1, 2, 3, 4]) == reports.summary(place, range(1, 5))
    assert reports.summary(place, [])["receptions"]["accepted"] == 0
    assert reports.summary(place, night="2026-04-02")["receptions"]["accepted"] == 1


def test_many_numbers_are_summed_over_several_queries(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("koukan.reports.source.CHUNK", 2)
    numbers = [place.add("accepted", counts=accepted()) for _ in range(5)]

    assert len(Selection.of(numbers).parts) == 3
    assert reports.summary(place, numbers) == reports.summary(place)


def test_a_report_asks_as_often_for_many_receptions_as_for_few(place: Place) -> None:
    asked: list[str] = []
    event.listen(
        place.ledger._engine, "before_cursor_execute", lambda *given: asked.append(given[2])
    )
    place.add("accepted", counts=accepted())
    asked.clear()
    reports.status(place, insurers=True)
    few = len(asked)
    for _ in range(30):
        place.add("accepted", counts=accepted())
    asked.clear()
    reports.status(place, insurers=True)

    assert len(asked) == few


def test_the_verdict_is_that_somebody_is_needed_when_a_file_is_held(place: Place) -> None:
    place.add("held", "H101", counts=[Counts("06990014", 2, 10, held=10)], sequence=3)

    page = reports.status(place)

    assert page["verdict"] == {"state": "needs_you", "count": 1, "code": 10}
    [held] = page["needs_you"]["held"]
    assert (held["code"], held["age_seconds"]) == ("H101", 3600)
    [missing] = page["waiting"]["missing"]
    assert missing == {"sender": "kenpo-a", "format": "member_registration", "sequence": 1}


def test_more_held_files_than_are_listed_are_counted(place: Place) -> None:
    for _ in range(25):
        place.add("held", "H102", counts=[Counts("06990014", 2, 10, held=10)])

    needs = reports.status(place)["needs_you"]

    assert (needs["held_total"], len(needs["held"])) == (25, 20)


def test_files_in_inboxes_and_half_written_names_are_counted_not_named(place: Place) -> None:
    inbox = place.root / "exchange" / "kenpo-a" / "inbox" / "server_link"
    inbox.mkdir(parents=True)
    for name in ("a.csv", "b.csv", "架空 太郎.csv.part"):
        (inbox / name).touch()

    page = reports.status(place)

    assert page["waiting"]["inboxes"] == [
        {
            "sender": "kenpo-a",
            "files": 2,
            "partial": 1,
            "unreadable": 0,
            "aside": {"partial": 1},
            "stuck": 0,
            "over": 0,
        }
    ]
    assert page["verdict"]["state"] == "waiting"
    assert "架空" not in str(page)


OFTEN = ("register_members", "ask_identity", "answer_identity", "confirm_delivery")
OFTEN += ("issue_pmh_ids", "answer_disclosure", "exchange_partners", "answer_online")
OFTEN += ("register_copies", "return_copies")


def failed(place: Place, job: str, exit_: int) -> None:
    at = "2026-04-01T13:51:00+00:00"
    failure = Failure(job, at, exit_, "engine.system_at", {"path": "originals", "known": "x"})
    with place.ledger.begin() as transaction:
        put_failure(transaction, failure)


def test_a_job_that_failed_and_one_that_never_ran_are_told(place: Place) -> None:
    failed(place, "register_members", 40)

    page = reports.status(place)

    assert page["needs_you"]["failed_jobs"] == [
        {
            "job": "register_members",
            "title": "加入者情報登録",
            "exit": 40,
            "finished_at": "2026-04-01 22:51",
            "key": "engine.system_at",
            "where": {"path": "originals", "known": "x"},
        }
    ]
    assert page["verdict"]["code"] == 40
    due = {job["job"]: job["due"] for job in page["waiting"]["due_jobs"]}
    assert due == {
        **dict.fromkeys(OFTEN, "2026-04-01 23:00"),
        "erase_expired": "2026-04-01 08:30",
        "report_errors": "2026-04-01 08:00",
        "export_online": "2026-04-01 08:10",
        "review_spells": "2026-04-01 08:20",
        "provide_usage": "2026-04-01 07:20",
        "retire_pmh_ids": "2026-04-01 09:50",
        "retire_codes": "2026-04-01 09:55",
        "retire_provision_records": "2026-04-01 09:58",
        "forget_persons": "2026-04-01 08:40",
        "compact_tables": "2026-04-01 09:00",
        "acquire_codes": "2026-04-01 08:50",
    }


def test_a_time_before_the_site_was_there_is_not_missed(place: Place) -> None:
    with OperationLog(place.root / "log", "batch", place.clock).operation("init"):
        pass

    missed = {job["job"]: job["missed"] for job in reports.status(place)["waiting"]["due_jobs"]}

    assert missed == {
        **dict.fromkeys(OFTEN, True),
        "erase_expired": False,
        "report_errors": False,
        "export_online": False,
        "review_spells": False,
        "provide_usage": False,
        "retire_pmh_ids": False,
        "retire_codes": False,
        "retire_provision_records": False,
        "forget_persons": False,
        "compact_tables": False,
        "acquire_codes": False,
    }


def test_when_all_ran_and_nothing_waits_it_is_quiet(place: Place) -> None:
    all_ran(place)

    assert reports.status(place)["verdict"] == {"state": "quiet", "count": 0, "code": 0}
    assert reports.standing(place) == 0
    failed(place, "register_members", 21)
    failed(place, "a_job_of_yesteryear", 40)  # which the site has dropped
    assert reports.standing(place) == 21
    assert len(reports.status(place)["needs_you"]["failed_jobs"]) == 1
    with place.ledger.begin() as transaction:
        forget_failure(transaction, "register_members")
    assert reports.status(place)["verdict"]["state"] == "quiet"


def all_ran(place: Place) -> None:
    for job in OFTEN:
        place.ledger.put_job_run(job, "2026-04-01T14:00+00:00", "2026-04-01T14:00:00+00:00", 1.0, 0)
    daily = {
        "report_errors": "2026-03-31T23:00+00:00",
        "export_online": "2026-03-31T23:10+00:00",
        "review_spells": "2026-03-31T23:20+00:00",
        "provide_usage": "2026-03-31T22:20+00:00",
        "retire_pmh_ids": "2026-04-01T00:50+00:00",
        "retire_codes": "2026-04-01T00:55+00:00",
        "retire_provision_records": "2026-04-01T00:58+00:00",
        "erase_expired": "2026-03-31T23:30+00:00",
        "forget_persons": "2026-03-31T23:40+00:00",
        "acquire_codes": "2026-03-31T23:50+00:00",
        "compact_tables": "2026-04-01T00:00+00:00",
    }
    for job, due in daily.items():
        place.ledger.put_job_run(job, due, "2026-04-01T00:01:00+00:00", 1.0, 0)


def test_what_is_still_written_waits_for_the_other_side_alone(place: Place) -> None:
    all_ran(place)
    inbox = place.root / "exchange" / "kenpo-a" / "inbox" / "server_link"
    inbox.mkdir(parents=True)
    (inbox / "a.csv.part").touch()
    assert reports.status(place)["verdict"]["state"] == "others"
    (inbox / "b.csv").touch()
    assert reports.status(place)["verdict"]["state"] == "waiting"


def test_who_holds_the_lease_is_running_and_who_is_gone_is_not(place: Place) -> None:
    (place.root / "locks").mkdir()
    lock = place.root / "locks" / "jobs.lock"
    place.ledger.note_lease("jobs", f"{socket.gethostname()}:{os.getpid()}", NOW.isoformat())
    assert reports.status(place)["running"] is None  # this process has not got the file open

    with lock.open("w"):
        found = reports.status(place)
        assert found["running"]["lease"] == "jobs"
        assert found["verdict"]["state"] == "running"
    place.ledger.note_lease("jobs", f"{socket.gethostname()}:999999999", NOW.isoformat())
    assert reports.status(place)["running"] is None


def test_a_reception_tells_which_steps_it_has_behind_it(place: Place) -> None:
    open_ = reports.reception(place, place.add(None, state="gated"))
    assert [name for name, done in open_["steps"].items() if done] == ["pick_up", "gate"]
    held = reports.reception(place, place.add("held", "H101", told="held H101"))
    assert held["steps"]["acknowledge"] and not held["steps"]["admit"]
    refused = reports.reception(place, place.add("refused", "F106", told="refused F106"))
    assert refused["steps"] == {"pick_up": True, "gate": True, "acknowledge": True}
    late = reports.reception(place, place.add("refused", "F121", group_number=1))
    assert late["steps"]["validate"] and not late["steps"]["acknowledge"]
    done = reports.reception(place, place.add("accepted", told="accepted", counts=accepted()))
    assert all(done["steps"].values())
    assert done["insurers"][0]["rejected"] == 1
    with pytest.raises(UsageError):
        reports.reception(place, 99)


def test_of_a_group_that_is_written_only_the_commit_is_missing(place: Place) -> None:
    number = place.add(None, state="admitted")
    group = place.ledger.form_group(
        "member_registration", [place.ledger.reception(number)], NOW.isoformat()
    )
    assert not reports.reception(place, number)["steps"]["link"]
    with place.ledger.begin() as transaction:
        Ledger.set_group(transaction, group, "written")

    steps = reports.reception(place, number)["steps"]
    assert steps["link"] and not steps["commit"]

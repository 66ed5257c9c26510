"""Every section of the record: who may register it, and that it stands in the history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from journey import checks, nights

from koukan.engine.centre import Centre
from koukan.engine.history import look_up
from koukan.engine.run import run_job
from koukan.flows.registration import HISTORY, PARTITION
from koukan.samples.faults import inject
from koukan.samples.further import FURTHER
from koukan.samples.laying import NIGHT_DAY, Night
from koukan.samples.population import Population
from koukan.samples.registration import Frames, registration_frames
from koukan.samples.scenario import SCENARIO

SENDERS = {  # of one insurer each: what its kind may register beside the three that all have
    "kenpo-a": set(FURTHER) - {"medical_ticket"},
    "kouki-rengo": set(FURTHER) - {"medical_ticket", "elderly_certificate"},
    "fukushi": {"medical_ticket"},
}
PERSONS = 400  # so many that every section has somebody


@pytest.fixture
def site(tmp_path: Path) -> nights.Prepared:
    root, key_file = nights.new_site(tmp_path, nights.site_text())
    return nights.Prepared(root, key_file, datetime(2026, 4, 2, 11, 0, tzinfo=UTC))


def frames_of(night: Night, sender: str, persons: range) -> Frames:
    asking = SCENARIO.sender(sender)
    return registration_frames(
        night.form(asking),
        night.population.select(np.array(persons, np.int64)),
        insurer=SCENARIO.insurer(asking.insurers[0]),
        as_of=NIGHT_DAY,
        whole_record=True,
    )


def lay(night: Night, sender: str, frames: Frames) -> None:
    name, content = night.rendered(SCENARIO.sender(sender), 1, frames)
    night.lay(SCENARIO.sender(sender), name, content)


@pytest.mark.requirement("R032", "R034", "R037")
def test_every_section_is_registered_by_whom_it_is_for_and_stands_in_the_history(
    site: nights.Prepared, opened: Callable[..., Centre]
) -> None:
    night = Night(site.root, Population(nights.SEED), nights.formats(), NIGHT_DAY, 0)
    sent: dict[str, dict[str, int]] = {}
    laid: dict[str, Frames] = {}
    for place, sender in enumerate(SENDERS):
        frames = frames_of(night, sender, range(PERSONS * place, PERSONS * (place + 1)))
        assert {name for name in FURTHER if frames[name].height} == SENDERS[sender]
        lay(night, sender, frames)
        laid[sender] = frames
        sent[sender] = {name: frame.height for name, frame in frames.items()}
    centre = opened(site)
    run_job(centre, nights.REGISTER)
    for reception in centre.ledger.receptions():
        (counts,) = centre.ledger.counts(reception.number)
        assert (counts.rejected, counts.duplicate) == (0, 0)
        assert counts.accepted == sum(sent[reception.sender].values())
    for table in (PARTITION, HISTORY):
        stored = {
            name: sum(file.rows for file in centre.snapshot(table).files(section=name))
            for name in sent["kenpo-a"]
        }
        assert stored == {
            name: sum(counts[name] for counts in sent.values()) for name in sent["kenpo-a"]
        }
    assert checks.problems(centre) == []
    _one_person_says_what_was_sent(centre, laid["fukushi"])


def _one_person_says_what_was_sent(centre: Centre, frames: Frames) -> None:
    """A 医療券 comes out of the history as it went in, its dates as days."""
    ticket = frames["medical_ticket"][0]
    insurer = ticket["insurer_code"].item()
    roster = next(iter(centre.snapshot(PARTITION).files(insurer=insurer, section="medical_ticket")))
    members = centre.snapshot(PARTITION).scan(roster).collect()
    wanted = members.filter(pl.col("ticket_number") == ticket["ticket_number"].item())
    found = look_up(centre, insurer, f"{wanted['member_id'].item():010d}")["medical_ticket"]
    assert found.height == 1
    for name in ("treatment_month", "institution_code", "disease_1", "officer_title"):
        assert found[name].item() == ticket[name].item()
    assert found["start_date"].item().strftime("%Y%m%d") == ticket["start_date"].item()


def test_a_ticket_of_an_insurer_that_issues_none_is_rejected_with_its_person(
    site: nights.Prepared, opened: Callable[..., Centre]
) -> None:
    night = Night(site.root, Population(nights.SEED), nights.formats(), NIGHT_DAY, 0)
    frames, expected = inject(frames_of(night, "kenpo-a", range(50)), "R222", [3, 7])
    lay(night, "kenpo-a", frames)
    centre = opened(site)
    run_job(centre, nights.REGISTER)
    (reception,) = centre.ledger.receptions()
    (counts,) = centre.ledger.counts(reception.number)
    codes = {code: rows for _, code, rows in centre.ledger.findings(reception.number)}
    assert counts.rejected == expected.rejected
    assert codes["R222"] == 2
    assert set(codes) == {"R222", "R302"}

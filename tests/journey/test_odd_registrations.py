"""Registration files whose lines stand in an order, or in a number, that nobody expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from journey import checks, nights
from plain_files import Plain, persons, shipped_format

from koukan.codecs import gate
from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.samples.draws import Ints
from koukan.samples.laying import NIGHT_DAY, Night
from koukan.samples.population import Population
from koukan.samples.registration import registration_frames

SENDER = nights.SMALL.sender("kenpo-a")
NAME = "MR_kenpo-a_000002.csv"


@pytest.fixture
def root(small_site: nights.Prepared, tmp_path: Path) -> Path:
    return small_site.copy(tmp_path / "root")


def laid(root: Path, content: bytes) -> None:
    (root / "exchange/kenpo-a/inbox/dedicated_terminal" / NAME).write_bytes(content)


def sent(root: Path, many: Ints) -> bytes:
    """A good file about persons whom nobody has named."""
    night = Night(root, Population(nights.SEED), nights.formats(), NIGHT_DAY, nights.PERSONS)
    frames = registration_frames(
        night.form(SENDER),
        night.population.select(many),
        insurer=nights.SMALL.insurer(SENDER.insurers[0]),
        as_of=NIGHT_DAY,
    )
    return night.rendered(SENDER, 2, frames)[1]


def test_lines_that_stand_by_section_fill_chunks_of_one_section_alone(
    small_site: nights.Prepared,
    root: Path,
    opened: Callable[..., Centre],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "CUT", 1 << 13)
    monkeypatch.setattr(gate, "BLOCK", 1 << 13)
    first, *lines, last, _ = sent(root, np.arange(1_000, 1_120, dtype=np.int64)).split(b"\r\n")
    lines.sort(key=lambda line: line[11:13])
    laid(root, b"\r\n".join([first, *lines, last, b""]))
    centre = opened(small_site, root)
    run_job(centre, nights.REGISTER)
    reception = centre.ledger.receptions()[-1]
    (counts,) = centre.ledger.counts(reception.number)
    assert (reception.outcome, counts.accepted) == ("accepted", 360)
    assert checks.problems(centre) == []


def test_a_file_of_one_section_is_rejected_line_by_line(
    small_site: nights.Prepared, root: Path, opened: Callable[..., Centre]
) -> None:
    form = shipped_format("csv")
    whole = persons(form, 3, insurer_code=SENDER.insurers[0])
    basic = Plain(
        form,
        tuple(line for line in whole.lines if line[0] == "basic"),
        control={"sender": "kenpo-a", "file_sequence": "000002"},
    )
    laid(root, basic.content())
    centre = opened(small_site, root)
    run_job(centre, nights.REGISTER)
    reception = centre.ledger.receptions()[-1]
    (counts,) = centre.ledger.counts(reception.number)
    codes = {code for _, code, _ in centre.ledger.findings(reception.number)}
    assert (reception.outcome, counts.rejected) == ("accepted", 3)
    assert "R304" in codes
    assert checks.problems(centre) == []

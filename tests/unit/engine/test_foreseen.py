"""A file is gated while it is copied, and its verdict is the one that its copy gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from centres import Place, lay
from plain_files import Plain, shipped_format

from koukan.codecs.gate import BLOCK, Gate, Verdict
from koukan.engine.foreseen import Passing
from koukan.engine.steps import gate, pick_up

JOB = "register_members"


def gated(content: bytes) -> tuple[list[bytes], Verdict]:
    """The blocks behind the gate's helper, and its verdict."""
    blocks = [content[at : at + BLOCK // 2] for at in range(0, len(content), BLOCK // 2)]
    with ThreadPoolExecutor(2) as helpers:
        passing = Passing(shipped_format("csv"), len(content), helpers)
        seen = list(passing.seen(iter(blocks)))
        return seen, passing.verdict()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("spoilt", [False, True])
def test_the_blocks_are_the_same_and_the_verdict_is_the_gates(*, large: bool, spoilt: bool) -> None:
    content = Plain(shipped_format("csv"), ()).content()
    if spoilt:  # at its very beginning: the rest still has to pass
        content = b"\x00" + content
    if large:
        content += b"0123456789" * (BLOCK // 4)
    seen, verdict = gated(content)
    assert b"".join(seen) == content
    expected = Gate(shipped_format("csv")).read([content])
    assert (verdict.code, verdict.line, verdict.rows) == (
        expected.code,
        expected.line,
        expected.rows,
    )


def test_a_copy_is_read_again_only_where_nobody_saw_it_pass(tmp_path: Path) -> None:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    lay(place, "kenpo-a", 1, persons=5)
    with place.opened() as centre:
        pick_up.run(centre, centre.jobs[JOB])
        (copy,) = (place.root / "originals").iterdir()
        away = copy.rename(tmp_path / copy.name)  # to read it would fail
        gate.run(centre, centre.jobs[JOB])
        (found,) = centre.ledger.receptions()
        assert found.state == "gated"
    away.rename(copy)
    lay(place, "kenpo-a", 2, persons=5, first_person=100)
    with place.opened() as centre:
        pick_up.run(centre, centre.jobs[JOB])
        last = centre.ledger.receptions()[-1]
    with place.opened() as centre:  # the successor of a killed run
        gate.run(centre, centre.jobs[JOB])
        again = centre.ledger.reception(last.number)
        assert (again.state, again.rows) == ("gated", found.rows)


def test_a_verdict_by_another_definition_does_not_count(tmp_path: Path) -> None:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    lay(place, "kenpo-a", 1, persons=5)
    with place.opened() as centre:
        pick_up.run(centre, centre.jobs[JOB])
        (found,) = centre.ledger.receptions()
        other = replace(found, definition="of another day")
        assert centre.foreseen.take(other) is None

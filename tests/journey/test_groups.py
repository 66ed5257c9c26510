"""Files of one night mean the same whether they are worked on together or one after another.

How files fall into groups is an accident of size, of limits, and of when they came. So each little
story here is told twice: all its files in one group, and each in a group of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from journey import checks, nights
from journey.nights import Said

from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.samples.registration import CHANGE, LOSS, NEW, RE_ENTRY

Open = Callable[..., Centre]
Story = list[tuple[str, int, list[Said]]]  # sender, sequence, what its file says
KNOWN, OTHER, FRESH, SPARE = 0, 1, 500, 510  # persons; the first two are registered at kenpo-a

STORIES: dict[str, Story] = {
    "a number changes, then another insurer registers the person by the new one": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
        ("kenpo-b", 3, [Said(KNOWN, NEW, number_of=SPARE)]),
    ],
    "a number changes, then another insurer registers the person by the old one": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
        ("kenpo-b", 3, [Said(KNOWN, NEW)]),
    ],
    "a number changes, then the insurer tells of a loss by the new one": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
        ("kenpo-a", 3, [Said(KNOWN, LOSS, number_of=SPARE)]),
    ],
    "a number changes, then the insurer tells of a re-entry by the new one": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
        ("kenpo-a", 3, [Said(KNOWN, RE_ENTRY, number_of=SPARE)]),
    ],
    "a number is registered, then another person's number changes to it": [
        ("kenpo-a", 2, [Said(FRESH, NEW)]),
        ("kenpo-a", 3, [Said(KNOWN, CHANGE, new_number_of=FRESH)]),
    ],
    "two persons' numbers change to the same one": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
        ("kenpo-a", 3, [Said(OTHER, CHANGE, new_number_of=SPARE)]),
    ],
    "a number changes twice": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
        ("kenpo-a", 3, [Said(KNOWN, CHANGE, number_of=SPARE, new_number_of=SPARE + 1)]),
    ],
    "the same change of number is told twice": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
        ("kenpo-a", 3, [Said(KNOWN, CHANGE, new_number_of=SPARE)]),
    ],
    "a new person comes back under the same number": [
        ("kenpo-a", 2, [Said(FRESH, NEW)]),
        ("kenpo-a", 3, [Said(FRESH, RE_ENTRY)]),
        ("kenpo-b", 3, [Said(FRESH, RE_ENTRY)]),
    ],
    "a re-entry comes before the registration": [
        ("kenpo-a", 2, [Said(FRESH, RE_ENTRY)]),
        ("kenpo-a", 3, [Said(FRESH, NEW)]),
    ],
    "a number changes, others take the old one and the new one": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=SPARE), Said(FRESH, NEW)]),
        ("kenpo-a", 3, [Said(OTHER, CHANGE, new_number_of=KNOWN), Said(KNOWN, LOSS)]),
        ("kenpo-b", 3, [Said(FRESH, NEW, number_of=SPARE), Said(FRESH + 1, NEW)]),
    ],
    "a change of number is rejected, a later file takes the number": [
        ("kenpo-a", 2, [Said(KNOWN, CHANGE, new_number_of=OTHER)]),
        ("kenpo-a", 3, [Said(KNOWN, CHANGE, new_number_of=SPARE), Said(OTHER, LOSS)]),
        ("kenpo-b", 3, [Said(FRESH, NEW, number_of=SPARE)]),
    ],
    "a person is registered twice": [
        ("kenpo-a", 2, [Said(FRESH, NEW)]),
        ("kenpo-a", 3, [Said(FRESH, NEW), Said(KNOWN, NEW)]),
    ],
}


def run_story(site: nights.Prepared, story: Story, folder: Path, files: int) -> dict[str, object]:
    root = site.copy(folder)
    limits = ["pandera_rows = 0", f"group_files = {files}"]
    text = nights.site_text(nights.SMALL, top="buckets = 2", limits=limits)
    (root / "site.toml").write_text(text, encoding="utf-8")
    # kenpo-b's 000002 was refused in the earlier night: it comes again, so that 000003 may.
    nights.lay_said(root, "kenpo-b", 2, [Said(590)])
    for sender, sequence, said in story:
        nights.lay_said(root, sender, sequence, said)
    centre = site.open(root)
    run_job(centre, nights.REGISTER)
    told = checks.told(centre)
    accepted = [item.outcome for item in centre.ledger.receptions()[4:]]
    assert accepted == ["accepted"] * (len(story) + 1)
    assert checks.problems(centre) == []
    centre.close()
    return told


@pytest.mark.parametrize("story", STORIES)
def test_a_story_ends_the_same_in_one_group_and_file_by_file(
    story: str, small_site: nights.Prepared, tmp_path: Path
) -> None:
    together = run_story(small_site, STORIES[story], tmp_path / "together", 500)
    apart = run_story(small_site, STORIES[story], tmp_path / "apart", 1)
    assert together == apart


def test_a_file_without_a_bad_line_goes_through_worker_processes(
    small_site: nights.Prepared, tmp_path: Path, opened: Open
) -> None:
    """Worker processes share no memory, so what is empty must reach them, too."""
    root = small_site.copy(tmp_path / "root")
    text = nights.site_text(nights.SMALL, top="buckets = 2", workers=['kind = "processes"'])
    (root / "site.toml").write_text(text, encoding="utf-8")
    nights.lay_said(root, "kenpo-a", 2, [Said(FRESH), Said(KNOWN, LOSS)])
    centre = opened(small_site, root)
    run_job(centre, nights.REGISTER)
    last = centre.ledger.receptions()[-1]
    assert (last.outcome, centre.ledger.findings(last.number)) == ("accepted", [])
    assert checks.problems(centre) == []

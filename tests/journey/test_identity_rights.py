"""Who may ask what by which door: every kind, function and door through a real file each."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from journey import nights
from journey.acts import ASK
from journey.outside import Keys, with_package_keys

from koukan.engine.run import run_job
from koukan.ledger import identity as asked
from koukan.samples.laying import NIGHT_DAY, Night
from koukan.samples.population import Population
from koukan.samples.questions import question_frames
from koukan.samples.scenario import INSURERS, SampleSender, Scenario

TERMINAL = "dedicated_terminal"
DOORS = (TERMINAL, "server_link", "nhi_aggregation")
FUNCTIONS = tuple(product(("my_number_query", "basic_four_query"), "12"))
# Kind -> functions that it has by the terminal; by any other door nobody has any.
EVERYTHING = set(FUNCTIONS)
MAY = {
    "association": EVERYTHING,
    "health_society": EVERYTHING,
    "nhi_society": EVERYTHING,
    "elderly_union": EVERYTHING,
    "national_mutual": EVERYTHING,
    "local_mutual": EVERYTHING,
    "private_school": EVERYTHING,
    "municipal_nhi": set(),
    "welfare": {("basic_four_query", "2")},
}
WRONG_DOOR, NO_RIGHT = "F202", "F203"


def scenario() -> Scenario:
    """One insurer of each kind; each speaks for itself through every door."""
    by_kind = {insurer.kind: insurer for insurer, _ in INSURERS.values()}
    insurers = tuple(by_kind[kind] for kind in MAY)
    senders = tuple(
        SampleSender(kind.replace("_", "-"), by_kind[kind].title, DOORS, (by_kind[kind].code,))
        for kind in MAY
    )
    return Scenario(insurers, (1.0,) * len(insurers), senders)


def lay(night: Night, sender: SampleSender, everybody: Scenario) -> dict[str, bool]:
    """A file for each function and door: name -> whether it may be asked; those in front."""
    kind = everybody.insurer(sender.insurers[0]).kind
    cases = [
        (form, mode, door, door == TERMINAL and (form, mode) in MAY[kind])
        for (form, mode), door in product(FUNCTIONS, DOORS)
    ]
    laid, sequences = {}, dict.fromkeys(("my_number_query", "basic_four_query"), 0)
    for form, mode, door, allowed in sorted(cases, key=lambda case: not case[3]):
        sequences[form] += 1
        own = replace(sender, format=form, doors=(door,))
        definition = night.formats[form]
        persons = np.array([sequences[form]], np.int64)
        insurer = everybody.insurer(sender.insurers[0])
        frames = question_frames(definition, night.population, persons, insurer=insurer)
        name, content = night.rendered(own, sequences[form], frames, control={"query_mode": mode})
        night.lay(own, name, content)
        laid[name] = allowed
    return laid


@pytest.mark.requirement("R122", "R123", "R124", "R125", "R126", "R127", "R130")
def test_each_kind_asks_what_it_may_by_the_terminal_and_nothing_else(tmp_path: Path) -> None:
    everybody, keys = scenario(), Keys(tmp_path / "people")
    codes = [insurer.code for insurer in everybody.insurers]
    keys.make(codes)
    text = with_package_keys(nights.site_text(everybody), keys, codes)
    root, key_file = nights.new_site(tmp_path, text)
    night = Night(root, Population(nights.SEED), nights.formats(), NIGHT_DAY, nights.PERSONS)
    expected: dict[str, bool] = {}
    for sender in everybody.senders:
        expected |= lay(night, sender, everybody)
    assert len(expected) == 9 * 4 * 3
    centre = nights.Prepared(root, key_file, nights.LATER).open()
    run_job(centre, ASK)
    found = {item.file_name: item for item in centre.ledger.receptions()}
    assert {name: item.outcome == "accepted" for name, item in found.items()} == expected
    refused = [item for item in found.values() if item.outcome == "refused"]
    assert {item.code for item in refused} == {WRONG_DOOR, NO_RIGHT}
    assert {item.code for item in refused if item.door == TERMINAL} == {NO_RIGHT}
    stored = {item.insurer for item in asked.questions(centre.ledger)}
    of_kind = {insurer.code: insurer.kind for insurer in everybody.insurers}
    assert {of_kind[code] for code in stored} == set(MAY) - {"municipal_nhi"}
    assert len(asked.questions(centre.ledger)) == sum(expected.values()) == 7 * 4 + 1
    centre.close()

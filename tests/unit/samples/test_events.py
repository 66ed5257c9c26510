"""The demo's second night ends as its acts say, and shows what they are there for."""

from __future__ import annotations

from pathlib import Path

from centres import LIMITS, Place

from koukan.engine.initialise import initialise
from koukan.engine.verify import verify_ledger
from koukan.ledger import reviews
from koukan.samples.events import ACTS, lay_events, lay_registrations
from koukan.samples.expected import ExpectedNight
from koukan.samples.scenario import INSURERS, site_toml

SEED = 7


def ended(place: Place, planned: ExpectedNight) -> None:
    with place.opened() as centre:
        found = {item.file_name: item for item in centre.ledger.receptions()}
        for file in planned.files:
            reception = found[file.name]
            assert (reception.outcome, reception.code) == (file.outcome, file.code)
            counts = centre.ledger.counts(reception.number)
            for item in counts:
                wanted = file.counts[item.insurer]
                told = (item.received, item.accepted, item.rejected)
                assert told == (wanted.received, wanted.accepted, wanted.rejected), (
                    file.name,
                    centre.ledger.findings(reception.number),
                )
            given = {code for _, code, _ in centre.ledger.findings(reception.number)}
            assert {code for code in given if code[0] == "R"} - {"R302"} == set(file.faults)


def receptions(place: Place) -> int:
    with place.opened() as centre:
        return centre.ledger.newest()


def test_every_act_ends_as_it_says(tmp_path: Path) -> None:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key")
    place.root.mkdir()
    place.write_site(f"buckets = 2\n{site_toml()}{LIMITS}")
    initialise(place.root, place.key)
    for lay in (lay_registrations, lay_events):
        planned = lay(place.root, SEED, 0)
        place.run()
        ended(place, planned)
    before = receptions(place)
    lay_registrations(place.root, SEED, 0)  # the same bytes: nothing new
    place.run()
    assert receptions(place) == before
    place.run("review_spells")
    with place.opened() as centre:
        codes_found = {
            code
            for number in range(1, centre.ledger.newest() + 1)
            for _, code, _ in centre.ledger.findings(number)
        }
        assert {"W413", "W421", "W422", *(act.code for act in ACTS if act.code)} <= codes_found
        told = reviews.notices(centre.ledger)
        kenpo = [one for one in told if one.insurer == INSURERS["kenpo-a"][0].code]
        assert sum(one.same for one in kenpo) == 1
        assert sum(one.other for one in kenpo) >= 1
    place.run("forget_persons")
    with place.opened() as centre:
        assert verify_ledger(centre) == []
    assert {act.process for act in ACTS if act.process} == set("2345678")

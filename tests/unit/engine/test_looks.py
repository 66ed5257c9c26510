"""Looks that take a right of their own: the signature of one person, under one question, once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from centres import Place, lay
from histories import KENPO, KYOKAI
from staff import Staff, employ
from statements import joined, parted, say

from koukan.engine.centre import Centre
from koukan.engine.history import Member
from koukan.engine.looks import authorised, numbers_of, question
from koukan.errors import UsageError
from koukan.flows.registration import PARTITION, ROSTER
from koukan.keys.approval import NAMESPACE
from koukan.samples.population import Population

SATO = Staff("sato", rights=("number",))
SUZUKI = Staff("suzuki", rights=("send", "store", "look", "review"))
KIMURA = Staff("kimura", rights=("number",), operator="nhi_central")
OLD = Staff("old", rights=("number",), revoked=True)
STRANGER = Staff("stranger")
SUBJECT = {"insurer": KYOKAI, "member_id": "0000000001", "purpose": "disclosure"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    employ(place.root, SATO, SUZUKI, KIMURA, OLD)
    lay(place, "kyokai", 1, persons=3)
    lay(place, "kenpo-a", 1, persons=3, first_person=50)
    place.run()
    return place


def signed(staff: Staff, text: str) -> bytes:
    return staff.signing.sign(text.encode(), NAMESPACE)


def look(centre: Centre, staff: Staff, **altered: Any) -> str:
    """The name of whom it is allowed to."""
    subject = {**SUBJECT, **altered}
    text = question(centre, "number", subject)
    return authorised(centre, text, signed(staff, text), "number", subject).name


def refused(centre: Centre, staff: Staff, **altered: Any) -> str:
    with pytest.raises(UsageError) as error:
        look(centre, staff, **altered)
    return error.value.key


def entries(place: Place) -> list[dict[str, Any]]:
    lines = [path.read_text().splitlines() for path in sorted((place.root / "log").glob("*.jsonl"))]
    found = [json.loads(line) for part in lines for line in part]
    return [entry for entry in found if str(entry.get("operation")).startswith("look_")]


@pytest.mark.requirement("R170")
def test_only_who_has_the_right_for_the_insurer_is_answered_and_each_try_is_logged(
    place: Place,
) -> None:
    with place.opened() as centre:
        assert look(centre, SATO) == "sato"
        assert refused(centre, SUZUKI) == "looks.no_right"
        assert refused(centre, OLD) == "looks.not_valid"
        assert refused(centre, STRANGER) == "looks.nobody"
        assert refused(centre, KIMURA) == "looks.other_operator"
        nhi = next(one.code for one in centre.site.insurers if one.kind == "municipal_nhi")
        assert look(centre, KIMURA, insurer=nhi) == "kimura"
        assert refused(centre, SATO, insurer=nhi) == "looks.other_operator"
    told = entries(place)
    assert {entry["actor"] for entry in told} == {"sato", "suzuki", "old", "kimura"}
    assert {entry["where"]["code"] for entry in told if "where" in entry} == {"disclosure"}
    assert "0000000001" not in json.dumps(told)


def test_a_question_is_answered_once_and_for_an_hour(place: Place) -> None:
    with place.opened() as centre:
        text = question(centre, "number", SUBJECT)
        given = signed(SATO, text)
        authorised(centre, text, given, "number", SUBJECT)
        with pytest.raises(UsageError, match=r"looks\.used"):
            authorised(centre, text, given, "number", SUBJECT)
        late = question(centre, "number", SUBJECT)
    place.now += timedelta(minutes=61)
    with place.opened() as centre:
        with pytest.raises(UsageError, match=r"looks\.old"):
            authorised(centre, late, signed(SATO, late), "number", SUBJECT)
        early = question(centre, "number", SUBJECT)
    place.now -= timedelta(minutes=10)
    with place.opened() as centre, pytest.raises(UsageError, match=r"looks\.old"):
        authorised(centre, early, signed(SATO, early), "number", SUBJECT)


@pytest.mark.parametrize(
    "altered",
    [
        {"operation": "review"},
        {"subject": {**SUBJECT, "member_id": "0000000002"}},
        {"subject": {**SUBJECT, "purpose": "audit"}},
        {"further": 1},
        {"asked_at": "2026-04-01T01:00:00"},
        {"asked_at": 7},
        {"asked_at": "soon"},
    ],
)
def test_another_question_is_not_answered(place: Place, altered: dict[str, Any]) -> None:
    """Signed as it is, by somebody who has the right."""
    with place.opened() as centre:
        asked = {**json.loads(question(centre, "number", SUBJECT)), **altered}
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        for one in (text, text + " ", "[]", "{"):
            with pytest.raises(UsageError, match=r"looks\.other"):
                authorised(centre, one, signed(SATO, one), "number", SUBJECT)


def test_a_signature_under_something_else_or_by_the_batch_is_none(place: Place) -> None:
    with place.opened() as centre:
        text = question(centre, "number", SUBJECT)
        with pytest.raises(UsageError, match=r"keys\.signature_content"):
            authorised(centre, text, signed(SATO, text + " "), "number", SUBJECT)
        assert centre.signer.ssh.point.hex() == json.loads(text)["site"]


def member_of(centre: Centre, insurer: str, at: int) -> tuple[int, int]:
    snapshot = centre.snapshot(PARTITION)
    rows = snapshot.read(snapshot.files(insurer=insurer, section=ROSTER), section=ROSTER)
    member, link = rows.sort("link_number").select("member_id", "link_number").row(at)
    return int(member), int(link)


def test_all_numbers_of_the_person_are_told_and_no_strangers(place: Place) -> None:
    """Joined by one insurer, and again without the one that the person was parted from."""
    with place.opened() as centre:
        (one, mine), (other, theirs) = (member_of(centre, KYOKAI, at) for at in (0, 1))
        stranger, third = member_of(centre, KENPO, 0)
        who = Member(KYOKAI, f"{one:010d}")
        (alone,) = numbers_of(centre, who)
        (second,) = numbers_of(centre, Member(KYOKAI, f"{other:010d}"))
        registered = set(Population(7).numbers(np.arange(60)).to_list())
        assert len({alone.my_number, second.my_number} & registered) == 2
        assert (alone.origin, centre.ledger.reception(alone.reception).sender) == (
            "issued",
            "kyokai",
        )
        say(centre, [joined(one, theirs, mine, 50, insurer=int(KYOKAI))], group=50)
        both = [number.my_number for number in numbers_of(centre, who)]
        assert sorted(both) == sorted([alone.my_number, second.my_number])
        say(centre, [parted(one, mine, third, 51, insurer=int(KYOKAI))], group=51)
        (right,) = numbers_of(centre, Member(KENPO, f"{stranger:010d}"))
        assert numbers_of(centre, who) == [right]

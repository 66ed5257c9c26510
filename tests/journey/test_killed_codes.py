"""機関別符号: whatever was killed comes to the same end when it is done again.

The kills are real (SIGKILL): of jobs at their boundaries, of what staff do before anything that
lasts. With KOUKAN_TEST_LONG=1 at every one of them, by default at drawn ones.
"""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from centres import JOB, Place, lay
from codes_site import ACQUIRE, ADMIN, SATO, answer, copied, events, give, send, site, wish
from histories import lay_losses, member_ids
from journey import checks, nights
from journey.killing import command, drawn, killed, undisturbed
from staff import key_file
from withdrawals import members

from koukan.cli import main
from koukan.engine import reissuing
from koukan.engine.digest import state_digest
from koukan.engine.erasing import plan
from koukan.ledger import code_lists
from koukan.ledger import codes as asked
from koukan.samples.scenario import INSURERS

KENPO_A, KENPO_B, CITY = (INSURERS[name][0].code for name in ("kenpo-a", "kenpo-b", "mihon-shi"))
RETIRE = "retire_codes"
STAFF = ("register", "approve", "extract", "destroyed", "check") if nights.LONG else ("register",)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Thirteen persons, for whose codes was asked. Copy it."""
    place = site(tmp_path_factory.mktemp("codes"))
    send(place)
    return place


def listed(place: Place, insurer: str) -> list[str]:
    """An insurer's members as a list for reissue names them."""
    with place.opened() as centre:
        return [f"{insurer},{one.member_id:010d}\n" for one in members(centre, insurer)]


def test_acquiring_and_reissuing_may_be_killed_anywhere(sent: Place, tmp_path: Path) -> None:
    """Wishes, codes that came in part, persons who are new, and a list of staff to its end."""
    place = copied(sent, tmp_path / "own")
    answer(place, late=40)
    own, citizen = listed(place, KENPO_A), listed(place, CITY)
    wish(place, ["0000000000", *(line[9:19] for line in own)])
    lay(place, "kenpo-b", 2, persons=2, first_person=40)
    place.run(JOB)
    with place.opened() as centre:
        reissuing.register(centre, "".join(citizen).encode(), centre.site.persons[0])
    place.now += timedelta(days=1)
    acts = [ACQUIRE, f"approve:{key_file(tmp_path, SATO)}", ACQUIRE]
    acts += ["answer", ACQUIRE, "check", ACQUIRE]
    whole = copied(place, tmp_path / "whole")
    count = undisturbed(whole, acts)
    assert count > 80
    with whole.opened() as centre:
        first, new, *_ = (one.rows for one in asked.all_requests(centre.ledger))
        assert first == 13
        assert new >= 2  # who is new, and whoever is asked for again, drawn by their numbers
        assert [one.state for one in code_lists.all_lists(centre.ledger)] == ["erased"]
        wanted = state_digest(centre)
        assert checks.problems(centre) == []
    for at in drawn(count, 1, seed=7):
        mine = copied(place, tmp_path / f"{at}")
        killed(mine, at, acts)
        with mine.opened() as centre:
            assert state_digest(centre) == wanted, at
            assert checks.problems(centre) == [], at
        shutil.rmtree(mine.root.parent)


@pytest.fixture(scope="module")
def answered(sent: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same when everybody was answered. Copy it."""
    place = copied(sent, tmp_path_factory.mktemp("answered") / "own")
    answer_all(place, 1)
    return place


def answer_all(place: Place, request: int) -> None:
    """Everybody in a request gets a code: nothing is drawn."""
    rows = events(place).filter(event="asked", request=request)
    numbers = rows["request_record_number"].to_list()
    codes = [(f"{number:016d}", "1", f"N{number:016d}", "0000") for number in numbers]
    give(place, codes, request)
    place.run(ACQUIRE)


@pytest.mark.requirement("R162", "R165", "R166")
def test_codes_go_when_the_last_qualification_ended_long_enough_ago(
    answered: Place, tmp_path: Path
) -> None:
    """Old codes as well; not while another insurer, be it 市町村国保, has the person."""
    place = copied(answered, tmp_path / "own")
    ids = member_ids(place, "kenpo-a")
    with place.opened() as centre:
        (first,) = (one for one in members(centre, KENPO_A) if one.member_id == int(ids[0]))
        reissuing.register(centre, f"{KENPO_A},{ids[0]}\n".encode(), centre.site.persons[0])
    send(place)
    answer_all(place, 2)
    # Of its eight members the second becomes 市町村国保's, the last stays, four are another's, too.
    lay(place, "nhi-aggregation", 2, persons=1, first_person=1, insurer="mihon-shi")
    lay_losses(place, "kenpo-a", 2, ids[:7], on=place.now)
    place.run(JOB)
    with place.opened() as centre:
        links = [{one.link for one in members(centre, code)} for code in (KENPO_A, KENPO_B, CITY)]
    before, gone = events(place), links[0] - links[1] - links[2]
    mine = pl.col("link_number").is_in(gone)
    assert len(gone) == 3 and before.filter(mine, event="set", link_number=first.link).height == 2
    lost = place.now
    place.now = lost + timedelta(days=4 * 365)
    place.run(RETIRE)
    assert events(place).equals(before)
    place.now = lost + timedelta(days=5 * 365 + 2)
    with place.opened() as centre:
        assert [one.rows for one in plan(centre) if one.what == "codes"] == [3]
    whole = copied(place, tmp_path / "whole")
    count = undisturbed(whole, [RETIRE])
    for at in (0, *drawn(count, 0, seed=9)):
        own = whole if at == 0 else copied(place, tmp_path / f"{at}")
        if at:
            killed(own, at, [RETIRE])
        assert events(own).equals(before.filter(~mine)), at
        with own.opened() as centre:
            assert [one for one in plan(centre) if one.what == "codes"] == []
            assert checks.problems(centre) == [], at
            records = [row for row in centre.ledger.erasures() if row.what == "members"]
            erased = [json.loads(row.record)["counts"]["linkage_codes"] for row in records]
        rows = sum(sum(by.values()) for counts in erased for by in counts.values())
        assert rows == before.filter(mine).height
    # Whoever is told of again, and is nobody's any more, is not asked for; who is somebody's is.
    lay_losses(whole, "kenpo-a", 3, ids[:1], on=lost)
    lay(whole, "kenpo-b", 2, persons=1, first_person=2)
    whole.run(JOB)
    whole.run(ACQUIRE)
    with whole.opened() as centre:
        (again,) = (one for one in members(centre, KENPO_A) if one.member_id == int(ids[2]))
    assert [*events(whole).filter(mine)["link_number"].unique()] == [again.link]


class Desk:
    """What staff do with a list and a medium, and what they do when they find it half done."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.list, self.copy = place, folder / "list.csv", folder / "copy.csv"
        where = ("--root", str(place.root), "--key", str(place.key))
        sato, admin = (str(key_file(folder, one)) for one in (SATO, ADMIN))
        self.list.write_text("".join(listed(place, KENPO_A)[:2]))
        copying = ("--medium", "USB-1", "--reason", "符号危殆化", "--output", str(self.copy))
        by_sato, by_admin = ("--person-key", sato, *where), ("--person-key", admin, *where)
        reissue = ("codes", "reissue")
        self.commands = {
            "register": (*reissue, "register", str(self.list), *by_sato),
            "approve": ("media", "approve", "USB-1", *by_admin),
            "extract": (*reissue, "extract", *copying, "--second-key", sato, *by_admin),
            "destroyed": ("media", "destroyed", "USB-1", *by_admin),
            "check": (*reissue, "check", "1", *by_sato),
        }

    def done(self, act: str) -> bool:
        """Whether who looks finds it done."""
        with self.place.opened() as centre:
            media = code_lists.all_media(centre.ledger)
            lists = code_lists.all_lists(centre.ledger)
        return {
            "register": bool(lists),
            "approve": bool(media),
            "extract": self.copy.exists(),
            "destroyed": any(one.destroyed_at for one in media),
            "check": any(one.state == "checked" for one in lists),
        }[act]

    def do(self, act: str) -> None:
        """Once more, where it is not done."""
        if not self.done(act):
            assert main([*self.commands[act]]) == 0, act

    def prepare(self, act: str) -> None:
        """All that comes before an act."""
        if act == "check":
            self.do("register")
            send(self.place)
            answer_all(self.place, 2)
        elif act in ("extract", "destroyed"):
            self.do("approve")
            if act == "destroyed":
                self.do("extract")

    def end(self) -> dict[str, object]:
        """What it came to, but for how often it was tried."""
        with self.place.opened() as centre:
            assert checks.problems(centre) == []
            lists = code_lists.all_lists(centre.ledger)
            copies = code_lists.all_copies(centre.ledger)
            media = code_lists.all_media(centre.ledger)
        return {
            "lists": [(one.number, one.sha256, one.rows, one.state) for one in lists],
            "copies": {(one.label, one.sha256, one.rows) for one in copies},
            "media": [(one.label, one.destroyed_at is not None) for one in media],
            "copied": {path.name: path.read_bytes() for path in self.copy.parent.glob("copy*")},
        }


@pytest.mark.parametrize("act", STAFF)
def test_what_staff_do_may_be_killed_before_anything_that_lasts(
    answered: Place, tmp_path: Path, act: str
) -> None:
    """They look, and do again what is not done."""
    folder = tmp_path / "desk"
    folder.mkdir()
    before = copied(answered, tmp_path / "before")
    Desk(before, folder).prepare(act)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}

    def desk(name: str) -> Desk:
        """The site and the desk as they were before the act."""
        shutil.rmtree(folder)
        folder.mkdir()
        for file, content in kept.items():
            (folder / file).write_bytes(content)
        return Desk(copied(before, tmp_path / name), folder)

    whole = desk("whole")
    count = command(0, *whole.commands[act])
    whole.do(act)
    wanted = whole.end()
    for at in drawn(count, 1, seed=6):
        own = desk(f"{at}")
        command(at, *own.commands[act])
        if act == "register" and not own.done(act):
            own.place.run(ACQUIRE)  # nobody does it again: nothing of it is left
            left = {path.name for path in (own.place.root / "requests").iterdir()}
            assert not [name for name in left if name.startswith("l")]
        own.do(act)
        assert own.end() == wanted, at
        shutil.rmtree(own.place.root.parent)

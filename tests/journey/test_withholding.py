"""Answers below the site's level: withheld and decided in bulk, an outcome of its own at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from journey import checks, nights, outside
from journey.acts import ANSWER, ASK, DELIVER, ERASE, Outside
from journey.nights import Prepared
from journey.stops import stopping
from journey.whole import KENPO_B, lay_file
from sqlalchemy import update

from koukan.cli import main
from koukan.engine import withholding
from koukan.engine.approvals import approve
from koukan.engine.centre import Centre
from koukan.engine.desk import open_desk
from koukan.engine.packages import open_package
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit, UsageError
from koukan.keys.package import load_package_identity
from koukan.keys.sshsig import load_private_key
from koukan.ledger import identity as asked
from koukan.ledger import withholding as kept
from koukan.reports import identity, status

Open = Callable[..., Centre]
ELSEWHERE = "架空県試験市新町９番"
ASKED = range(520, 526)
WEAK = [3, 5, 7]  # lines of the persons who live elsewhere


def some_elsewhere(rows: list[outside.Row]) -> list[outside.Row]:
    """Every second one is found at another address; nobody is left out."""
    return [
        outside.found(row, **({"address": ELSEWHERE} if place % 2 else {}))
        for place, row in enumerate(rows)
    ]


def strict_site(whole: Prepared, folder: Path) -> Path:
    """A site with `release_below = "C"`, six bulk questions in its inboxes."""
    root = whole.copy(folder / "root")
    for path in nights.inbox_files(root):
        path.unlink()
    site = root / "site.toml"
    more = '\n[identity]\nrelease_below = "C"\n'
    site.write_text(site.read_text(encoding="utf-8") + more, encoding="utf-8")
    night = nights.Night(
        root, nights.Population(nights.SEED), nights.formats(), nights.NIGHT_DAY, nights.PERSONS
    )
    lay_file(night, "kenpo-b", "my_number_query", ASKED)
    return root


def people_of(whole: Prepared, folder: Path) -> Outside:
    keys = outside.Keys(whole.people)
    return Outside(folder / "root", keys, folder / "outside", whole.now, KENPO_B)


@pytest.fixture(scope="module")
def withheld_site(whole: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that site, its questions answered. Copy it."""
    folder = tmp_path_factory.mktemp("withheld")
    centre = whole.open(strict_site(whole, folder))
    answered(centre, people_of(whole, folder))
    centre.close()
    return folder


@pytest.fixture
def strict(
    whole: Prepared, withheld_site: Path, tmp_path: Path, opened: Open
) -> tuple[Centre, Outside, Open]:
    """The centre of a copy, and how to open it later."""
    folder = tmp_path / "site"
    shutil.copytree(withheld_site, folder, symlinks=True)

    def at(**later: int) -> Centre:
        return opened(replace(whole, now=whole.now + timedelta(**later)), folder / "root")

    return at(), people_of(whole, folder), at


def answered(centre: Centre, people: Outside) -> None:
    """Until what was asked is answered, stored and packaged."""
    run_job(centre, ASK)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ASK)
    net = people.juki_net()
    net.decide = some_elsewhere
    net.answer()
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)


def told(centre: Centre, people: Outside, into: Path) -> dict[int, tuple[str, str, bool]]:
    """Line -> result, level, and whether anybody's item stands there; of all packages."""
    key = load_package_identity(people.keys.folder / f"{KENPO_B}.txt")
    into.mkdir(exist_ok=True)
    found = {}
    for number, path in enumerate(outside.packages_of(people.root, "kenpo-b")):
        target = into / f"{path.stem}-{number}"
        opened = open_package(path, key, centre.signer.ssh, target)
        form = nights.formats()[opened.manifest.about.kind]
        for file in opened.files:
            for row in nights.records_of((target / file.name).read_bytes(), form):
                line = int(row["line_number"])
                assert line not in found
                level, result = row["match_level"], row["query_result_class"]
                found[line] = (result, level, bool(row["my_number"] or row["resident_name"]))
    return found


def sign(people: Outside, number: int, who: str) -> None:
    desk = open_desk(people.root, clock=lambda: people.now)
    try:
        path = people.keys.person(who)
        approve(desk, number, load_private_key(path, outside=people.root, passphrase=lambda: b""))
    finally:
        desk.close()


def reception_of(centre: Centre) -> int:
    return asked.questions(centre.ledger)[0].reception


@pytest.mark.requirement("R138", "R139", "R141")
def test_what_is_weak_waits_for_a_person_line_by_line(
    strict: tuple[Centre, Outside, Open], tmp_path: Path
) -> None:
    centre, people, _ = strict
    assert sorted(told(centre, people, tmp_path)) == [2, 4, 6]
    page = identity(centre)
    assert page["withheld"] | {"age_seconds": 0} == {
        "rows": 3, "files": 1, "undecided": 1, "age_seconds": 0,
    }  # fmt: skip
    assert page["questions"]["answered"] == 6
    assert status(centre)["verdict"]["state"] == "needs_you"
    assert checks.problems(centre) == []
    number = reception_of(centre)
    listed = withholding.listed(centre, number)
    assert listed["line_number"].to_list() == WEAK
    assert set(listed["match_level"]) == {"D"}
    assert set(listed.columns) == {
        "reception", "line_number", "match_level", "decision", "resident_name_match",
        "resident_name_kana_match", "birth_date_match", "sex_match", "address_match",
        "my_number_match",
    }  # fmt: skip

    _, first = withholding.propose(centre, number, "release", [3])
    _, second = withholding.propose(centre, number, "refuse", [5])
    run_job(centre, ANSWER)
    assert len(told(centre, people, tmp_path / "before")) == 3  # nobody has signed
    with pytest.raises(UsageError):
        sign(people, first, "sato")  # who may send and store may not release
    sign(people, first, "hara")
    sign(people, second, "hara")
    run_job(centre, ANSWER)
    now = told(centre, people, tmp_path / "after")
    assert now[3] == ("1", "D", True)
    assert now[5] == ("7", "", False)
    assert sorted(now) == [2, 3, 4, 5, 6]
    assert withholding.listed(centre)["line_number"].to_list() == [7]
    assert checks.problems(centre) == []

    withholding.propose(centre, number, "refuse")
    outside.approve_all(people.root, people.keys, people.now, who="hara")
    run_job(centre, ANSWER)
    assert sorted(told(centre, people, tmp_path / "all")) == [2, 3, 4, 5, 6, 7]
    assert {item.state for item in asked.questions(centre.ledger)} == {"complete"}
    outside.collect(people.root, "kenpo-b")
    run_job(centre, DELIVER)
    assert checks.problems(centre) == []
    for folder in ("questions", "packages"):
        assert list((people.root / folder).iterdir()) == []


def test_a_later_decision_takes_the_place_of_one_that_nobody_signed(
    strict: tuple[Centre, Outside, Open],
) -> None:
    centre, people, _ = strict
    number = reception_of(centre)
    _, old = withholding.propose(centre, number, "release")
    _, new = withholding.propose(centre, number, "refuse", [5])
    with pytest.raises(UsageError):
        sign(people, old, "hara")
    sign(people, new, "hara")
    states = [item.state for item in kept.all_decisions(centre.ledger)]
    assert states == ["dropped", "open"]
    for wrong in ((number, [4]), (number + 90, [])):
        with pytest.raises(UsageError):
            withholding.propose(centre, wrong[0], "release", wrong[1])
    with pytest.raises(UsageError):
        withholding.listed(centre, number + 90)


def test_a_signature_over_other_lines_releases_nothing(
    strict: tuple[Centre, Outside, Open], tmp_path: Path
) -> None:
    centre, people, _ = strict
    _, number = withholding.propose(centre, reception_of(centre), "release", [3])
    sign(people, number, "hara")
    with centre.ledger.begin() as transaction:  # as if somebody wrote into the ledger
        transaction.execute(update(kept.decisions).values(lines="[3, 5, 7]"))
    run_job(centre, ANSWER)
    assert sorted(told(centre, people, tmp_path)) == [2, 4, 6]


def test_an_immediate_answer_is_never_withheld(
    strict: tuple[Centre, Outside, Open], tmp_path: Path
) -> None:
    centre, people, _ = strict
    for path in outside.packages_of(people.root, "kenpo-b"):
        path.unlink()
    before = identity(centre)["withheld"]["rows"]
    night = nights.Night(
        people.root, nights.Population(nights.SEED), nights.formats(), nights.NIGHT_DAY, 1
    )
    lay_file(night, "kenpo-b", "my_number_query", range(520, 524), mode="1", sequence=2)
    run_job(centre, ASK)
    net = people.juki_net()
    net.decide = some_elsewhere
    net.answer()
    run_job(centre, ANSWER)
    found = told(centre, people, tmp_path)
    assert [found[line][0] for line in (2, 3, 4, 5)] == ["1", "7", "1", "7"]
    assert [found[line][2] for line in (2, 3, 4, 5)] == [True, False, True, False]
    assert identity(centre)["withheld"]["rows"] == before == 3
    assert verify_ledger(centre) == []


STOPS = ("built to be noted", "generation's key destroyed", "built", "package laid out")


@pytest.mark.parametrize("event", STOPS if nights.LONG else STOPS[:2])
def test_killed_anywhere_it_ends_as_it_would_have(
    event: str, whole: Prepared, opened: Open, tmp_path: Path
) -> None:
    centre, people = opened(whole, strict_site(whole, tmp_path)), people_of(whole, tmp_path)
    with stopping(centre, event, step="package"):
        answered(centre, people)
    centre.close()
    centre = opened(whole, people.root)
    run_job(centre, ANSWER)
    assert sorted(told(centre, people, tmp_path / "before")) == [2, 4, 6]
    assert checks.problems(centre) == []
    number = reception_of(centre)
    withholding.propose(centre, number, "release", [3, 5])
    with stopping(centre, event, step="package"):
        outside.approve_all(people.root, people.keys, people.now, who="hara")
        run_job(centre, ANSWER)
    centre.close()
    centre = opened(whole, people.root)
    run_job(centre, ANSWER)
    assert sorted(told(centre, people, tmp_path / "after")) == [2, 3, 4, 5, 6]
    assert withholding.listed(centre)["line_number"].to_list() == [7]
    assert checks.problems(centre) == []


@pytest.mark.requirement("R142", "R144")
def test_what_nobody_decides_is_told_as_late_and_goes_with_its_questions(
    strict: tuple[Centre, Outside, Open],
) -> None:
    centre, people, at = strict
    withholding.propose(centre, reception_of(centre), "release", [3])
    outside.collect(people.root, "kenpo-b")
    run_job(centre, DELIVER)
    centre.close()
    centre = at(hours=25)
    assert run_job(centre, ANSWER).exit == Exit.OVERDUE
    centre.close()
    centre = at(days=300, minutes=1)
    run_job(centre, ERASE)
    assert list((people.root / "questions").iterdir()) == []
    assert identity(centre)["withheld"]["rows"] == 0
    assert [item.state for item in kept.all_decisions(centre.ledger)] == ["dropped"]
    assert verify_ledger(centre) == []
    run_job(centre, ANSWER)
    assert verify_ledger(centre) == []


def test_a_count_that_was_altered_is_noticed(strict: tuple[Centre, Outside, Open]) -> None:
    centre, _, _ = strict
    with centre.ledger.begin() as transaction:
        transaction.execute(update(kept.withheld).values(rows=2))
    assert "verify.withheld" in {item.key for item in verify_ledger(centre)}
    with centre.ledger.begin() as transaction:
        transaction.execute(update(kept.withheld).values(rows=0))
    keys = {item.key for item in verify_ledger(centre)}
    assert {"verify.questions_asked", "verify.answers_lost"} <= keys


@pytest.mark.requirement("R146")
def test_commands_show_no_item_of_anybody(
    whole: Prepared,
    strict: tuple[Centre, Outside, Open],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    centre, people, _ = strict
    monkeypatch.setenv("KOUKAN_ROOT", str(people.root))
    monkeypatch.setenv("KOUKAN_KEY_FILE", str(whole.key_file))
    assert main(("identity", "withheld")) == Exit.DONE
    number = str(reception_of(centre))
    assert main(("identity", "withheld", number)) == Exit.DONE
    assert main(("identity", "withheld", "--json")) == Exit.DONE
    assert main(("identity", "release", number, "--line", "3")) == Exit.DONE
    assert main(("identity", "refuse", number, "--line", "5", "--json")) == Exit.DONE
    assert main(("approval", "list")) == Exit.DONE
    assert main(("show", number)) == Exit.DONE
    for language in ("ja", "en"):
        monkeypatch.setenv("KOUKAN_LANG", language)
        assert main(("status",)) == Exit.DONE
    said = capsys.readouterr()
    assert "保留している回答：3 行" in said.out and "Withheld answers: 3 lines" in said.out
    assert ELSEWHERE not in said.out + said.err

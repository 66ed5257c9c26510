"""The whole night to its end: what insurers are told, what nobody else learns, what is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from journey import acts, checks, nights, outside, search
from journey.acts import ANSWER, ASK, DELIVER, Outside
from journey.played import PACKAGED, NightAfter, Played, until
from journey.search import Needles
from journey.whole import ASKED, KENPO_A, KENPO_B
from sqlalchemy import select

from koukan.cli import main
from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.engine.packages import open_package
from koukan.engine.run import run_job
from koukan.errors import Exit, KoukanError, SecretError
from koukan.keys.package import load_package_identity
from koukan.keys.sealed import unseal
from koukan.ledger import identity as asked
from koukan.ledger import schema
from koukan.reports import identity, reception, status
from koukan.samples.population import Population
from koukan.samples.spelling import as_insurers_write

Open = Callable[..., Centre]
FOUND, NOBODY, SEVERAL, DEAD, MOVED = "1", "2", "3", "4", "6"


def result_rows(
    people: Outside, centre: Centre, sender: str, code: str, into: Path
) -> list[outside.Row]:
    """All lines of all results in a sender's outbox, as the insurer reads them."""
    key = load_package_identity(people.keys.folder / f"{code}.txt")
    rows = []
    for number, path in enumerate(outside.packages_of(people.root, sender)):
        target = into / f"{sender}-{number}"
        opened = open_package(path, key, centre.signer.ssh, target)
        form = nights.formats()[opened.manifest.about.kind]
        for file in opened.files:
            content = (target / file.name).read_bytes()
            rows += nights.records_of(content, form)
    return rows


@pytest.mark.requirement("R130", "R132", "R134", "R135", "R138", "R139", "R141")
def test_each_insurer_gets_the_answers_to_its_own_questions(
    night_after: NightAfter, tmp_path: Path
) -> None:
    centre, people = night_after(PACKAGED)
    mine = result_rows(people, centre, "kenpo-a", KENPO_A, tmp_path)
    # Seven questions went out, one of them malformed; the eighth line lacked search items.
    assert [row["line_number"] for row in mine] == ["2", "3", "4", "6", "7", "9"]
    assert [row["query_result_class"] for row in mine] == [
        FOUND, NOBODY, SEVERAL, DEAD, MOVED, FOUND,
    ]  # fmt: skip
    for row in mine:
        told = {name for name, value in row.items() if value}
        if row["query_result_class"] in (FOUND, MOVED):
            assert {"my_number", "resident_name", "birth_date", "sex", "address"} <= told
            assert row["resident_name_match_class"] == "1"
        else:  # nothing of anybody, and no number least of all
            assert told == {
                "section", "record_type_code", "line_number", "record_number", "query_result_class",
            }  # fmt: skip
    moved = next(row for row in mine if row["query_result_class"] == MOVED)
    assert moved["address_match_class"] == "8"
    levels = [row["match_level"] for row in mine]
    assert {levels[0], levels[5]} <= {"A", "C"}  # the register has what was asked
    assert levels[1:5] == ["", "", "", "D"]  # nobody, several, dead; and one who lives elsewhere
    theirs = result_rows(people, centre, "kenpo-b", KENPO_B, tmp_path)
    assert {row["section"] for row in theirs} == {"result"}
    assert len(theirs) == 4 + 2
    assert not {row.get("my_number") for row in mine} & {row.get("my_number") for row in theirs} - {
        None, "",
    }  # fmt: skip


@pytest.mark.requirement("R143")
def test_counts_add_up_to_the_last_question(night: tuple[Centre, Outside]) -> None:
    centre, people = night
    acts.play(centre, people)
    page = identity(centre)
    questions = page["questions"]
    assert questions["asked"] == ASKED
    parts = ("answered", "ambiguous", "unanswered")
    assert sum(questions[name] for name in parts) == ASKED
    assert questions["unanswered"] == 3  # one malformed, one not answered in each of two requests
    assert page["packages"] == {"built": 3, "delivered": 3, "erased": 3}
    assert checks.problems(centre) == []


@pytest.mark.requirement("R131", "R133")
def test_nothing_goes_out_or_comes_in_before_a_person_said_so(
    night: tuple[Centre, Outside],
) -> None:
    centre, people = night
    run_job(centre, ASK)
    out = people.root / "exchange" / outside.PARTNER / "outbox"
    # Only the immediate request needs nobody.
    assert [path.name for path in out.glob("JQ_*")] == ["JQ_koukan_000001.dat"]
    run_job(centre, ASK)
    assert len(list(out.glob("JQ_*"))) == 1
    assert outside.approve_all(people.root, people.keys, people.now) == [1]
    run_job(centre, ASK)
    assert len(list(out.glob("JQ_*"))) == 2
    people.juki_net().answer()
    run_job(centre, ANSWER)
    run_job(centre, ANSWER)
    taken = {share.reception for share in asked.shares(centre.ledger)}
    assert {centre.ledger.reception(number).file_name for number in taken} == {
        "BQ_kenpo-b_000001.csv"
    }
    assert outside.approve_all(people.root, people.keys, people.now) == [2]
    run_job(centre, ANSWER)
    assert len({share.reception for share in asked.shares(centre.ledger)}) == 3


@pytest.mark.requirement("R127", "R128", "R129")
def test_an_immediate_question_comes_back_answered_without_any_person(
    night: tuple[Centre, Outside], tmp_path: Path
) -> None:
    centre, people = night
    run_job(centre, ASK)
    (immediate,) = [item for item in asked.questions(centre.ledger) if item.mode == "1"]
    assert entrusted.open_questions(centre, immediate.reception, immediate.generation).height == 3
    people.juki_net().answer()
    run_job(centre, ANSWER)
    used = centre.ledger.read(select(schema.approvals).where(schema.approvals.c.state == "used"))
    assert used == []
    told = result_rows(people, centre, "kenpo-b", KENPO_B, tmp_path)
    assert [row["query_result_class"] for row in told if row["section"] == "result"] == [
        FOUND, NOBODY,
    ]  # fmt: skip


def test_an_operator_sees_what_became_of_one_files_questions(
    night_after: NightAfter,
) -> None:
    centre, _ = night_after(until("take"))
    (mine,) = [
        item for item in centre.ledger.receptions() if item.file_name.startswith("NQ_kenpo-a")
    ]
    shown = reception(centre, mine.number)
    steps = ["pick_up", "gate", "admit", "validate", "ask", "acknowledge"]
    assert shown["steps"] == dict.fromkeys(steps, True)
    found = shown["identity"]
    names = ("asked", "answered", "ambiguous", "unanswered", "expired")
    assert [found[name] for name in names] == [7, 5, 1, 1, 0]
    assert [item["state"] for item in found["requests"]] == ["erased"]
    assert [item["state"] for item in found["packages"]] == ["laid_out"]
    (receipt,) = [item for item in centre.ledger.receptions() if item.format == "juki_net_answer"][
        :1
    ]
    assert list(reception(centre, receipt.number)["steps"])[3:] == [
        "validate",
        "split",
        "acknowledge",
    ]
    assert reception(centre, receipt.number)["identity"] is None


@pytest.mark.parametrize("until_act", ["approve", "take", acts.ERASE])
def test_every_page_can_be_shown(
    whole: nights.Prepared,
    night_after: NightAfter,
    until_act: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    centre, people = night_after(until(until_act))
    monkeypatch.setenv("KOUKAN_ROOT", str(people.root))
    monkeypatch.setenv("KOUKAN_KEY_FILE", str(whole.key_file))
    pages = [("show", str(item.number)) for item in centre.ledger.receptions()]
    pages += [("status",), ("package", "list"), ("approval", "list")]
    for language, word in (("ja", "要求ファイル"), ("en", "request")):
        monkeypatch.setenv("KOUKAN_LANG", language)
        for page in pages:
            assert main(page) == Exit.DONE, page
        assert word in capsys.readouterr().out


@pytest.mark.requirement("R143")
def test_what_waits_too_long_for_persons_or_for_answers_ends_in_a_code_of_its_own(
    whole: nights.Prepared, night: tuple[Centre, Outside], opened: Open
) -> None:
    centre, people = night

    def later(**more: int) -> Centre:
        return opened(replace(whole, now=whole.now + timedelta(**more)), people.root)

    assert run_job(centre, ASK).exit == Exit.UNANSWERED
    late = later(hours=25)  # nobody has approved what was asked a day ago
    assert run_job(late, ASK).exit == Exit.OVERDUE
    page = status(late)
    assert page["verdict"] == {"state": "needs_you", "count": 1, "code": Exit.OVERDUE}
    outside.approve_all(people.root, people.keys, people.now)
    assert run_job(late, ASK).exit == Exit.UNANSWERED
    assert run_job(later(days=7), ANSWER).exit == Exit.UNANSWERED
    assert run_job(later(days=7, hours=1), ANSWER).exit == Exit.OVERDUE
    assert run_job(later(days=7, hours=1), acts.ERASE).exit == Exit.DONE  # it asks nobody anything


# --- nothing of anybody is anywhere


@pytest.fixture(scope="module")
def needles(whole: nights.Prepared, played: Played) -> Needles:
    """Everybody whom a question names, as its insurer writes it, and every number returned."""
    population = Population(nights.SEED)
    persons = np.arange(500, 570, dtype=np.int64)
    people = population.people(0, 570)
    names = set(search.names_of(people))
    for code in (KENPO_A, KENPO_B):
        frame = as_insurers_write(population, persons, seed=nights.SEED * 10**8 + int(code))
        names |= {
            name
            for column in ("resident_name", "resident_name_kana")
            for name in frame[column].drop_nulls()
            if search.SPACE in name
        }
    root = played.after(until("approve") + 1).root  # a request waits for the partner
    centre = whole.open(root)
    returned = [
        outside.number_for(row)
        for path in sorted((root / "exchange" / outside.PARTNER / "outbox").glob("JQ_*"))
        for row in outside.read_request(path).rows
    ]
    numbers = sorted({*people["my_number"].to_list(), *returned})
    tokens = centre.tokeniser.tokens(np.array([int(number) for number in numbers], np.int64))
    centre.close()
    return Needles(numbers, sorted(names), tokens)


def test_the_search_finds_questions_in_the_inboxes_and_in_the_request_that_waits_for_its_partner(
    night: tuple[Centre, Outside], night_after: NightAfter, needles: Needles
) -> None:
    _, people = night
    before = search.leaks(needles, people.root)
    assert any("NQ_kenpo-a" in path for path in before)
    _, people = night_after(until("approve") + 1)
    laid = search.leaks(needles, people.root)
    assert {path for path in laid if "JQ_" in path}
    assert all(path.startswith("exchange/") for path in laid)


STOPS = [  # after this many acts of the night, exchange folders being emptied by their owners
    pytest.param(count, id=f"{count} {name}") for count, name in enumerate(acts.NIGHT, 1)
]


@pytest.mark.parametrize("stop", STOPS)
def test_at_no_time_is_anything_of_anybody_outside_the_exchange_folders(
    stop: int, night_after: NightAfter, needles: Needles
) -> None:
    _, people = night_after(stop)
    for path in nights.inbox_files(people.root):
        path.unlink()
    for path in (people.root / "exchange" / outside.PARTNER / "outbox").glob("JQ_*"):
        path.unlink()
    assert search.leaks(needles, people.root) == {}


# --- what is erased cannot be had back


def sealed_copies(root: Path, target: Path) -> list[tuple[str, Path]]:
    """Copies of everything of 本人確認 that lies sealed or encrypted: folder and copy."""
    found = []
    folders = ("questions", "requests", "packages", "originals", "results")
    places = [root / name for name in folders]
    places += [
        path / part for path in (root / "exchange").iterdir() for part in ("outbox", "taken")
    ]
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else ():
            if path.is_file():
                copy = target / path.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                found.append((path.relative_to(root).parts[0], copy))
    return found


def every_key(centre: Centre) -> Iterator[bytes]:
    """All that the centre still holds: purpose keys and random keys of every scope."""
    ring = centre.keyring
    folder = centre.folder("keyring", "random")
    for purpose in sorted(path.name for path in centre.folder("keyring", "purposes").iterdir()):
        yield ring.purpose_key(purpose)
    for scope in sorted(folder.iterdir()):
        for path in sorted(scope.glob("*.key")):
            yield ring.existing_key(scope.name, path.name.removesuffix(".key"))


def contexts(kind: str, path: Path) -> list[str]:
    """Everything that a sealed file of this name can have been sealed as."""
    stem = path.name.removesuffix(".sealed")
    if kind == "questions":
        name, _, answer = path.name.partition(".a")
        return [f"share|{name}|{int(answer)}" if answer else f"questions|{name}"]
    if kind == "requests":
        return [f"request|{path.parent.name}|{int(path.name)}"]
    kinds = {"packages": "package", "originals": "original", "results": "result"}
    return [f"{kinds[kind]}|{stem}"] if kind in kinds else []


def openable(copies: list[tuple[str, Path]], keys: list[bytes]) -> set[Path]:
    """Copies that any of the keys opens."""
    found = set()
    for kind, path in copies:
        for context in contexts(kind, path):
            for key in keys:
                try:
                    unseal(path, key, context)
                except KoukanError:
                    continue
                found.add(path)
    return found


@pytest.mark.requirement("R142", "R143", "R145")
def test_with_every_key_and_every_file_that_is_left_nothing_erased_opens(
    whole: nights.Prepared, night: tuple[Centre, Outside], tmp_path: Path
) -> None:
    centre, people = night
    copies: list[tuple[str, Path]] = []
    for number, name in enumerate(acts.NIGHT[: acts.NIGHT.index(nights.ERASE)]):
        if name in acts.ACTS:
            acts.ACTS[name](people, centre)
        else:
            run_job(centre, name)
        copies += sealed_copies(people.root, tmp_path / f"copy-{number}")
    receptions = {item.number: item for item in centre.ledger.receptions()}
    open_now = {item.reception: item for item in asked.questions(centre.ledger) if item.open}
    assert open_now  # some wait on for their answers
    left = openable(copies, list(every_key(centre)))
    kept = {f"{item.original}.sealed" for item in receptions.values() if not item.original_erased}
    waiting = {
        entrusted.questions_name(item.reception, item.generation) for item in open_now.values()
    }
    # What still opens is what is still kept: registration, refused files, open questions.
    assert {path.name for path in left} == kept & {path.name for _, path in copies} | waiting
    identity_of_batch = load_package_identity(whole.key_file)
    for kind, path in copies:
        if kind == "exchange" and path.suffix == ".age":  # for its insurer's key alone
            with pytest.raises(SecretError):
                b"".join(identity_of_batch.decrypted([path.read_bytes()], path.name))
    gone = [path for kind, path in copies if kind in ("requests", "packages") and path not in left]
    assert len(gone) > 10
    for item in receptions.values():
        if item.format == "juki_net_answer" or item.number in open_now:
            assert item.original_erased


def test_what_a_package_held_is_not_even_in_the_resealed_questions(
    night_after: NightAfter,
) -> None:
    centre, _ = night_after(PACKAGED)
    for item in asked.questions(centre.ledger):
        if not item.open:
            continue
        frame = entrusted.open_questions(centre, item.reception, item.generation)
        assert frame.height == item.open
        assert item.generation == 2
        (package,) = asked.packages(centre.ledger, reception=item.reception)
        assert package.rows + frame.height == item.asked


# --- delivery


@pytest.mark.requirement("R143")
def test_a_package_that_was_altered_in_taken_is_not_delivered(
    night_after: NightAfter,
) -> None:
    centre, people = night_after(PACKAGED)
    (path,) = outside.packages_of(people.root, "kenpo-a")
    target = path.parents[1] / "taken" / path.name
    target.write_bytes(path.read_bytes()[:-1])
    run_job(centre, DELIVER)
    assert identity(centre)["packages"]["delivered"] == 0
    assert path.exists()
    shutil.move(path, target)
    run_job(centre, DELIVER)
    assert identity(centre)["packages"]["delivered"] == 1
    assert not target.exists()
    assert not path.exists()


def test_who_cannot_open_a_package_cannot_confirm_it(night_after: NightAfter) -> None:
    centre, people = night_after(PACKAGED)
    (path,) = outside.packages_of(people.root, "kenpo-a")
    inbox = people.root / "exchange" / "kenpo-a" / "inbox" / "dedicated_terminal"
    package = asked.packages(centre.ledger)[0]
    others = {path.name: "0" * 64, "PK_NQ_kenpo-a_000009_0000000001_001.tar.age": "1" * 64}
    name, content = outside.receipt_file("kenpo-a", KENPO_A, others, 1)
    (inbox / name).write_bytes(content)
    run_job(centre, DELIVER)
    (reception,) = centre.ledger.receptions(formats=["package_receipt"])
    assert {code for _, code, _ in centre.ledger.findings(reception.number)} == {"R501", "R502"}
    assert path.exists()
    right = {path.name: str(package.archive_sha256)}
    name, content = outside.receipt_file("kenpo-a", KENPO_A, right, 2)
    (inbox / name).write_bytes(content)
    run_job(centre, DELIVER)
    assert not path.exists()
    name, content = outside.receipt_file("kenpo-a", KENPO_A, right, 3)
    (inbox / name).write_bytes(content)
    run_job(centre, DELIVER)
    last = centre.ledger.receptions(formats=["package_receipt"])[-1]
    assert [code for _, code, _ in centre.ledger.findings(last.number)] == ["D501"]
    assert identity(centre)["packages"]["erased"] == 1
    assert checks.problems(centre) == []


@pytest.mark.requirement("R144")
def test_what_nobody_answers_or_collects_is_erased_before_a_year_is_over(
    whole: nights.Prepared, night_after: NightAfter, tmp_path: Path
) -> None:
    centre, people = night_after(PACKAGED)
    page = identity(centre)
    later = nights.Prepared(whole.root, whole.key_file, whole.now + nights.timedelta(days=301))
    centre = later.open(people.root)
    try:
        assert page["packages"] == {"built": 3, "delivered": 0, "erased": 0}
        run_job(centre, nights.ERASE)
        after = identity(centre)
        assert after["packages"] == {"built": 3, "delivered": 0, "erased": 3}
        assert after["questions"]["expired"] == page["questions"]["unanswered"] == 3
        assert after["open"] == [] == after["uncollected"] == after["requests"]
        for folder in ("questions", "requests", "packages"):
            assert list(people.root.joinpath(folder).iterdir()) == []
        for scope in ("question", "request", "package"):
            assert list(people.root.joinpath("keyring", "random", scope).glob("*.key")) == []
        assert outside.packages_of(people.root, "kenpo-a") == []
        assert checks.problems(centre) == []
    finally:
        centre.close()

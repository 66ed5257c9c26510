"""Packages that cannot be laid out, are cut short, or wait until their time is over."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from journey import acts, checks, nights, outside
from journey.acts import ANSWER, DELIVER, Outside
from journey.nights import Prepared
from journey.played import PACKAGED, NightAfter, until
from journey.stops import stopping
from journey.whole import CODES, KENPO_A, KENPO_B
from package_support import pair

from koukan.cli import main
from koukan.engine.centre import Centre
from koukan.engine.packages import open_package
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit
from koukan.ledger import identity as asked
from koukan.reports import identity, status

Open = Callable[..., Centre]
Night = tuple[Centre, Outside]


def changed(site: Path, change: Callable[[str], str]) -> None:
    path = site / "site.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before


def answers_stored(centre: Centre, people: Outside) -> None:
    """From where answers lie in the inbox to where packages are laid out."""
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)


def laid_out(centre: Centre) -> list[str]:
    return [item.insurer for item in asked.packages(centre.ledger, states=["laid_out"])]


def waits(centre: Centre, *reasons: str) -> None:
    """Packages that cannot be laid out are a person's, and said to be."""
    found = identity(centre)["undelivered"]
    assert [item["reason"] for item in found] == list(reasons)
    page = status(centre)
    needed = page["needs_you"]["held_total"] + len(reasons)
    assert page["verdict"] == {"state": "needs_you", "count": needed, "code": Exit.HELD}


def without_key(text: str) -> str:
    return re.sub(rf'(code = "{KENPO_A}"\n)package_key = "[^"]*"\n?', r"\1", text)


def test_an_insurer_without_a_key_waits_alone(
    whole: Prepared,
    night_after: NightAfter,
    opened: Open,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    centre, people = night_after(until("answer"))
    before = (people.root / "site.toml").read_text(encoding="utf-8")
    changed(people.root, without_key)
    centre = opened(whole, people.root)
    answers_stored(centre, people)
    assert laid_out(centre) == [KENPO_B, KENPO_B]
    waits(centre, "no_key")
    monkeypatch.setenv("KOUKAN_ROOT", str(people.root))
    monkeypatch.setenv("KOUKAN_KEY_FILE", str(whole.key_file))
    for language, word in (("ja", "保険者の受取鍵"), ("en", "no key of the insurer")):
        monkeypatch.setenv("KOUKAN_LANG", language)
        assert main(("status",)) == Exit.DONE
        assert word in capsys.readouterr().out
    changed(people.root, lambda _: before)
    centre = opened(whole, people.root)
    run_job(centre, ANSWER)
    assert sorted(laid_out(centre)) == sorted([KENPO_A, KENPO_B, KENPO_B])
    assert identity(centre)["undelivered"] == []
    listed(capsys, "current", "登録中の鍵", "the registered one", without_key=False)
    changed(people.root, lambda text: text.replace(mine(text), str(pair("ed25519").public)))
    listed(capsys, "former", "前の鍵", "a former one", without_key=False)
    changed(people.root, without_key)
    listed(capsys, "none", "今は登録されていません", "none registered now", without_key=True)
    page = status(opened(whole, people.root))
    (told,) = page["identity"]["left_as_laid"]
    assert (told["sender"], told["count"], told["reason"]) == ("kenpo-a", 1, "no_key")
    needed = page["needs_you"]["held_total"] + 1
    assert page["verdict"] == {"state": "needs_you", "count": needed, "code": Exit.HELD}


def mine(text: str) -> str:
    """The key of kenpo-a."""
    found = re.search(rf'code = "{KENPO_A}"\npackage_key = "([^"]*)"', text)
    assert found is not None
    return found[1]


def listed(
    capsys: pytest.CaptureFixture[str], state: str, ja: str, en: str, *, without_key: bool
) -> None:
    """What is said of kenpo-a's package, which nobody has collected."""
    capsys.readouterr()
    assert main(("package", "list", "--insurer", KENPO_A, "--json")) == Exit.DONE
    found = json.loads(capsys.readouterr().out)["packages"]
    (item,) = (one for one in found if one["kind"] == "identity")
    assert (item["key"], len(item["key_sha256"])) == (state, 64)
    assert item["age_seconds"] > 0
    for language, word, why in (
        ("ja", ja, "置いたときの鍵のままです"),
        ("en", en, "stay encrypted as they were laid"),
    ):
        assert main(("package", "list", "--lang", language)) == Exit.DONE
        said = "".join(capsys.readouterr().out.split())  # in lines as wide as the terminal
        assert word.replace(" ", "") in said
        assert item["key_sha256"][:16] in said
        assert main(("status", "--lang", language)) == Exit.DONE
        said = "".join(capsys.readouterr().out.split())
        assert (why.replace(" ", "") in said) == without_key


def test_nothing_of_an_insurer_goes_to_a_sender_that_no_longer_speaks_for_it(
    whole: Prepared, night_after: NightAfter, opened: Open
) -> None:
    centre, people = night_after(until("answer"))

    def moved(text: str) -> str:
        text = text.replace(f'insurers = ["{KENPO_A}"]', f'insurers = ["{CODES[2]}"]', 1)
        both = f'insurers = ["{KENPO_B}", "{KENPO_A}"]'
        return text.replace(f'insurers = ["{KENPO_B}"]', both, 1)

    changed(people.root, moved)
    centre = opened(whole, people.root)
    answers_stored(centre, people)
    assert outside.packages_of(people.root, "kenpo-a") == []
    assert laid_out(centre) == [KENPO_B, KENPO_B]
    waits(centre, "other_sender")


def test_a_folder_in_a_packages_place_stands_in_nobody_elses_way(night_after: NightAfter) -> None:
    centre, people = night_after(until("answer"))
    (mine,) = [
        item for item in centre.ledger.receptions() if item.file_name.startswith("NQ_kenpo-a")
    ]
    name = f"PK_NQ_kenpo-a_000001_{mine.number:010d}_001.tar.age"
    place = people.root / "exchange/kenpo-a/outbox" / name
    place.mkdir()
    answers_stored(centre, people)
    assert laid_out(centre) == [KENPO_B, KENPO_B]
    waits(centre, "place_taken")
    place.rmdir()
    run_job(centre, ANSWER)
    assert len(laid_out(centre)) == 3


def test_an_outbox_that_is_gone_is_made_again(night_after: NightAfter) -> None:
    centre, people = night_after(until("answer"))
    shutil.rmtree(people.root / "exchange/kenpo-a/outbox")
    answers_stored(centre, people)
    assert len(laid_out(centre)) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_in_taken_that_cannot_be_read_stops_no_other_delivery(
    night_after: NightAfter,
) -> None:
    centre, people = night_after(PACKAGED)
    (path,) = outside.packages_of(people.root, "kenpo-a")
    other = path.parents[1] / "taken" / path.name
    other.write_bytes(b"x")
    other.chmod(0)
    outside.collect(people.root, "kenpo-b")
    run_job(centre, DELIVER)
    states = [(item.insurer, item.state) for item in asked.packages(centre.ledger)]
    assert sorted(states) == sorted(
        [(KENPO_A, "laid_out"), (KENPO_B, "delivered"), (KENPO_B, "delivered")]
    )


def test_what_a_killed_run_had_begun_is_cleaned_away(night: Night) -> None:
    centre, people = night
    for folder in ("questions", "packages"):
        (people.root / folder / ".tmp-aaaaaaaaaaaa").write_bytes(b"x")
    acts.play(centre, people)
    assert checks.problems(centre) == []


# --- until their time is over


@pytest.mark.requirement("R144")
@pytest.mark.parametrize(
    ("event", "step"),
    [("answers taken", "split"), ("built to be noted", "package")],
    ids=["answered, not packaged", "sealed, not known to the ledger"],
)
def test_what_was_answered_and_never_packaged_goes_with_its_questions(
    event: str, step: str, whole: Prepared, night_after: NightAfter, opened: Open
) -> None:
    centre, people = night_after(until("answer"))
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    with stopping(centre, event, step=step):
        run_job(centre, ANSWER)
    centre.close()
    later = opened(replace(whole, now=whole.now + timedelta(days=301)), people.root)
    run_job(later, nights.ERASE)
    for folder in ("questions", "requests", "packages"):
        assert list((people.root / folder).iterdir()) == []
    assert {item.state for item in asked.questions(later.ledger)} <= {"expired", "complete"}
    assert asked.shares(later.ledger, packaged=False) == []
    assert checks.problems(later) == []
    run_job(later, ANSWER)
    assert checks.problems(later) == []


def test_an_insurer_with_another_key_gets_the_same_package_for_it(
    whole: Prepared, night_after: NightAfter, opened: Open, tmp_path: Path
) -> None:
    centre, people = night_after(until("answer"))
    answers_stored(centre, people)
    (before,) = outside.packages_of(people.root, "kenpo-a")
    others = {path: path.read_bytes() for path in outside.packages_of(people.root, "kenpo-b")}
    first, signer = before.read_bytes(), centre.signer.ssh
    run_job(centre, ANSWER)
    assert before.read_bytes() == first  # the key is as it was

    fresh = pair("ed25519")
    changed(
        people.root,
        lambda text: re.sub(
            rf'(code = "{KENPO_A}"\npackage_key = )"[^"]*"', rf'\1"{fresh.public}"', text
        ),
    )
    centre = opened(whole, people.root)
    (known,) = (item for item in asked.packages(centre.ledger) if item.insurer == KENPO_A)
    with stopping(centre, "package laid out"):
        run_job(centre, ANSWER)
    run_job(opened(whole, people.root), ANSWER)
    centre = opened(whole, people.root)
    found = open_package(before, fresh.identity(tmp_path), signer)
    assert found.archive_sha256 == known.archive_sha256
    (now,) = (item for item in asked.packages(centre.ledger) if item.insurer == KENPO_A)
    assert (now.state, now.archive_sha256) == ("laid_out", known.archive_sha256)
    assert now.sha256 == hashlib.sha256(before.read_bytes()).hexdigest()
    assert {path: path.read_bytes() for path in others} == others
    assert verify_ledger(centre) == []

    outside.collect(people.root, "kenpo-a")
    taken = {path.name: path.read_bytes() for path in before.parents[1].glob("taken/PK_*")}
    changed(people.root, without_key)  # what its owner has is hers
    run_job(opened(whole, people.root), ANSWER)
    assert {path.name: path.read_bytes() for path in before.parents[1].glob("taken/PK_*")} == taken
    run_job(centre, DELIVER)
    assert outside.packages_of(people.root, "kenpo-a") == []
    assert verify_ledger(centre) == []


def test_packages_that_nobody_collects_are_told_after_some_days(night_after: NightAfter) -> None:
    centre, people = night_after(until("answer"))
    answers_stored(centre, people)
    assert identity(centre)["uncollected_long"] == []
    built = min(item.built_at for item in asked.packages(centre.ledger))
    later = datetime.fromisoformat(built) + timedelta(days=14, seconds=1)
    centre.clock = lambda: later
    long = identity(centre)["uncollected_long"]
    assert [(item["sender"], item["count"]) for item in long] == [("kenpo-a", 1), ("kenpo-b", 2)]
    page = status(centre)
    assert page["verdict"]["code"] == Exit.OVERDUE
